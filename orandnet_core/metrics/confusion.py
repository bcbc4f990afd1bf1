"""Confusion matrices, and the precision, recall, IoU and F-scores that follow from them.

A class's numbers come from the pixels of the whole data set, never from averages over images:

    precision = TP / predicted      recall = TP / target      IoU = TP / (predicted + target - TP)

and a mean is taken over the classes that have pixels in the ground truth, *background included*,
as VOC's mIoU is and as WSSS papers report precision and recall of pseudo-masks. A class with
pixels that is never predicted has precision 0 (scikit-learn's `zero_division=0`).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from orandnet_core.errors import DataError, RangeError, ShapeError
from orandnet_core.labels import IGNORE_INDEX

__all__ = ["MEANS", "ClassScores", "Metrics", "check_metric", "class_scores", "confusion", "metrics_of"]

Array = np.ndarray

# The scores whose means over classes can be maximised, resampled and compared.
MEANS = ("iou", "precision", "recall", "f1")


def confusion(target: Array, prediction: Array, num_classes: int, ignore_index: int = IGNORE_INDEX) -> Array:
    """Count the pixels of every (target, prediction) pair.

    Args:
        target: (H, W) integers: 0..num_classes - 1, and `ignore_index`, which is dropped.
        prediction: same shape, 0..num_classes - 1 wherever the target is not ignored.
        num_classes: with background: VOC 21.
        ignore_index: the label of pixels that do not count.

    Returns:
        (num_classes, num_classes) int64, [target, prediction].

    Raises:
        ShapeError: the shapes differ; the message gives both.
        DataError: a label outside the range; the message gives it.
    """
    target, prediction = np.asarray(target), np.asarray(prediction)
    if target.shape != prediction.shape:
        raise ShapeError(f"target is {target.shape} and prediction {prediction.shape}; they must be the same")
    counted = target != ignore_index
    target, prediction = target[counted].astype(np.int64), prediction[counted].astype(np.int64)
    for name, labels in (("target", target), ("prediction", prediction)):
        if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
            stray = labels.max() if labels.max() >= num_classes else labels.min()
            raise DataError(
                f"{name} has label {stray}; with {num_classes} classes it must be 0..{num_classes - 1}"
            )
    pairs = np.bincount(target * num_classes + prediction, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)


@dataclass(frozen=True)
class Metrics:
    """Scores per class and their means, at one threshold or at many.

    Attributes:
        true_positive: (C, ...) pixels of the class predicted as it; C counts background.
        predicted: (C, ...) pixels predicted as the class.
        target: (C, ...) pixels of the class in the ground truth; broadcasts against the others.

    `precision`, `recall`, `iou` and `f1` are (C, ...) fractions, NaN for classes without pixels
    in the ground truth; the means over the others are (...).
    """

    true_positive: Array
    predicted: Array
    target: Array

    @cached_property
    def _scores(self) -> "ClassScores":
        return class_scores(self.true_positive, self.predicted, self.target)

    @property
    def precision(self) -> Array:
        return self._scores.precision

    @property
    def recall(self) -> Array:
        return self._scores.recall

    @property
    def iou(self) -> Array:
        return self._scores.iou

    @property
    def f1(self) -> Array:
        return self._scores.f1

    def fbeta(self, beta: float = 1.0) -> Array:
        """(C, ...) weighted harmonic mean of precision and recall; beta > 1 favours recall."""
        weighted = beta**2 * self.precision + self.recall
        both = (1 + beta**2) * self.precision * self.recall
        return np.divide(both, weighted, out=np.zeros_like(both) * weighted, where=weighted > 0)

    @property
    def mean_precision(self) -> Array:
        return self.mean_of(self.precision)

    @property
    def mean_recall(self) -> Array:
        return self.mean_of(self.recall)

    @property
    def mean_iou(self) -> Array:
        """The mIoU of VOC: background is one of the classes."""
        return self.mean_of(self.iou)

    def mean_fbeta(self, beta: float = 1.0) -> Array:
        """The mean of the classes' F-beta (not the F-beta of the means)."""
        return self.mean_of(self.fbeta(beta))

    def mean(self, name: str) -> Array:
        """A mean by its name, one of `MEANS`; RangeError for another."""
        check_metric(name)
        return self.mean_of(getattr(self, name))

    def mean_of(self, scores: Array) -> Array:
        """Average (C, ...) scores over the classes with pixels; NaN if there is none."""
        counted = ~np.isnan(scores)
        total = np.where(counted, scores, 0).sum(axis=0)
        return np.divide(
            total, counted.sum(axis=0), out=np.full_like(total, np.nan), where=counted.any(axis=0)
        )


def check_metric(name: str) -> None:
    """Raise RangeError unless the name is one of `MEANS`."""
    if name not in MEANS:
        raise RangeError(f"metric is {name!r}; it must be one of {', '.join(MEANS)}")


def metrics_of(confusion_matrix: Array) -> Metrics:
    """The scores of a confusion matrix (C, C), [target, prediction]."""
    return Metrics(
        true_positive=np.diagonal(confusion_matrix),
        predicted=confusion_matrix.sum(axis=0),
        target=confusion_matrix.sum(axis=1),
    )


class ClassScores(NamedTuple):
    """Scores of classes, arrays of one shape: fractions, NaN for classes without pixels."""

    precision: Array
    recall: Array
    iou: Array
    f1: Array


def class_scores(true_positive: Array, predicted: Array, target: Array) -> ClassScores:
    """Scores from pixel counts of any shapes that broadcast together; NaN where `target` is 0."""
    true_positive, predicted, target = np.broadcast_arrays(true_positive, predicted, target)
    present = target > 0

    def fraction(part: Array, whole: Array) -> Array:
        scores = np.where(present, 0.0, np.nan)
        return np.divide(part, whole, out=scores, where=present & (whole > 0))

    return ClassScores(
        precision=fraction(true_positive, predicted),
        recall=fraction(true_positive, target),
        iou=fraction(true_positive, predicted + target - true_positive),
        f1=fraction(2 * true_positive, predicted + target),
    )
