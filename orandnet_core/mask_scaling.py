"""Masks at another size, and what a smaller size does to a pseudo-mask.

A smaller mask is a coarser statement. Taking the label at each pixel's centre (`nearest`) keeps
small noise as it is; taking the label of most of its area (`majority`) drops what is smaller than
half a pixel. The curriculum that trains on small images first rests on that.

Shapes: (H, W) the mask's size, (h, w) the other; C classes with background.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orandnet_core.errors import ConfigError, RangeError, ShapeError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.metrics import Metrics, confusion

__all__ = ["SCALINGS", "ScaleCounts", "scale_counts", "scale_mask", "scaled_hw"]

Array = np.ndarray

SCALINGS = ("nearest", "majority")


def scaled_hw(size_hw: tuple[int, int], scale: float) -> tuple[int, int]:
    """A size times a factor, rounded, at least one pixel a side.

    Raises:
        RangeError: the factor is not positive.
    """
    if not scale > 0:
        raise RangeError(f"scale {scale}: must be positive")
    return max(1, round(size_hw[0] * scale)), max(1, round(size_hw[1] * scale))


def scale_mask(mask: Array, size_hw: tuple[int, int], how: str) -> Array:
    """A mask at another size.

    Args:
        mask: (H, W) uint8.
        size_hw: the size to make it, (h, w) in pixels.
        how: `nearest`, the label at the centre of each new pixel (of two as near, the one at the
            lower right); or `majority`, the label of most of its area, exactly: of the share of every
            old pixel that it covers. 255 is a label like the others there, and a tie gives 255.

    Returns:
        (h, w) uint8.

    Raises:
        ConfigError: another word for `how`.
        ShapeError: the mask is not (H, W) uint8.
    """
    if mask.ndim != 2 or mask.dtype != np.uint8 or not mask.size:
        raise ShapeError(f"a mask must be (H, W) uint8, this one is {mask.dtype} {mask.shape}")
    if how not in SCALINGS:
        raise ConfigError(f"mask scaling {how!r}: choose one of {SCALINGS}")
    if mask.shape == tuple(size_hw):
        return mask.copy()
    return (_nearest if how == "nearest" else _majority)(mask, size_hw)


def _nearest(mask: Array, size_hw: tuple[int, int]) -> Array:
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new) for old, new in zip(mask.shape, size_hw, strict=True)
    )
    return mask.take(rows, 0).take(columns, 1)


def _majority(mask: Array, size_hw: tuple[int, int]) -> Array:
    labels = np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).astype(np.uint8)
    winner = np.full(size_hw, labels[0], np.uint8)
    most = _areas(mask == labels[0], size_hw)
    tied = np.zeros(size_hw, bool)
    for label in labels[1:]:
        area = _areas(mask == label, size_hw)
        more = area > most
        tied = (tied & ~more) | (area == most)
        winner[more] = label
        np.maximum(most, area, out=most)
    winner[tied] = IGNORE_INDEX
    return winner


def _areas(wanted: Array, size_hw: tuple[int, int]) -> Array:
    """(h, w): how much of what is wanted (H, W) lies in each new pixel, in units of 1 / (h w) old ones."""
    rows = _covered(wanted, size_hw[0])
    return _covered(np.ascontiguousarray(rows.T), size_hw[1]).T


def _covered(values: Array, new: int) -> Array:
    """How much of the values each of `new` equal intervals of the rows covers, in units of 1 / new.

    Whole numbers throughout, so that equal areas are equal.
    """
    old = len(values)
    until = np.zeros((old + 1, *values.shape[1:]), np.int64)
    np.cumsum(values, axis=0, out=until[1:])
    whole, part = np.divmod(np.arange(new + 1) * old, new)
    edges = until[whole] * new
    edges += values[np.minimum(whole, old - 1)] * part[:, None]
    return np.diff(edges, axis=0)


@dataclass(frozen=True)
class ScaleCounts:
    """How a pseudo-mask fits the ground truth after it was scaled; sums over images by `+`.

    Attributes:
        scale: factor on the size.
        how: one of `SCALINGS`.
        reduced: (C, C + 1) int64, [ground truth, pseudo-mask], at the reduced size, against the ground
            truth reduced by majority; the last column is what the pseudo-mask leaves undecided.
        full: the same after enlarging it again by nearest, against the ground truth as it is.
    """

    scale: float
    how: str
    reduced: Array
    full: Array

    def __add__(self, other: "ScaleCounts") -> "ScaleCounts":
        if (self.scale, self.how) != (other.scale, other.how):
            raise ConfigError(f"{self.how} at {self.scale} and {other.how} at {other.scale} do not add up")
        return ScaleCounts(self.scale, self.how, self.reduced + other.reduced, self.full + other.full)

    @staticmethod
    def metrics(counts: Array) -> Metrics:
        """Scores of `reduced` or `full`: what is undecided counts as found by no class.

        So it lowers recall, and precision is that of the decided pixels.
        """
        return Metrics(
            true_positive=np.diagonal(counts), predicted=counts[:, :-1].sum(axis=0), target=counts.sum(axis=1)
        )

    @staticmethod
    def decided(counts: Array) -> float:
        """Share of the pixels of `reduced` or `full` that have a label; NaN without pixels."""
        total = counts.sum()
        return float(counts[:, :-1].sum() / total) if total else float("nan")


def scale_counts(
    pseudo_mask: Array,
    target: Array,
    num_classes: int,
    scales: Sequence[float],
    ways: Sequence[str] = SCALINGS,
) -> list[ScaleCounts]:
    """What scaling does to one pseudo-mask.

    Args:
        pseudo_mask: (H, W) uint8: 0..C - 1, and 255 where it is undecided.
        target: same shape, the ground truth: 0..C - 1, and 255, which is dropped.
        num_classes: with background.
        scales: factors on the size.
        ways: some of `SCALINGS`.

    Returns:
        One for every way and scale, ways first.

    Raises:
        ShapeError: the shapes differ; the message gives both.
        DataError: a label outside the range.
    """
    if pseudo_mask.shape != target.shape:
        raise ShapeError(
            f"pseudo-mask is {pseudo_mask.shape} and ground truth {target.shape}; they must be the same"
        )
    targets = {scale: scale_mask(target, scaled_hw(target.shape, scale), "majority") for scale in scales}
    counts = []
    for how in ways:
        for scale in scales:
            small = scale_mask(pseudo_mask, targets[scale].shape, how)
            again = scale_mask(small, target.shape, "nearest")
            counts.append(
                ScaleCounts(
                    scale,
                    how,
                    _counted(targets[scale], small, num_classes),
                    _counted(target, again, num_classes),
                )
            )
    return counts


def _counted(target: Array, mask: Array, num_classes: int) -> Array:
    """(C, C + 1) with what is undecided in the last column."""
    decided = np.where(mask == IGNORE_INDEX, np.uint8(num_classes), mask)
    return confusion(target, decided, num_classes + 1)[:-1]
