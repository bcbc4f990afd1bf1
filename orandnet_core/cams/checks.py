"""What a caller hands in: checked once, for every entry point."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from orandnet_core.backbones import Classifier
from orandnet_core.errors import RangeError, ShapeError


def checked_size_hw(image: np.ndarray) -> tuple[int, int]:
    """Height and width of a photograph.

    Raises:
        ShapeError: it is not (H, W, 3) uint8.
    """
    if image.ndim != 3 or image.shape[2] != 3 or not image.size or image.dtype != np.uint8:
        raise ShapeError(f"an image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    return image.shape[0], image.shape[1]


def class_indices(class_ids: Sequence[int] | np.ndarray, classifier: Classifier) -> Tensor:
    """Class ids, (K,) in 1..C, as (K,) int64 from 0.

    Raises:
        ShapeError: they are no row of integers.
        RangeError: the network does not know one of them.
    """
    ids = np.asarray(class_ids)
    if not ids.size:
        return torch.empty(0, dtype=torch.long)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise ShapeError(f"class_ids must be (K,) integers, got {ids.shape} of {ids.dtype}")
    if ids.min() < 1 or ids.max() > classifier.class_count:
        raise RangeError(f"class_ids {ids.tolist()}: this network knows 1 to {classifier.class_count}")
    return torch.from_numpy(ids.astype(np.int64)) - 1
