"""Intervals by resampling images: how far a number would move with other photographs.

A resample draws N images with replacement, which is a weight per image; the scores of all
resamples at all thresholds are then weighted sums of the per-image counts, matrix products
instead of loops. Two sources are compared on the same resamples (paired), which removes what
they share: that some images are hard.

Shapes: B resamples, N images, T = 256 thresholds, P classes that the images show or are given.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from orandnet_core.errors import DataError
from orandnet_core.labels import BACKGROUND
from orandnet_core.metrics.confusion import check_metric, class_scores
from orandnet_core.metrics.curves import precision_at_recall
from orandnet_core.metrics.levels import LEVELS, threshold_index
from orandnet_core.metrics.sweep import Counts, ImageCounts, classes_counted, foreground_above, of_classes

__all__ = [
    "Bootstrap",
    "Interval",
    "bootstrap",
    "difference",
    "precision_at_recall_difference",
    "resample_weights",
]

Array = np.ndarray

# Counts of a group of resamples, (P, B, T) float64 twice, stay below this many bytes.
_GROUP_BYTES = 128_000_000
# Blocks of counts that are added at a time.
_BLOCKS = 8


@dataclass(frozen=True)
class Interval:
    """A value with the interval that holds the middle `level` of the resamples."""

    value: float
    low: float
    high: float
    level: float = 0.95

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Bootstrap:
    """Mean scores at all thresholds, of the images and of their resamples.

    Attributes:
        image_ids: N names of what was resampled.
        seed: of the resamples.
        precision, recall, iou, f1: (B + 1, T) means over classes; row 0 is the images themselves.
    """

    image_ids: tuple[str, ...]
    seed: int
    precision: Array
    recall: Array
    iou: Array
    f1: Array

    def at(self, metric: str, threshold: float) -> Array:
        """(B + 1,) a mean score at the grid point nearest to a threshold.

        Args:
            metric: "iou", "precision", "recall" or "f1".

        Raises:
            RangeError: another metric, or a threshold outside [0, 1].
        """
        check_metric(metric)
        return getattr(self, metric)[:, threshold_index(threshold)]

    def precision_at_recall(self, recall: float) -> Array:
        """(B + 1,) precision at equal recall, as `curves.precision_at_recall`."""
        return precision_at_recall(self.precision, self.recall, recall)

    def interval(self, metric: str, threshold: float, level: float = 0.95) -> Interval:
        """A mean score at a threshold, with its interval. As `at`."""
        return _interval(self.at(metric, threshold), level)

    def precision_at_recall_interval(self, recall: float, level: float = 0.95) -> Interval:
        """Precision at equal recall, with its interval."""
        return _interval(self.precision_at_recall(recall), level)


def bootstrap(counts: Counts, resamples: int = 1000, seed: int = 0) -> Bootstrap:
    """Resample images and score every resample at every threshold.

    The same images, number and seed give the same resamples, whatever the source.

    Raises:
        DataError: there is no image.
    """
    image_ids = tuple(counts.image_ids)
    if not image_ids:
        raise DataError("no image to resample; score a split that has masks")
    weights = resample_weights(len(image_ids), resamples, seed)
    classes = classes_counted(counts.total())
    group = max(1, _GROUP_BYTES // (len(classes) * LEVELS * 16))
    means = [
        _resampled_means(counts, classes, weights[start : start + group])
        for start in range(0, resamples + 1, group)
    ]
    return Bootstrap(image_ids, seed, *np.concatenate(means, axis=1))


def difference(
    ours: Bootstrap,
    ours_threshold: float,
    theirs: Bootstrap,
    theirs_threshold: float,
    metric: str = "iou",
    level: float = 0.95,
) -> Interval:
    """Ours minus theirs in a mean score, each at its own threshold, on the same resamples.

    The thresholds stay what they are in every resample: how they were chosen is not resampled.

    Raises:
        DataError: the two were not resampled alike (other images, seed or number).
    """
    _check_paired(ours, theirs)
    return _interval(ours.at(metric, ours_threshold) - theirs.at(metric, theirs_threshold), level)


def precision_at_recall_difference(
    ours: Bootstrap, theirs: Bootstrap, recall: float, level: float = 0.95
) -> Interval:
    """Ours minus theirs in precision at the same recall, on the same resamples. As `difference`."""
    _check_paired(ours, theirs)
    return _interval(ours.precision_at_recall(recall) - theirs.precision_at_recall(recall), level)


def _check_paired(ours: Bootstrap, theirs: Bootstrap) -> None:
    if (ours.image_ids, ours.seed, len(ours.iou)) != (theirs.image_ids, theirs.seed, len(theirs.iou)):
        raise DataError(
            f"{len(ours.image_ids)} images (seed {ours.seed}) against {len(theirs.image_ids)} "
            f"(seed {theirs.seed}): a paired difference needs the same images, seed and number of resamples"
        )


def resample_weights(images: int, resamples: int, seed: int) -> Array:
    """(B + 1, N) how often each resample drew each image; once each in row 0."""
    rng = np.random.default_rng(seed)
    weights = np.ones((resamples + 1, images), np.uint16)
    for row in weights[1:]:
        row[:] = np.bincount(rng.integers(images, size=images), minlength=images)
    return weights


def _resampled_means(counts: Counts, classes: Array, weights: Array) -> Array:
    """(4, B, T) mean precision, recall, IoU and F1 of the resamples whose weights (B, N) these are."""
    shape = (len(classes), len(weights), LEVELS)
    predicted, true_positive = np.zeros(shape), np.zeros(shape)
    target = np.zeros(shape[:2])
    start = 0
    for block in _several(counts.blocks(), counts.num_classes):
        stop = start + len(block.image_ids)
        block_weights = weights[:, start:stop].astype(np.float64)
        _add_block(of_classes(block, classes), block_weights, predicted, true_positive, target)
        start = stop
    # Background is what no class claims; its row has gathered the pixels that classes claim.
    predicted[BACKGROUND] = target.sum(axis=0)[:, None] - predicted[1:].sum(axis=0)
    true_positive[BACKGROUND] = target[BACKGROUND][:, None] - true_positive[BACKGROUND]

    sums, shown = np.zeros((4, *shape[1:])), np.zeros((len(weights), 1))
    for k in range(len(classes)):
        present = target[k] > 0
        scores = class_scores(true_positive[k], predicted[k], target[k][:, None])
        sums += np.where(present[:, None], scores, 0)
        shown += present[:, None]
    return np.divide(sums, shown, out=np.full(sums.shape, np.nan), where=shown > 0)


def _add_block(
    block: ImageCounts, weights: Array, predicted: Array, true_positive: Array, target: Array
) -> None:
    """Add a block's weighted counts; `true_positive[BACKGROUND]` gathers false foreground."""
    above = foreground_above(block.levels)
    pixels = block.levels.sum(axis=1, dtype=np.int64)[:, None]
    claimed = block.predicted != BACKGROUND
    right = claimed & (block.predicted == block.target)
    ground = block.target == BACKGROUND
    _add_weighted(predicted, weights, block.predicted, block.image, above, claimed)
    _add_weighted(true_positive, weights, block.predicted, block.image, above, right)
    _add_weighted(true_positive, weights, block.target, block.image, above, ground)
    _add_weighted(target[..., None], weights, block.target, block.image, pixels, np.ones(len(pixels), bool))


