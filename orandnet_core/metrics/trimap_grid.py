"""Trimaps at every pair of an OR and an AND threshold, from one pass over the pixels.

Foreground hangs on the AND threshold alone, so it is a one-dimensional sweep; background is
what neither map passes, a two-dimensional histogram of (OR level, AND level) and its cumulative
sums. The thresholds are `GRID_THRESHOLDS`, i / 64 for i = 0..63.

Shapes: G = 64 thresholds, C classes with background.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orandnet_core.labels import BACKGROUND, IGNORE_INDEX
from orandnet_core.metrics.confusion import class_scores
from orandnet_core.metrics.levels import GRID_LEVELS, BestLevels, Truth, grid_levels, grid_threshold_index

__all__ = ["TrimapGrid", "count_trimaps", "trimap_counts"]

Array = np.ndarray

SIDE = GRID_LEVELS + 1


@dataclass(frozen=True)
class TrimapGrid:
    """What trimaps decide and how often they are right.

    Attributes:
        foreground: (C, G + 1) int64, counted pixels by the class of their best AND map and by
            its level.
        foreground_right: (C, G + 1) int64, those whose ground truth is that class.
        pixels: (G + 1, G + 1) int64, counted pixels by [OR level, AND level].
        background_pixels: (G + 1, G + 1) int64, those whose ground truth is background.
        target: (C,) int64, ground-truth pixels of each class.

    The grids below are (G, G) fractions, [OR threshold, AND threshold].
    """

    foreground: Array
    foreground_right: Array
    pixels: Array
    background_pixels: Array
    target: Array

    @property
    def coverage(self) -> Array:
        """The fraction of counted pixels that the trimap decides; NaN without pixels."""
        return _fraction(self._decided, np.broadcast_to(self.target.sum(), self._decided.shape))

    @property
    def precision(self) -> Array:
        """The fraction of decided pixels that are right; NaN where none is decided."""
        right = _above(self.foreground_right).sum(axis=0) + _neither(self.background_pixels)
        return _fraction(right, self._decided)

    @property
    def mean_precision(self) -> Array:
        """The mean of the classes' precisions, over those with pixels, background included."""
        background = class_scores(
            _neither(self.background_pixels), _neither(self.pixels), self.target[BACKGROUND]
        )
        foreground = class_scores(
            _above(self.foreground_right)[1:], _above(self.foreground)[1:], self.target[1:, None]
        )
        total = np.nansum(foreground.precision, axis=0) + np.nan_to_num(background.precision)
        return _fraction(total, np.broadcast_to((self.target > 0).sum(), total.shape))

    def at(self, or_threshold: float, and_threshold: float) -> tuple[float, float]:
        """Coverage and precision at the grid point nearest to a pair of thresholds."""
        point = grid_threshold_index(or_threshold), grid_threshold_index(and_threshold)
        return float(self.coverage[point]), float(self.precision[point])

    @cached_property
    def _decided(self) -> Array:
        return _above(self.foreground).sum(axis=0) + _neither(self.pixels)

    @classmethod
    def merged(cls, parts: Sequence["TrimapGrid"], num_classes: int) -> "TrimapGrid":
        """The counts of all parts added up; of no parts, zeros."""
        return cls(
            foreground=sum((part.foreground for part in parts), np.zeros((num_classes, SIDE), np.int64)),
            foreground_right=sum(
                (part.foreground_right for part in parts), np.zeros((num_classes, SIDE), np.int64)
            ),
            pixels=sum((part.pixels for part in parts), np.zeros((SIDE, SIDE), np.int64)),
            background_pixels=sum(
                (part.background_pixels for part in parts), np.zeros((SIDE, SIDE), np.int64)
            ),
            target=sum((part.target for part in parts), np.zeros(num_classes, np.int64)),
        )


def trimap_counts(
    or_cam: Array,
    and_cam: Array,
    class_ids: Array,
    mask: Array,
    num_classes: int,
    image_id: str = "",
    ignore_index: int = IGNORE_INDEX,
) -> TrimapGrid:
    """Count one image for the whole grid. Arguments and errors as `image_counts`."""
    return count_trimaps(
        BestLevels.of(or_cam, class_ids, num_classes),
        BestLevels.of(and_cam, class_ids, num_classes),
        Truth.of(mask, num_classes, image_id, ignore_index),
        num_classes,
        image_id,
    )


def count_trimaps(
    or_best: BestLevels, and_best: BestLevels, truth: Truth, num_classes: int, image_id: str = ""
) -> TrimapGrid:
    """`trimap_counts` for callers that use an image's levels or mask more than once."""
    for best in (or_best, and_best):
        truth.check_fits(best.levels.shape, image_id)
    or_levels, and_levels = grid_levels(or_best.levels), grid_levels(and_best.levels)
    lanes, labels, counted = truth.lanes, truth.labels, truth.counted

    pairs = _histogram((lanes, or_levels, and_levels), (len(labels), SIDE, SIDE))
    predictions = and_best.class_ids
    by_class = _histogram((lanes, and_best.winner, and_levels), (len(labels), max(len(predictions), 1), SIDE))
    foreground, foreground_right = np.zeros((2, num_classes, SIDE), np.int64)
    foreground[predictions] = by_class[counted].sum(axis=0)[: len(predictions)]
    target = np.zeros(num_classes, np.int64)
    target[labels[counted]] = pairs[counted].sum(axis=(1, 2))
    for k, class_id in enumerate(predictions):
        foreground_right[class_id] = by_class[labels == class_id, k].sum(axis=0)
    return TrimapGrid(
        foreground=foreground,
        foreground_right=foreground_right,
        pixels=pairs[counted].sum(axis=0),
        background_pixels=pairs[labels == BACKGROUND].sum(axis=0),
        target=target,
    )


def _histogram(coordinates: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
    """Count pixels by several integer coordinates (H, W) at once."""
    code = coordinates[0]
    for coordinate, size in zip(coordinates[1:], shape[1:], strict=True):
        code = code * np.int32(size) + coordinate
    return np.bincount(code.ravel(), minlength=np.prod(shape)).reshape(shape)


def _above(by_level: Array) -> Array:
    """(..., G) pixels above each threshold, from (..., G + 1) pixels by level."""
    return np.cumsum(by_level[..., :0:-1], axis=-1)[..., ::-1]


def _neither(by_levels: Array) -> Array:
    """(G, G) pixels that exceed neither threshold, from (G + 1, G + 1) pixels by levels."""
    return by_levels.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]


def _fraction(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
