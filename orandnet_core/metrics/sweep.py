"""Every background threshold in one pass over the pixels.

With `best = max_k cam_k` and its class k*, the triple (best, k*, ground truth) decides a pixel
at every threshold: it is k* where best > t and background elsewhere. So one histogram of the
levels of `best` (see `levels`) per (k*, ground truth) pair holds all confusion matrices at once.

Counts are kept per image, and only for the pairs that occur: any subset of images is a sum, and
a thousand classes cost no more than those an image shows.

Shapes: N images, C classes with background, T = 256 thresholds, R rows, one per image and pair.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Protocol, TypeVar

import numpy as np

from orandnet_core.errors import DataError
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX
from orandnet_core.metrics.confusion import Metrics
from orandnet_core.metrics.levels import LEVELS, BestLevels, Truth, threshold_index

__all__ = [
    "Counts",
    "ImageCounts",
    "Sweep",
    "classes_counted",
    "count_image",
    "foreground_above",
    "image_counts",
    "of_classes",
]

Array = np.ndarray

Labelled = TypeVar("Labelled", "ImageCounts", "Sweep")

# Images that a question about each of them looks at together.
_BLOCK = 256


class Counts(Protocol):
    """What every per-image question needs, in memory (`ImageCounts`) or on disk (`StoredCounts`)."""

    num_classes: int
    image_ids: tuple[str, ...]

    def blocks(self) -> Iterator["ImageCounts"]:
        """All images in order, some at a time: this bounds the memory of whatever follows."""

    def select(self, image_ids: Iterable[str]) -> "Counts":
        """The counts of a subset of the images; DataError for an id that is not there."""

    def total(self) -> "Sweep":
        """The data set's counts."""


@dataclass(frozen=True)
class ImageCounts:
    """Counts of some images at every threshold, a row per image and (predicted, target) pair.

    Attributes:
        num_classes: with background.
        image_ids: N names, also of images without a counted pixel.
        image: (R,) int32, index into `image_ids`, ascending.
        predicted: (R,) int32, the class k* that the row's pixels get where they are foreground;
            BACKGROUND in images without maps.
        target: (R,) int32, their class in the ground truth.
        levels: (R, 257) uint32, the row's pixels by level.
    """

    num_classes: int
    image_ids: tuple[str, ...]
    image: Array
    predicted: Array
    target: Array
    levels: Array

    def blocks(self) -> Iterator["ImageCounts"]:
        """All images in order, some at a time."""
        for start in range(0, len(self.image_ids), _BLOCK):
            image_ids = self.image_ids[start : start + _BLOCK]
            first, last = np.searchsorted(self.image, [start, start + len(image_ids)])
            rows = slice(first, last)
            yield ImageCounts(
                num_classes=self.num_classes,
                image_ids=image_ids,
                image=self.image[rows] - np.int32(start),
                predicted=self.predicted[rows],
                target=self.target[rows],
                levels=self.levels[rows],
            )

    def select(self, image_ids: Iterable[str]) -> "ImageCounts":
        """The counts of a subset of the images, in the order given.

        Raises:
            DataError: an id that is not among these images.
        """
        image_ids = tuple(image_ids)
        position_of = {image_id: position for position, image_id in enumerate(self.image_ids)}
        try:
            wanted = np.array([position_of[image_id] for image_id in image_ids], np.intp)
        except KeyError as error:
            raise DataError(
                f"{error.args[0]!r} is not among the {len(self.image_ids)} images counted"
            ) from None
        starts = np.searchsorted(self.image, wanted)
        lengths = np.searchsorted(self.image, wanted, side="right") - starts
        first_row = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        rows = first_row + np.arange(lengths.sum())
        return ImageCounts(
            num_classes=self.num_classes,
            image_ids=image_ids,
            image=np.repeat(np.arange(len(image_ids), dtype=np.int32), lengths),
            predicted=self.predicted[rows],
            target=self.target[rows],
            levels=self.levels[rows],
        )

    def total(self) -> "Sweep":
        """The sum over the images."""
        return _sweep_of(self.num_classes, self.predicted, self.target, self.levels)

    @classmethod
    def merged(cls, parts: Sequence["ImageCounts"], num_classes: int) -> "ImageCounts":
        """The images of all parts, in order; of no parts, counts of no image."""
        nothing = np.zeros(0, np.int32)
        offsets = np.cumsum([0] + [len(part.image_ids) for part in parts])
        image = [part.image + np.int32(offset) for part, offset in zip(parts, offsets, strict=False)]
        return cls(
            num_classes=num_classes,
            image_ids=tuple(image_id for part in parts for image_id in part.image_ids),
            image=np.concatenate([nothing, *image]),
            predicted=np.concatenate([nothing, *(part.predicted for part in parts)]),
            target=np.concatenate([nothing, *(part.target for part in parts)]),
            levels=np.concatenate([np.zeros((0, LEVELS + 1), np.uint32), *(part.levels for part in parts)]),
        )