def _add_weighted(
    into: Array, weights: Array, labels: Array, images: Array, values: Array, rows: Array
) -> None:
    """Add the rows' values (R, T), weighted by their images, to `into` (P, B, T) at their labels.

    An image's rows of a label are added up first, whole numbers still: the products with all
    resamples, which cost most, are then as few as can be.
    """
    labels, images, values = labels[rows], images[rows], values[rows]
    order = np.lexsort((images, labels))
    labels, images = labels[order], images[order]
    starts = np.flatnonzero(np.diff(labels, prepend=-1) | np.diff(images, prepend=-1))
    if not len(starts):
        return
    sums = np.add.reduceat(values[order], starts, axis=0).astype(np.float64)
    labels, images = labels[starts], images[starts]
    firsts = np.flatnonzero(np.diff(labels, prepend=-1))
    for first, last in zip(firsts, [*firsts[1:], len(labels)], strict=True):
        into[labels[first]] += weights[:, images[first:last]] @ sums[first:last]


def _several(blocks: Iterator[ImageCounts], num_classes: int) -> Iterator[ImageCounts]:
    """A few blocks at a time as one: what is added to is larger than what a block adds."""
    while few := list(islice(blocks, _BLOCKS)):
        yield ImageCounts.merged(few, num_classes)


def _interval(values: Array, level: float) -> Interval:
    """From (B + 1,) values, the first of which is the images' own; NaN where that is undefined."""
    resampled = values[1:][~np.isnan(values[1:])]
    if np.isnan(values[0]) or not len(resampled):
        return Interval(float(values[0]), np.nan, np.nan, level)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values[0]), float(low), float(high), level)
