"""CAMs of a ResNet-50: all classes in one forward pass, against the `grad-cam` package class by class.

Theirs is `GradCAM` on the last stage of the same network as its readme shows it, one call a class,
on a tensor that is ready. Ours starts from the photograph and ends with maps of its size. Under
mean pooling both are the same map, which theirs stretches so that its lowest pixel is 0 as well.
"""

from collections.abc import Iterator

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from benchmarks.table import Row, seconds_of
from orandnet_core.backbones import Classifier, CnnClassifier, Network, build_classifier
from orandnet_core.cams import compute_cam

MODEL, SIDE_PX, CLASSES = "resnet50", 448, 4
REPEATS = 3


class OneHead(nn.Module):
    """A classifier as the package wants it: images (B, 3, H, W) -> logits (B, C)."""

    def __init__(self, classifier: Classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(images)[:, 0]


def rows() -> Iterator[Row]:
    image = np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
    classifier = _network(image)
    images = classifier.normalise(torch.from_numpy(image).permute(2, 0, 1)[None])
    with GradCAM(OneHead(classifier), [classifier.backbone.layer4]) as explain:
        for count in (1, CLASSES):
            class_ids = np.arange(1, count + 1)
            ours, our_maps = seconds_of(lambda ids=class_ids: _ours(classifier, image, ids), REPEATS)
            theirs, their_maps = seconds_of(lambda ids=class_ids: _theirs(explain, images, ids), REPEATS)
            name = f"{MODEL} CAMs at {SIDE_PX} px, {count} class{'es' if count > 1 else ''}, against grad-cam"
            yield Row(name, ours, theirs, _same(our_maps, their_maps))


def _ours(classifier: Classifier, image: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    return compute_cam(classifier, image, class_ids, "cam", flip=False)


def _theirs(explain: GradCAM, images: Tensor, class_ids: np.ndarray) -> np.ndarray:
    return np.concatenate([explain(images, [ClassifierOutputTarget(k - 1)]) for k in class_ids])


def _same(ours: np.ndarray, theirs: np.ndarray) -> bool:
    low = ours.min((1, 2), keepdims=True)
    stretched = (ours - low) / (ours.max((1, 2), keepdims=True) - low)
    return bool(theirs.max((1, 2)).min() > 0.9 and np.abs(stretched - theirs).max() < 1e-3)


def _network(image: np.ndarray) -> CnnClassifier:
    """Random weights, shifted so that every class's map has both signs, as a trained one's has."""
    torch.manual_seed(0)
    names = tuple(f"class {k}" for k in range(1, CLASSES + 1))
    classifier = build_classifier(Network(model=MODEL, head="conv", class_names=names))
    classifier = classifier.to(memory_format=torch.channels_last).eval()
    with torch.no_grad():
        view = classifier.normalise(torch.from_numpy(image).permute(2, 0, 1)[None])
        mean = classifier.backbone.forward_features(view).mean((0, 2, 3))
        weight = classifier.head.weight[:, :, 0, 0]
        weight -= (weight @ mean / (mean @ mean))[:, None] * mean
    return classifier
