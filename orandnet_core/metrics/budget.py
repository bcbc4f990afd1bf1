"""How many masks to draw: what each threshold rule costs with 1, 2, 5, 10, ... annotated images.

A draw takes k images at random; a rule chooses a threshold on their masks, and the threshold is
scored on all other images. The *regret* is what it loses in the mean score there to the best
threshold of those same images. Rules that need no mask have the same threshold whatever k is.

Where a draw has no answer, a rule takes the nearest thing to one: a precision that exceeds recall
nowhere gives way to the best mIoU, a target out of reach to the highest precision that is sure.

Shapes: D draws, T = 256 thresholds, L numbers of annotated images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orandnet_core.errors import DataError
from orandnet_core.metrics.agreement import Agreement
from orandnet_core.metrics.confusion import Metrics, check_metric
from orandnet_core.metrics.levels import THRESHOLDS, threshold_index
from orandnet_core.metrics.sweep import Counts, ImageCounts
from orandnet_core.metrics.thresholds import draw_images, fixed, no_labels, precision_bound

__all__ = ["Budget", "budget", "budget_sizes"]

Array = np.ndarray

_STEPS = (1, 2, 5)
_RESAMPLES = 200  # of every draw, for its bound: enough for a twentieth, a fifth of the time of 1,000


@dataclass(frozen=True)
class Budget:
    """Regret of each rule against the number of annotated images.

    Attributes:
        sizes: L numbers of annotated images, ascending.
        images: N, from which they were drawn.
        metric: "iou", "precision", "recall" or "f1": the mean whose regret it is.
        regret: by rule, (L, D) fractions, at least 0.
        needs_masks: by rule, whether more annotated images can change it.
    """

    sizes: tuple[int, ...]
    images: int
    metric: str
    regret: Mapping[str, Array]
    needs_masks: Mapping[str, bool]

    def band(self, rule: str, level: float = 0.95) -> tuple[Array, Array, Array]:
        """(L,) mean, low and high end of the middle `level` of the draws."""
        low, high = np.quantile(self.regret[rule], ((1 - level) / 2, (1 + level) / 2), axis=1)
        return self.regret[rule].mean(axis=1), low, high

    def enough(self, rule: str, within: float) -> int | None:
        """The smallest number of images from which on the mean regret stays within; None if none."""
        stays = self.regret[rule].mean(axis=1) <= within
        last_outside = np.flatnonzero(~stays)
        first = last_outside[-1] + 1 if len(last_outside) else 0
        return self.sizes[first] if first < len(self.sizes) else None


def budget_sizes(images: int) -> tuple[int, ...]:
    """1, 2, 5, 10, 20, 50, ... up to half of the images."""
    sizes = (step * 10**power for power in range(7) for step in _STEPS)
    return tuple(size for size in sizes if size <= max(1, images // 2) and size < images)


def budget(
    counts: Counts,
    agreement: Agreement | None = None,
    *,
    fixed_at: float | None = None,
    target: float | None = None,
    sizes: Sequence[int] | None = None,
    draws: int = 100,
    metric: str = "iou",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Budget:
    """The regret of the rules `calibrated` and `precision_over_recall`, and of others that are asked for.

    Args:
        counts: of images with masks.
        agreement: what `no_labels` needs; None leaves it out.
        fixed_at: the threshold of `fixed`, in [0, 1]; None leaves it out.
        target: the mean precision in (0, 1) of `precision_target`, with 95% confidence; None leaves it out.
            It takes seconds for every number of images, as every draw is resampled.
        sizes: numbers of annotated images; by default `budget_sizes`.
        draws: for every number.
        metric: the mean whose regret is told, and which `calibrated` maximises.
        seed: of the draws; those of `thresholds.calibration` are the same.
        progress: called as progress(done, total) after every number.

    Raises:
        DataError: fewer than two images.
        RangeError: another metric, a threshold outside [0, 1], or a number that is not below the number
            of images.
    """
    check_metric(metric)
    if len(counts.image_ids) < 2:
        raise DataError(f"{len(counts.image_ids)} images: one to annotate and one to score on are the least")
    sizes = tuple(sizes or budget_sizes(len(counts.image_ids)))
    everything = counts.total().metrics
    rules: dict[str, Callable[[ImageCounts, Metrics], int]] = {
        "calibrated": lambda _, seen: _best(seen.mean(metric)),
        "precision_over_recall": lambda _, seen: _crossing(seen),
    }
    if target is not None:
        rules["precision_target"] = lambda drawn, _: _surely(drawn, target)
    without_masks = {}
    if agreement is not None:
        without_masks["no_labels"] = threshold_index(no_labels(agreement).value)
    if fixed_at is not None:
        without_masks["fixed"] = threshold_index(fixed(fixed_at).value)
    regret = {rule: np.empty((len(sizes), draws)) for rule in (*rules, *without_masks)}
    for row, size in enumerate(sizes):
        drawn = [draw_images(counts, size, seed, draw) for draw in range(draws)]
        annotated = counts.select(dict.fromkeys(image_id for ids in drawn for image_id in ids))
        for draw, ids in enumerate(drawn):
            of_draw = annotated.select(ids)
            seen = of_draw.total().metrics
            rest = Metrics(
                everything.true_positive - seen.true_positive,
                everything.predicted - seen.predicted,
                everything.target - seen.target,
            ).mean(metric)
            chosen = {rule: choose(of_draw, seen) for rule, choose in rules.items()} | without_masks
            for rule, index in chosen.items():
                regret[rule][row, draw] = np.nanmax(rest) - rest[index]
        if progress:
            progress(row + 1, len(sizes))
    needs_masks = {rule: rule in rules for rule in regret}
    return Budget(sizes, len(counts.image_ids), metric, regret, needs_masks)


def _best(scores: Array) -> int:
    """Of images that show nothing but 255 nothing can be learnt: the middle then."""
    return len(THRESHOLDS) // 2 if np.isnan(scores).all() else int(np.nanargmax(scores))


def _crossing(seen: Metrics) -> int:
    """The smallest threshold at which precision exceeds recall; the best in mIoU where it never does."""
    exceeds = np.flatnonzero(seen.mean_precision > seen.mean_recall)
    return int(exceeds[0]) if len(exceeds) else _best(seen.mean_iou)


def _surely(drawn: ImageCounts, target: float) -> int:
    """The smallest threshold whose precision is at least the target, surely; the surest where none is."""
    if not drawn.levels.any():
        return len(THRESHOLDS) // 2
    bound = precision_bound(drawn, resamples=_RESAMPLES)
    reached = np.flatnonzero(bound >= target)
    return int(reached[0]) if len(reached) else int(np.nanargmax(bound))