@dataclass(frozen=True)
class Sweep:
    """Confusion at all 256 thresholds, as histograms of the pairs that occur.

    Attributes:
        num_classes: with background.
        predicted, target: (P,) int32, the pairs, in ascending order.
        levels: (P, 257) int64, each pair's pixels by level.
    """

    num_classes: int
    predicted: Array
    target: Array
    levels: Array

    def confusion(self, index: int) -> Array:
        """(C, C) int64, [target, prediction], at `THRESHOLDS[index]`."""
        matrix = np.zeros((self.num_classes, self.num_classes), np.int64)
        np.add.at(matrix, (self.target, self.predicted), self.levels[:, index + 1 :].sum(axis=1))
        np.add.at(matrix, (self.target, BACKGROUND), self.levels[:, : index + 1].sum(axis=1))
        return matrix

    @cached_property
    def metrics(self) -> Metrics:
        """The scores at every threshold: (C, T) per class, (T,) means."""
        above = foreground_above(self.levels)
        target = np.zeros((self.num_classes, 1), np.int64)
        predicted = np.zeros((self.num_classes, LEVELS), np.int64)
        true_positive = np.zeros((self.num_classes, LEVELS), np.int64)
        np.add.at(target[:, 0], self.target, self.levels.sum(axis=1))
        np.add.at(predicted, self.predicted, above)
        right = self.predicted == self.target
        np.add.at(true_positive, self.predicted[right], above[right])
        missed_background = above[self.target == BACKGROUND].sum(axis=0)
        predicted[BACKGROUND] = target.sum() - above.sum(axis=0)
        true_positive[BACKGROUND] = target[BACKGROUND] - missed_background
        return Metrics(true_positive, predicted, target)

    def at(self, threshold: float) -> Metrics:
        """The scores at the grid point nearest to a threshold: (C,) per class, () means."""
        index = threshold_index(threshold)
        every = self.metrics
        return Metrics(every.true_positive[:, index], every.predicted[:, index], every.target[:, 0])

    @classmethod
    def sum_of(cls, parts: Iterable["ImageCounts"]) -> "Sweep":
        """The counts of all parts' images; at least one part. Holds one part at a time."""
        totals = (part.total() for part in parts)
        return reduce(cls.__add__, totals)

    def __add__(self, other: "Sweep") -> "Sweep":
        """The counts of both."""
        return self._with(other, other.levels)

    def __sub__(self, other: "Sweep") -> "Sweep":
        """The counts without those of some of the images."""
        return self._with(other, -other.levels)

    def _with(self, other: "Sweep", levels: Array) -> "Sweep":
        return _sweep_of(
            self.num_classes,
            np.concatenate([self.predicted, other.predicted]),
            np.concatenate([self.target, other.target]),
            np.concatenate([self.levels, levels]),
        )


def image_counts(
    cam: Array,
    class_ids: Array,
    mask: Array,
    num_classes: int,
    image_id: str = "",
    ignore_index: int = IGNORE_INDEX,
) -> ImageCounts:
    """Count one image at every threshold.

    Args:
        cam: (K, H, W) float in [0, 1]; K may be 0.
        class_ids: (K,) in 1..num_classes - 1.
        mask: (H, W) integers: 0..num_classes - 1, and `ignore_index`, which is dropped.
        num_classes: with background.
        image_id: names the image in the result and in errors.
        ignore_index: the label of pixels that do not count.

    Raises:
        DataError: the mask's size is not the maps', or it has a label out of range.
        ShapeError: not one (H, W) map per class id.
        RangeError: a score outside [0, 1] or NaN, or a class id out of range.
    """
    best = BestLevels.of(cam, class_ids, num_classes)
    return count_image(best, Truth.of(mask, num_classes, image_id, ignore_index), num_classes, image_id)


def count_image(best: BestLevels, truth: Truth, num_classes: int, image_id: str = "") -> ImageCounts:
    """`image_counts` for callers that use an image's levels or mask more than once.

    Raises:
        DataError: the mask's size is not the maps'.
    """
    truth.check_fits(best.levels.shape, image_id)
    predictions = best.class_ids if len(best.class_ids) else np.full(1, BACKGROUND)
    shape = (len(predictions), len(truth.labels), LEVELS + 1)
    code = (best.winner * np.int32(shape[1]) + truth.lanes) * np.int32(shape[2]) + best.levels
    histogram = np.bincount(code.ravel(), minlength=np.prod(shape)).reshape(shape)[:, truth.counted]
    prediction, target = np.nonzero(histogram.any(axis=2))
    return ImageCounts(
        num_classes=num_classes,
        image_ids=(image_id,),
        image=np.zeros(len(prediction), np.int32),
        predicted=predictions[prediction].astype(np.int32),
        target=truth.labels[truth.counted][target].astype(np.int32),
        levels=histogram[prediction, target].astype(np.uint32),
    )


def classes_counted(total: Sweep) -> Array:
    """(P,) the classes that have a row, and background, ascending: all that a mean over classes can see."""
    return np.union1d(BACKGROUND, np.concatenate([total.predicted, total.target]))


def of_classes(counts: Labelled, classes: Array) -> Labelled:
    """The same counts with the classes numbered anew: class `classes[i]` becomes i.

    A thousand classes of which a few images show twenty then cost as much as twenty.

    Args:
        counts: with rows of no other classes.
        classes: (P,) ascending, background first, as `classes_counted` gives them.
    """
    return replace(
        counts,
        num_classes=len(classes),
        predicted=np.searchsorted(classes, counts.predicted),
        target=np.searchsorted(classes, counts.target),
    )


def foreground_above(levels: Array) -> Array:
    """(R, 256) pixels above each threshold, from (R, 257) pixels by level."""
    return np.cumsum(levels[:, :0:-1], axis=1, dtype=np.int64)[:, ::-1]


def _sweep_of(num_classes: int, predicted: Array, target: Array, levels: Array) -> Sweep:
    """Add up the rows of the same pair."""
    order = np.lexsort((target, predicted))
    predicted, target = predicted[order], target[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (np.diff(predicted) != 0) | (np.diff(target) != 0)
    starts = np.flatnonzero(fresh)
    summed = (
        np.add.reduceat(levels[order], starts, axis=0, dtype=np.int64)
        if len(starts)
        else levels.astype(np.int64)
    )
    return Sweep(num_classes, predicted[starts], target[starts], summed)
