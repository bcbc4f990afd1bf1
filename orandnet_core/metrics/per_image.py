"""Scores of single images, to sort and filter them by, and to set two sources against each other.

Shapes: N images, R rows of a block (see `sweep`), T thresholds, C classes with background.
"""

from dataclasses import dataclass

import numpy as np

from orandnet_core.labels import BACKGROUND
from orandnet_core.metrics.confusion import class_scores
from orandnet_core.metrics.levels import THRESHOLDS, threshold_index
from orandnet_core.metrics.sweep import Counts, ImageCounts, foreground_above

__all__ = ["ImageTraits", "PerImage", "image_traits", "per_image"]

Array = np.ndarray


@dataclass(frozen=True)
class PerImage:
    """One row an image: the means over the classes that its ground truth shows.

    Attributes:
        image_ids: N names.
        precision, recall, iou, f1: (N,) fractions; NaN for an image without a counted pixel.
    """

    image_ids: tuple[str, ...]
    precision: Array
    recall: Array
    iou: Array
    f1: Array


def per_image(counts: Counts, threshold: float) -> PerImage:
    """Score every image by itself at the grid point nearest to a threshold.

    The mean of these is not the data set's score, which pools the pixels of all images first.
    """
    index = threshold_index(threshold)
    means = [_block_means(block, _above(block, index)) for block in counts.blocks()]
    return PerImage(tuple(counts.image_ids), *np.concatenate([np.zeros((4, 0, 1)), *means], axis=1)[..., 0])


@dataclass(frozen=True)
class ImageTraits:
    """What is known of every image before a threshold is chosen.

    Attributes:
        shown: (N, C) bool, the classes, background included, that have counted pixels in each image.
        best_thresholds: (N,) the threshold in [0, 1) that is best for each image alone, by its mIoU; of
            equal ones, the smallest; NaN for an image without a counted pixel.
    """

    shown: Array
    best_thresholds: Array


def image_traits(counts: Counts) -> ImageTraits:
    """Look at every image by itself, over all thresholds."""
    shown = np.zeros((len(counts.image_ids), counts.num_classes), bool)
    best = np.full(len(shown), np.nan)
    start = 0
    for block in counts.blocks():
        shown[start + block.image, block.target] = True
        of_block = slice(start, start + len(block.image_ids))
        best[of_block] = _best(_block_means(block, foreground_above(block.levels))[2])
        start = of_block.stop
    return ImageTraits(shown, best)


def _best(iou: Array) -> Array:
    """(N,) the threshold of the first highest of (N, T) scores; NaN where there is none."""
    best = THRESHOLDS[np.nan_to_num(iou, nan=-1).argmax(axis=1)]
    return np.where(np.isnan(iou[:, 0]), np.nan, best)


def _above(block: ImageCounts, index: int) -> Array:
    """(R, 1) pixels above one threshold."""
    return block.levels[:, index + 1 :].sum(axis=1, keepdims=True, dtype=np.int64)


def _block_means(block: ImageCounts, above: Array) -> Array:
    """(4, N, T) mean precision, recall, IoU and F1 of every image of a block.

    Works on one entry per (image, class), never on a dense table of all classes.

    Args:
        block: R rows.
        above: (R, T) each row's pixels above T thresholds.
    """
    pixels = block.levels.sum(axis=1, keepdims=True, dtype=np.int64)
    below = pixels - above
    right = (block.predicted == block.target)[:, None]
    of_background = (block.target == BACKGROUND)[:, None]
    entries = np.concatenate(
        [_entry(block, block.target), _entry(block, block.predicted), _entry(block, BACKGROUND)]
    )
    keys, entry_of = np.unique(entries, return_inverse=True)
    targets, predictions, backgrounds = np.split(entry_of, 3)

    def per_entry(*parts: tuple[Array, Array]) -> Array:
        total = np.zeros((len(keys), parts[0][1].shape[1]), np.int64)
        for rows, pixels_of in parts:
            np.add.at(total, rows, pixels_of)
        return total

    target = per_entry((targets, pixels))
    predicted = per_entry((predictions, above), (backgrounds, below))
    true_positive = per_entry((predictions, above * right), (backgrounds, below * of_background))
    shown = target[:, 0] > 0
    image = (keys // block.num_classes)[shown]
    classes = np.bincount(image, minlength=len(block.image_ids))[:, None]
    scores = np.stack(class_scores(true_positive[shown], predicted[shown], target[shown]))
    sums = np.zeros((len(scores), len(block.image_ids), above.shape[1]))
    np.add.at(sums, (slice(None), image), scores)
    return np.divide(sums, classes, out=np.full(sums.shape, np.nan), where=classes > 0)


def _entry(block: ImageCounts, classes: Array | int) -> Array:
    """(R,) a number for each row's image and a class of it."""
    return block.image.astype(np.int64) * block.num_classes + classes
