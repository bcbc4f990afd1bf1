"""Masks without scores in the place of maps: what is said of thresholds then holds at every one.

A mask is a source whose foreground scores 1 and whose background scores 0, so that intervals and
paired differences work on segmentations as on CAMs.
"""

import numpy as np

from orandnet_core.errors import DataError
from orandnet_core.labels import BACKGROUND
from orandnet_core.metrics.levels import LEVELS, BestLevels, Truth
from orandnet_core.metrics.sweep import ImageCounts, count_image

__all__ = ["MASK_THRESHOLD", "mask_counts", "mask_levels"]

# Any would do.
MASK_THRESHOLD = 0.5


def mask_counts(
    prediction: np.ndarray, target: np.ndarray, num_classes: int, image_id: str = ""
) -> ImageCounts:
    """Count one predicted mask against the ground truth, the same at every threshold below 1.

    Args:
        prediction: (H, W) uint8 in 0..num_classes - 1.
        target: (H, W) integers: 0..num_classes - 1, and 255, which is dropped.
        num_classes: with background.
        image_id: names the image in the result and in errors.

    Raises:
        DataError: the sizes differ, or a label is out of range (255 in the prediction, too).
    """
    if prediction.size and prediction.max() >= num_classes:
        raise DataError(
            f"{image_id}: the predicted mask has label {prediction.max()}; with {num_classes} classes it "
            f"must be 0..{num_classes - 1}"
        )
    truth = Truth.of(target, num_classes, image_id)
    return count_image(mask_levels(prediction), truth, num_classes, image_id)


def mask_levels(mask: np.ndarray) -> BestLevels:
    """A mask (H, W) of labels from 0 up as the levels of maps: foreground scores 1, background 0."""
    labels = np.flatnonzero(np.bincount(mask.ravel(), minlength=1))
    class_ids = labels[labels != BACKGROUND]
    winner_of = np.zeros(int(mask.max(initial=0)) + 1, np.int32)
    winner_of[class_ids] = np.arange(len(class_ids))
    levels = np.where(mask == BACKGROUND, np.int32(0), np.int32(LEVELS))
    return BestLevels(levels, winner_of[mask], class_ids)
