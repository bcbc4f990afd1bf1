"""What a pair of networks sees in one photo: classes, and CAMs by any method.

For the threads of tasks: torch is imported by the first call, so no page waits for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orandnet_core.store import StoredCam, resize_maps, stored_hw
from pages.components.networks import SOURCES, NetworkPair
from pages.components.tasks import Report
from train.config import CamConfig

if TYPE_CHECKING:
    from orandnet_core.backbones import Classifier

# A class counts as predicted where the mean of both networks' probabilities exceeds this.
PREDICTED_ABOVE = 0.5
# Photos come in any size; this is about what the networks were trained and scored on.
LONG_SIDE_PX = 512
# They run the network once a channel: minutes on a CPU.
SLOW_METHODS = ("ScoreCAM", "AblationCAM")


@dataclass(frozen=True)
class Seen:
    """What a pair of networks makes of a photo.

    Attributes:
        probabilities: (C,) by source.
        class_ids: (K,) the classes that CAMs were made of, ascending.
        cams: by source.
    """

    probabilities: Mapping[str, np.ndarray]
    class_ids: np.ndarray
    cams: Mapping[str, StoredCam]


def look(pair: NetworkPair, photo: np.ndarray, class_ids: Sequence[int], report: Report) -> Seen:
    """Classify a photo and make both networks' CAMs of it, as their recipe has them.

    Args:
        pair: the networks.
        photo: (H, W, 3) uint8 RGB.
        class_ids: classes to make CAMs of, in 1..C; what the networks predict where empty (at
            least the likeliest class).
        report: told of progress as (done, total).

    Raises:
        WeightsError: a file cannot be read.
    """
    from orandnet_core.cams import compute_cam

    steps = 2 * len(SOURCES)
    probabilities, cams = {}, {}
    for step, source in enumerate(SOURCES):
        report(step, steps)
        probabilities[source] = _probabilities(pair, source, photo)
    chosen = np.unique(class_ids) if len(class_ids) else predicted(probabilities)
    size_hw = photo.shape[0], photo.shape[1]
    for step, source in enumerate(SOURCES, start=len(SOURCES)):
        report(step, steps)
        config = pair.settings.cams(source)
        cam = compute_cam(
            classifier_cached(pair, source),
            photo,
            chosen,
            config.method,
            scales=config.scales,
            flip=config.flip,
            long_side_px=_long_side_px(config, size_hw),
            output_hw=stored_hw(size_hw),
            **dict(config.options),
        )
        cams[source] = StoredCam(cam, chosen, size_hw)
    return Seen(probabilities, chosen, cams)


def predicted(probabilities: Mapping[str, np.ndarray]) -> np.ndarray:
    """(K,) class ids, ascending, that both networks together find likely; never none."""
    together = np.mean(list(probabilities.values()), axis=0)
    likely = np.flatnonzero(together > PREDICTED_ABOVE)
    return (likely if len(likely) else np.array([together.argmax()])) + 1


def method_names(pair: NetworkPair, report: Report) -> tuple[tuple[str, str], ...]:
    """Load both networks ahead, and list every (source, method) that fits one of them, our own first."""
    from orandnet_core.cams import METHODS, PACKAGE_METHODS

    kinds = {name: method.kinds for name, method in METHODS.items()} | PACKAGE_METHODS
    kind_of = {}
    for step, source in enumerate(SOURCES):
        report(step, len(SOURCES))
        kind_of[source] = classifier_cached(pair, source).network.kind
    fitting = [(source, name) for name in kinds for source in SOURCES if kind_of[source] in kinds[name]]
    return tuple(sorted(fitting, key=lambda each: (each[1] in PACKAGE_METHODS, each[1] in SLOW_METHODS)))


def method_cam(
    pair: NetworkPair, source: str, method: str, photo: np.ndarray, class_ids: np.ndarray, report: Report
) -> StoredCam:
    """CAMs of a photo by one method, our own or the grad-cam package's, at one scale.

    Raises:
        ConfigError: the method does not fit the network.
    """
    from orandnet_core.cams import METHODS, compute_cam, package_cam

    report(0, 1)
    size_hw = photo.shape[0], photo.shape[1]
    classifier = classifier_cached(pair, source)
    long_side_px = _long_side_px(pair.settings.cams(source), size_hw)
    if method in METHODS:
        cam = compute_cam(
            classifier, photo, class_ids, method, long_side_px=long_side_px, output_hw=stored_hw(size_hw)
        )
    else:
        full = package_cam(classifier, photo, class_ids, method, long_side_px=long_side_px)
        cam = resize_maps(full, stored_hw(size_hw))
    return StoredCam(cam, class_ids, size_hw)


def classifier_cached(pair: NetworkPair, source: str) -> "Classifier":
    """A network, ready to infer; the last few stay in memory.

    Raises:
        WeightsError: the file cannot be read.
    """
    return _classifier(pair.path(source), pair.stamp, pair.settings.cams(source).output_stride)


@lru_cache(maxsize=4)
def _classifier(path: Path, stamp: tuple[int, int], output_stride: int | None) -> "Classifier":
    from orandnet_core.backbones import load_classifier
    from orandnet_core.cams import with_output_stride

    return with_output_stride(load_classifier(path), output_stride).eval()


def _long_side_px(config: CamConfig, size_hw: tuple[int, int]) -> int:
    return config.long_side_px or min(max(size_hw), LONG_SIDE_PX)


def _probabilities(pair: NetworkPair, source: str, photo: np.ndarray) -> np.ndarray:
    """(C,) as the classifiers are evaluated: the photo squeezed to a square."""
    import torch
    from torchvision.transforms.v2.functional import resize

    side_px = pair.settings.classifier(source).eval_px
    image = resize(torch.tensor(photo).permute(2, 0, 1), [side_px, side_px], antialias=True)
    with torch.inference_mode():
        return classifier_cached(pair, source).predict(image[None])[0].numpy()
