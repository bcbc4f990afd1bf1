"""Two sources against each other: who is right where they differ, and what picking well would be worth.

Everything follows from one table a data set: how many pixels have the ground truth t, the first
source's label a and the second's b. It is counted once an image, at both sources' thresholds.

Shapes: H x W pixels, N images, R rows, C classes with background.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from orandnet_core.counts_cache import DiskShelf, MemoryShelf
from orandnet_core.datasets import Dataset
from orandnet_core.errors import DataError, ShapeError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.metrics import Metrics, ThresholdChoice, metrics_of
from orandnet_core.metrics.levels import Truth
from orandnet_core.protocol import ProtocolCard
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.scoring import Source, card_of, split_ids, true_mask
from orandnet_core.scoring_pass import WORKERS, Progress, Tally, cache_key, run_pass, shelf_for

__all__ = ["Complement", "JointCounts", "complement", "joint_counts"]

Array = np.ndarray

_FORMAT = "joint 1"
_BITS = 8  # of a label


@dataclass(frozen=True)
class JointCounts:
    """Pixels of some images by ground truth and both sources' labels, a row for each that occurs.

    Attributes:
        image_ids: N names.
        image: (R,) int32, index into `image_ids`, ascending.
        target, first, second: (R,) uint8 labels.
        pixels: (R,) int64, from 1.
    """

    image_ids: tuple[str, ...]
    image: Array
    target: Array
    first: Array
    second: Array
    pixels: Array

    @classmethod
    def merged(cls, parts: Sequence["JointCounts"]) -> "JointCounts":
        """The images of all parts, in order; of no parts, counts of no image."""
        offsets = np.cumsum([0] + [len(part.image_ids) for part in parts])
        image = [part.image + np.int32(offset) for part, offset in zip(parts, offsets, strict=False)]
        labels = {
            name: np.concatenate([np.zeros(0, np.uint8), *(getattr(part, name) for part in parts)])
            for name in ("target", "first", "second")
        }
        return cls(
            image_ids=tuple(image_id for part in parts for image_id in part.image_ids),
            image=np.concatenate([np.zeros(0, np.int32), *image]),
            pixels=np.concatenate([np.zeros(0, np.int64), *(part.pixels for part in parts)]),
            **labels,
        )


@dataclass(frozen=True)
class Complement:
    """What two sources' masks know of each other.

    Attributes:
        first, second: the protocol cards, each with its own threshold.
        table: (C, C, C) int64, pixels by [target, first's label, second's label].
    """

    first: ProtocolCard
    second: ProtocolCard
    table: Array

    @property
    def metrics(self) -> tuple[Metrics, Metrics]:
        """Each source's own scores."""
        return metrics_of(self.table.sum(axis=2)), metrics_of(self.table.sum(axis=1))

    @cached_property
    def agree(self) -> float:
        """The share of the scored pixels that both label alike."""
        return float(np.trace(self.table.sum(axis=0)) / self.table.sum())

    @cached_property
    def right(self) -> Array:
        """(C, 3) pixels of each true class on which both differ: only first, only second, neither right."""
        labels = np.arange(len(self.table))
        both = self.table[labels, labels, labels]
        first = self.table[labels, labels].sum(axis=1) - both
        second = self.table[labels, :, labels].sum(axis=1) - both
        differ = self.table.sum(axis=(1, 2)) - self.table[:, labels, labels].sum(axis=1)
        return np.stack([first, second, differ - first - second], axis=1)

    @cached_property
    def claims(self) -> Array:
        """(C, 2, 2) pixels that only one of both claims as a class: [class, who claims, wrong or right]."""
        count = len(self.table)
        claims = np.zeros((count, 2, 2), np.int64)
        for label in range(count):
            others = np.arange(count) != label
            for who, claimed in enumerate((self.table[:, label, others], self.table[:, others, label])):
                by_target = claimed.sum(axis=1)
                claims[label, who] = by_target[others].sum(), by_target[label]
        return claims

    @cached_property
    def bound(self) -> Metrics:
        """What no rule that picks one of both labels at every pixel can beat, in any class's score.

        A pixel is right where either is right, and a class gets the blame only for what both give
        it wrongly. Where both are wrong in different ways one of two classes must take the blame,
        so the bound may be out of reach by those pixels.
        """
        labels = np.arange(len(self.table))
        target = self.table.sum(axis=(1, 2))
        right = target - self._both_wrong.sum(axis=(1, 2))
        blamed = self._both_wrong[:, labels, labels].sum(axis=0)
        return Metrics(right, right + blamed, target)

    @cached_property
    def trust(self) -> Array:
        """(C,) 0, 1 or -1: which source's lone claims of a class are more often right; -1 if neither has any.

        Where only one of them makes lone claims, it is trusted if they are right more often than not.
        """
        total = self.claims.sum(axis=2)
        share = np.divide(self.claims[..., 1], total, out=np.full(total.shape, np.nan), where=total > 0)
        share = np.where(np.isnan(share), 0.5, share)
        return np.where(total.sum(axis=1) == 0, -1, share.argmax(axis=1))

    @cached_property
    def _both_wrong(self) -> Array:
        wrong = self.table.copy()
        labels = np.arange(len(wrong))
        wrong[labels, labels] = 0
        wrong[labels, :, labels] = 0
        return wrong


