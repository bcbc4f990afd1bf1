"""Attributions of a ViT: one forward pass and one sweep for all classes, against one of each a class.

Both run the same code, theirs with one class a call: what is measured is what the classes of an
image share, which is the forward pass, every block's graph, and what the relevance rules see.
"""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.table import Row, seconds_of
from orandnet_core.backbones import Network, VitClassifier, build_classifier
from orandnet_core.cams import compute_cam

MODEL, SIDE_PX, CLASSES = "vit_small_patch16_224", 224, 4
REPEATS = 3


def rows() -> Iterator[Row]:
    image = np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
    classifier = _network()
    class_ids = np.arange(1, CLASSES + 1)
    for method in ("transformer_attribution", "gradient_rollout"):

        def together(method: str = method) -> np.ndarray:
            return compute_cam(classifier, image, class_ids, method, flip=False)

        def one_by_one(method: str = method) -> np.ndarray:
            maps = [compute_cam(classifier, image, [k], method, flip=False) for k in class_ids]
            return np.concatenate(maps)

        ours, our_maps = seconds_of(together, REPEATS)
        theirs, their_maps = seconds_of(one_by_one, REPEATS)
        name = f"{MODEL} {method} at {SIDE_PX} px, {CLASSES} classes, against a forward pass a class"
        yield Row(name, ours, theirs, bool(np.abs(our_maps - their_maps).max() < 1e-3))


def _network() -> VitClassifier:
    torch.manual_seed(0)
    names = tuple(f"class {k}" for k in range(1, CLASSES + 1))
    return build_classifier(Network(model=MODEL, head="cls", class_names=names)).eval()
