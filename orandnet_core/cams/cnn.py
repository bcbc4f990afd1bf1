"""Class activation map of a CNN (Zhou et al., CVPR 2016)."""

import torch
from torch import Tensor

from orandnet_core.backbones import CnnClassifier


def cam(classifier: CnnClassifier, images: Tensor, classes: Tensor) -> Tensor:
    """Weigh the last feature map by a class's weights; no gradient, all classes in one pass.

    Args:
        images: (B, 3, H, W) normalised.
        classes: (K,) from 0.

    Returns:
        (B, K, h, w) scores, unbounded; their mean is the class's logit.
    """
    with torch.no_grad():
        return classifier.class_maps(images.contiguous(memory_format=torch.channels_last))[:, classes]
