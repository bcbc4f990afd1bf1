"""IRN: a network learns boundaries from pairs of pixels, and class scores walk within them.

Ahn, Cho and Kwak, "Weakly Supervised Learning of Instance Segmentation with Inter-pixel
Relations", CVPR 2019. From confident labels to pseudo-masks: `pairs` labels what is near each
other, `losses` and `network` learn where boundaries are and where an object's centre is, `walk`
spreads scores over what no boundary separates.
"""

from orandnet_core.irn.losses import boundary_loss, displacement_loss
from orandnet_core.irn.network import (
    Irn,
    IrnNetwork,
    build_irn,
    centre_displacement,
    load_irn,
    relations,
    save_irn,
)
from orandnet_core.irn.pairs import PairLabels, pair_labels
from orandnet_core.irn.walk import random_walk

__all__ = [
    "Irn",
    "IrnNetwork",
    "PairLabels",
    "boundary_loss",
    "build_irn",
    "centre_displacement",
    "displacement_loss",
    "load_irn",
    "pair_labels",
    "random_walk",
    "relations",
    "save_irn",
]
