"""Small random images with every awkward case in them: ties, empty classes, ignored pixels."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.metrics import ImageCounts, image_counts


class Image(NamedTuple):
    image_id: str
    cam: np.ndarray
    class_ids: np.ndarray
    mask: np.ndarray


@pytest.fixture(scope="session")
def make_images() -> Callable[..., list[Image]]:
    """(seed, count, num_classes) -> images; a third of the scores lie exactly on thresholds."""

    def make(
        seed: int, count: int = 6, num_classes: int = 5, size_hw=(9, 11), dtype=np.float32
    ) -> list[Image]:
        rng = np.random.default_rng(seed)
        images = []
        for number in range(count):
            class_ids = np.sort(
                rng.choice(np.arange(1, num_classes), rng.integers(0, num_classes), replace=False)
            )
            cam = rng.random((len(class_ids), *size_hw)).astype(dtype)
            tied = rng.random(cam.shape) < 0.33
            cam[tied] = rng.integers(0, 257, tied.sum()) / 256
            labels = [0, *class_ids, IGNORE_INDEX, rng.integers(num_classes)]
            images.append(
                Image(f"image-{number}", cam, class_ids, rng.choice(labels, size_hw).astype(np.uint8))
            )
        return images

    return make


@pytest.fixture(scope="session")
def count_images() -> Callable[[list[Image], int], ImageCounts]:
    """Images -> their counts."""

    def count(images: list[Image], num_classes: int = 5) -> ImageCounts:
        parts = [
            image_counts(image.cam, image.class_ids, image.mask, num_classes, image.image_id)
            for image in images
        ]
        return ImageCounts.merged(parts, num_classes)

    return count
