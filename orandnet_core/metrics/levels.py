"""Where scores lie between the thresholds: the integers that every histogram is made of.

The thresholds are `THRESHOLDS`, i / 256 for i = 0..255. As 256 is a power of two, `score * 256`
is exact in floating point and counts equal `score > t` to the pixel, for float32 and float64 maps
alike, ties included. A score's *level*, ceil(score * 256), is the number of thresholds that it
exceeds.

Grids over two thresholds use `GRID_THRESHOLDS`, i / 64 for i = 0..63: every fourth of them.

Shapes: K present classes, H x W pixels.
"""

from dataclasses import dataclass

import numpy as np

from orandnet_core.errors import DataError, RangeError, ShapeError
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX
from orandnet_core.pseudo_mask import best_map

__all__ = [
    "GRID_THRESHOLDS",
    "THRESHOLDS",
    "BestLevels",
    "Truth",
    "checked_class_ids",
    "grid_levels",
    "grid_threshold_index",
    "levels_of",
    "threshold_index",
]

Array = np.ndarray

LEVELS = 256
THRESHOLDS = np.arange(LEVELS) / LEVELS
THRESHOLDS.flags.writeable = False

GRID_LEVELS = 64
GRID_THRESHOLDS = np.arange(GRID_LEVELS) / GRID_LEVELS
GRID_THRESHOLDS.flags.writeable = False

# Bilinear upsampling and float16 storage overshoot [0, 1] by less than this.
_ROUNDING = 1e-3


def threshold_index(threshold: float) -> int:
    """The index in `THRESHOLDS` of the grid point nearest to a threshold.

    Raises:
        RangeError: the threshold is outside [0, 1].
    """
    return _nearest(threshold, LEVELS)


def grid_threshold_index(threshold: float) -> int:
    """The index in `GRID_THRESHOLDS` of the grid point nearest to a threshold. As above."""
    return _nearest(threshold, GRID_LEVELS)


def levels_of(scores: Array) -> Array:
    """How many of the thresholds a score exceeds: `(scores[..., None] > THRESHOLDS).sum(-1)`.

    Args:
        scores: any shape, float in [0, 1]; what leaves it by rounding counts as 0 or 1.

    Returns:
        Same shape, int32 in 0..256.

    Raises:
        RangeError: a score is NaN or outside [0, 1] by more than rounding.
    """
    if scores.size == 0:
        return np.zeros(scores.shape, np.int32)
    low, high = scores.min(), scores.max()
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # also False for NaN
        raise RangeError(
            f"scores span {low:g} to {high:g}; divide maps by their maximum: they must be in [0, 1]"
        )
    levels = np.ceil(scores * LEVELS).astype(np.int32)
    return levels if low >= 0 and high <= 1 else levels.clip(0, LEVELS)


def grid_levels(levels: Array) -> Array:
    """How many of `GRID_THRESHOLDS` a score exceeds, from its level: 0..64."""
    return (levels + 3) >> 2


@dataclass(frozen=True)
class BestLevels:
    """The level of the best map at every pixel of an image, and whose map it is.

    Attributes:
        levels: (H, W) int32 in 0..256.
        winner: (H, W) int32, index into `class_ids`; 0 in an image without maps.
        class_ids: (K,) in 1..C.
    """

    levels: Array
    winner: Array
    class_ids: Array

    @classmethod
    def of(cls, cam: Array, class_ids: Array, num_classes: int) -> "BestLevels":
        """From maps (K, H, W) in [0, 1].

        Raises:
            ShapeError: not one (H, W) map per class id.
            RangeError: a score outside [0, 1] or NaN, or a class id outside 1..num_classes - 1.
        """
        class_ids = checked_class_ids(class_ids, cam, num_classes)
        best, winner = best_map(cam)
        return cls(levels_of(best), winner, class_ids)


@dataclass(frozen=True)
class Truth:
    """A ground-truth mask with its labels numbered, so that histograms have room for those alone.

    Attributes:
        lanes: (H, W) int32, each pixel's index into `labels`.
        labels: (L,) the labels that the mask shows, ascending; `ignore_index` may be one.
        ignore_index: the label of pixels that do not count.
    """

    lanes: Array
    labels: Array
    ignore_index: int

    @classmethod
    def of(
        cls, mask: Array, num_classes: int, image_id: str = "", ignore_index: int = IGNORE_INDEX
    ) -> "Truth":
        """From a mask (H, W) of integers: 0..num_classes - 1, and `ignore_index`.

        Raises:
            DataError: it holds something else; the message names the image and the label.
        """
        name = f"{image_id}: " if image_id else ""
        if mask.ndim != 2 or mask.size == 0 or mask.dtype.kind not in "iu" or mask.min() < 0:
            raise DataError(
                f"{name}a mask must be (H, W) labels from 0 up, this one is {mask.dtype} {mask.shape}"
            )
        labels = np.flatnonzero(np.bincount(mask.ravel()))
        stray = labels[(labels >= num_classes) & (labels != ignore_index)]
        if stray.size:
            raise DataError(
                f"{name}the mask has label {stray[0]}; this data set has 0..{num_classes - 1}, "
                f"and {ignore_index} to ignore"
            )
        lane_of = np.zeros(labels[-1] + 1, np.int32)
        lane_of[labels] = np.arange(len(labels))
        return cls(lane_of[mask], labels, ignore_index)

    @property
    def counted(self) -> Array:
        """(L,) bool: the labels whose pixels count."""
        return self.labels != self.ignore_index

    def check_fits(self, size_hw: tuple[int, int], image_id: str = "") -> None:
        """Raise DataError unless the maps have the mask's size."""
        if self.lanes.shape != size_hw:
            name = f"{image_id}: " if image_id else ""
            raise DataError(
                f"{name}the mask is {self.lanes.shape} and the maps are {size_hw} (height, width); "
                "one of the two belongs to another version of the image"
            )


def checked_class_ids(class_ids: Array, cam: Array, num_classes: int) -> Array:
    """(K,) class ids, once they are known to fit maps (K, H, W) and a data set.

    Raises:
        ShapeError: not one map per class id.
        RangeError: a class id outside 1..num_classes - 1.
    """
    class_ids = np.asarray(class_ids)
    if class_ids.shape != cam.shape[:1]:
        raise ShapeError(
            f"cam is {cam.shape} for class ids of shape {class_ids.shape}; there must be one map each"
        )
    if class_ids.size and not BACKGROUND < class_ids.min() <= class_ids.max() < num_classes:
        raise RangeError(
            f"class ids {class_ids.tolist()}: with {num_classes} classes they are 1..{num_classes - 1}"
        )
    return class_ids


def _nearest(threshold: float, levels: int) -> int:
    if not 0 <= threshold <= 1:
        raise RangeError(f"threshold {threshold} is outside [0, 1]")
    return min(round(threshold * levels), levels - 1)
