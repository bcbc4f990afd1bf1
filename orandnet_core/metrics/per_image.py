"""Scores of single images, to sort them by and to set two sources against each other."""

from dataclasses import dataclass

import numpy as np

from orandnet_core.labels import BACKGROUND
from orandnet_core.metrics.confusion import class_scores
from orandnet_core.metrics.levels import threshold_index
from orandnet_core.metrics.sweep import Counts, ImageCounts

__all__ = ["PerImage", "per_image"]

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
    means = [_block_means(block, index) for block in counts.blocks()]
    return PerImage(tuple(counts.image_ids), *np.concatenate(means, axis=1))


def _block_means(block: ImageCounts, index: int) -> Array:
    """(4, N) mean precision, recall, IoU and F1 of every image of a block.

    Works on one entry per (image, class), never on a dense table of all classes.
    """
    above = block.levels[:, index + 1 :].sum(axis=1, dtype=np.int64)
    pixels = block.levels.sum(axis=1, dtype=np.int64)
    below = pixels - above
    right = block.predicted == block.target
    entries = np.concatenate(
        [_entry(block, block.target), _entry(block, block.predicted), _entry(block, BACKGROUND)]
    )
    keys, entry_of = np.unique(entries, return_inverse=True)
    of_target, of_predicted, of_background = np.split(entry_of, 3)

    def per_entry(*parts: tuple[Array, Array]) -> Array:
        return sum(np.bincount(rows, weights, minlength=len(keys)) for rows, weights in parts)

    target = per_entry((of_target, pixels))
    predicted = per_entry((of_predicted, above), (of_background, below))
    true_positive = per_entry(
        (of_predicted, above * right), (of_background, below * (block.target == BACKGROUND))
    )
    shown = target > 0
    image = (keys // block.num_classes)[shown]
    classes = np.bincount(image, minlength=len(block.image_ids))
    scores = class_scores(true_positive[shown], predicted[shown], target[shown])
    sums = np.stack([np.bincount(image, score, minlength=len(block.image_ids)) for score in scores])
    return np.divide(sums, classes, out=np.full(sums.shape, np.nan), where=classes > 0)


def _entry(block: ImageCounts, classes: Array | int) -> Array:
    """(R,) a number for each row's image and a class of it."""
    return block.image.astype(np.int64) * block.num_classes + classes