def joint_counts(target: Array, first: Array, second: Array, image_id: str = "") -> JointCounts:
    """Count one image.

    Args:
        target: (H, W) uint8 ground truth: 0, 1..C, 255 for what is not scored.
        first, second: (H, W) uint8: 0, 1..C.

    Raises:
        ShapeError: the shapes differ; the message gives all.
    """
    if not target.shape == first.shape == second.shape:
        raise ShapeError(
            f"{image_id}: ground truth is {target.shape}, the masks {first.shape} and {second.shape}; they "
            "must be the same (H, W)"
        )
    scored = target != IGNORE_INDEX
    code = target[scored].astype(np.int64)
    for labels in (first, second):
        code = (code << _BITS) | labels[scored]
    codes, pixels = np.unique(code, return_counts=True)
    labels = [((codes >> shift) & ((1 << _BITS) - 1)).astype(np.uint8) for shift in (2 * _BITS, _BITS, 0)]
    return JointCounts((image_id,), np.zeros(len(codes), np.int32), *labels, pixels.astype(np.int64))


def complement(
    dataset: Dataset,
    split: str,
    sources: tuple[Source, Source],
    choices: tuple[ThresholdChoice, ThresholdChoice],
    *,
    image_ids: Iterable[str] | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> Complement:
    """Compare the masks of two sources, each at its own threshold, on the images that both have.

    Args:
        dataset, split, image_ids, cache_dir, progress, workers: as in `scoring.score`.
        sources: any two.
        choices: their thresholds, and how they were chosen. Images whose masks a `calibrated` one
            has seen are left out.

    Raises:
        DataError: no image could be scored; the message gives one of the reasons.
    """
    ids = split_ids(dataset, split, image_ids)
    for choice in choices:
        if choice.rule == "calibrated":
            ids = choice.unseen(ids)
    values = [float(choice.value) for choice in choices]
    prints = [source.fingerprint for source in sources]
    key = cache_key(dataset, split, ids, *prints, *map(str, values), _FORMAT)
    tally = Tally(
        shelf_for(cache_dir, key, JointCounts, JointCounts), lambda counts: counts, JointCounts.merged
    )

    def read(image_id: str) -> JointCounts:
        target = true_mask(dataset, image_id)
        Truth.of(target, dataset.num_classes, image_id)  # its labels are the data set's
        masks = [
            pseudo_mask(*source.cam_of(image_id), value)
            for source, value in zip(sources, values, strict=True)
        ]
        try:
            return joint_counts(target, *masks, image_id)
        except ShapeError as error:
            raise DataError(f"{error}; one of them belongs to another version of the image") from None

    run_pass(ids, read, [tally], progress, workers)
    skipped = tally.shelf.skipped()
    cards = [card_of(dataset, split, ids, skipped, each.name, each.fingerprint) for each in sources]
    scored = [image_id for image_id in ids if image_id not in skipped]
    first, second = (card.with_threshold(choice, scored) for card, choice in zip(cards, choices, strict=True))
    return Complement(first, second, _table(tally.shelf, dataset.num_classes))


def _table(shelf: DiskShelf | MemoryShelf, num_classes: int) -> Array:
    blocks: Iterator[JointCounts] = shelf.counts()
    table = np.zeros((num_classes,) * 3, np.int64)
    for block in blocks:
        np.add.at(table, (block.target, block.first, block.second), block.pixels)
    return table
