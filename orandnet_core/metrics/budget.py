"""How many masks to draw: what each threshold rule costs with 1, 2, 5, 10, ... annotated images.

A draw takes k images at random; a rule chooses a threshold on their masks, and the threshold is
scored on all other images. The *regret* is what it loses in the mean score there to the best
threshold of those same images. Rules that need no mask have the same threshold whatever k is.

Shapes: D draws, T = 256 thresholds, L numbers of annotated images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orandnet_core.errors import DataError
from orandnet_core.metrics.agreement import Agreement
from orandnet_core.metrics.confusion import Metrics, check_metric
from orandnet_core.metrics.levels import THRESHOLDS, threshold_index
from orandnet_core.metrics.sweep import Counts
from orandnet_core.metrics.thresholds import draw_images, no_labels

__all__ = ["Budget", "budget", "budget_sizes"]

Array = np.ndarray

_STEPS = (1, 2, 5)


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
    sizes: Sequence[int] | None = None,
    draws: int = 100,
    metric: str = "iou",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Budget:
    """The regret of the rules `calibrated`, `precision_over_recall` and, with an agreement, `no_labels`.

    Args:
        counts: of images with masks.
        agreement: what `no_labels` needs.
        sizes: numbers of annotated images; by default `budget_sizes`.
        draws: for every number.
        metric: the mean whose regret is told, and which `calibrated` maximises.
        seed: of the draws; those of `thresholds.calibration` are the same.
        progress: called as progress(done, total) after every number.

    Raises:
        DataError: fewer than two images.
        RangeError: another metric, or a number that is not below the number of images.
    """
    check_metric(metric)
    if len(counts.image_ids) < 2:
        raise DataError(f"{len(counts.image_ids)} images: one to annotate and one to score on are the least")
    sizes = tuple(sizes or budget_sizes(len(counts.image_ids)))
    everything = counts.total().metrics
    known = None if agreement is None else threshold_index(no_labels(agreement).value)
    regret: dict[str, list[list[float]]] = {"calibrated": [], "precision_over_recall": []}
    if known is not None:
        regret["no_labels"] = []
    for done, size in enumerate(sizes, start=1):
        drawn = [draw_images(counts, size, seed, draw) for draw in range(draws)]
        annotated = counts.select(dict.fromkeys(image_id for ids in drawn for image_id in ids))
        rows: dict[str, list[float]] = {rule: [] for rule in regret}
        for ids in drawn:
            seen = annotated.select(ids).total().metrics
            rest = Metrics(
                everything.true_positive - seen.true_positive,
                everything.predicted - seen.predicted,
                everything.target - seen.target,
            ).mean(metric)
            chosen = {
                "calibrated": _best(seen.mean(metric)),
                "precision_over_recall": _crossing(seen),
                "no_labels": known,
            }
            for rule in rows:
                rows[rule].append(float(np.nanmax(rest) - rest[chosen[rule]]))
        for rule in regret:
            regret[rule].append(rows[rule])
        if progress:
            progress(done, len(sizes))
    return Budget(
        sizes,
        len(counts.image_ids),
        metric,
        {rule: np.array(values) for rule, values in regret.items()},
        {rule: rule != "no_labels" for rule in regret},
    )


def _best(scores: Array) -> int:
    """Of images that show nothing but 255 nothing can be learnt: the middle then."""
    return len(THRESHOLDS) // 2 if np.isnan(scores).all() else int(np.nanargmax(scores))


def _crossing(seen: Metrics) -> int:
    """The smallest threshold at which precision exceeds recall; the best in mIoU where it never does."""
    exceeds = np.flatnonzero(seen.mean_precision > seen.mean_recall)
    return int(exceeds[0]) if len(exceeds) else _best(seen.mean_iou)
