"""Two sources on the same images: is the difference more than chance, in the means and per class?

Two answers stand side by side. The paired bootstrap resamples the images and says how far the
difference would move with other photographs. The permutation test asks how often a difference
as large comes about when, image by image, chance decides which of the two results is called
whose: if the sources were equally good, that would change nothing. Scores of the pooled pixels
are computed anew for every resample and every permutation.

Among many classes some differ by chance alone: `holm` corrects for that (Holm, "A simple
sequentially rejective multiple test procedure", Scandinavian Journal of Statistics, 1979).

Shapes: N images, C classes with background, B resamples, P permutations.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from orandnet_core.errors import DataError
from orandnet_core.labels import BACKGROUND
from orandnet_core.metrics.confusion import Metrics, check_metric
from orandnet_core.metrics.intervals import Interval, resample_weights
from orandnet_core.metrics.levels import threshold_index
from orandnet_core.metrics.sweep import Counts, ImageCounts

__all__ = ["Paired", "PairedTest", "holm", "paired"]

Array = np.ndarray

METRICS = ("iou", "precision", "recall")
# Resamples or permutations in memory at a time.
_GROUP = 512


@dataclass(frozen=True)
class PairedTest:
    """The first source minus the second in one score.

    Attributes:
        mean: of the mean over classes, with its 95% interval over resampled images.
        p: of the mean, two-sided, from permutations.
        per_class: (C,) differences; NaN for classes without pixels.
        low, high: (C,) ends of their 95% intervals.
        p_class: (C,) two-sided, not corrected.
        p_holm: (C,) the same, corrected for the number of classes.
    """

    mean: Interval
    p: float
    per_class: Array
    low: Array
    high: Array
    p_class: Array
    p_holm: Array


@dataclass(frozen=True)
class Paired:
    """Two sources compared in every score.

    Attributes:
        images: how many both were scored on.
        permutations: how many stand behind each p, which is at least 1 / (permutations + 1).
        tests: by "iou", "precision", "recall".
    """

    images: int
    permutations: int
    tests: dict[str, PairedTest]


def paired(
    first: Counts,
    second: Counts,
    thresholds: tuple[float, float],
    *,
    resamples: int = 1000,
    permutations: int = 5000,
    seed: int = 0,
) -> Paired:
    """Compare two sources, each at its own threshold.

    Args:
        first, second: counts of the same images in the same order.
        thresholds: of the first and of the second.
        resamples, permutations, seed: of the bootstrap and the test.

    Raises:
        DataError: other images, or none.
    """
    if not first.image_ids or tuple(first.image_ids) != tuple(second.image_ids):
        raise DataError(
            f"{len(first.image_ids)} images against {len(second.image_ids)}: a paired comparison needs the "
            "same images, one at least; select those that both have"
        )
    images = len(first.image_ids)
    tables = [
        _table(counts, threshold) for counts, threshold in zip((first, second), thresholds, strict=True)
    ]
    observed = _difference(*(table.sum(axis=0, keepdims=True) for table in tables))
    resampled = _resampled(tables, resample_weights(images, resamples, seed)[1:])
    permuted = _permuted(tables, permutations, seed)
    return Paired(
        images, permutations, {name: _test(name, observed, resampled, permuted) for name in METRICS}
    )


def holm(p: Array) -> Array:
    """p-values corrected for their number by Holm's step-down; NaN stays, and counts for nothing.

    Args:
        p: (C,) in [0, 1] or NaN.
    """
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known])]
    stepped = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    corrected = np.full(p.shape, np.nan)
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def _table(counts: Counts, threshold: float) -> Array:
    """(N, 3, C) int64: every image's true positives, predicted and target pixels at a threshold."""
    index = threshold_index(threshold)
    return np.concatenate([_block_table(block, index, counts.num_classes) for block in counts.blocks()])


def _block_table(block: ImageCounts, index: int, num_classes: int) -> Array:
    table = np.zeros((len(block.image_ids), 3, num_classes), np.int64)
    above = block.levels[:, index + 1 :].sum(axis=1, dtype=np.int64)
    below = block.levels.sum(axis=1, dtype=np.int64) - above
    right = block.predicted == block.target
    np.add.at(table, (block.image[right], 0, block.predicted[right]), above[right])
    np.add.at(table, (block.image, 1, block.predicted), above)
    np.add.at(table, (block.image, 1, BACKGROUND), below)
    np.add.at(table, (block.image, 2, block.target), above + below)
    ground = block.target == BACKGROUND
    np.add.at(table, (block.image[ground], 0, BACKGROUND), below[ground])
    return table


def _resampled(tables: list[Array], weights: Array) -> dict[str, Array]:
    """Differences by metric, (B, C + 1): of the classes, then of their mean."""
    flat = [table.reshape(len(table), -1).astype(np.float64) for table in tables]

    def groups() -> Iterator[dict[str, Array]]:
        for start in range(0, len(weights), _GROUP):
            drawn = weights[start : start + _GROUP].astype(np.float64)
            yield _difference(*((drawn @ one).reshape(len(drawn), *tables[0].shape[1:]) for one in flat))

    return _joined(groups())


def _permuted(tables: list[Array], permutations: int, seed: int) -> dict[str, Array]:
    """As `_resampled`, of relabellings: each image's two results are swapped or not, at random."""
    shape = tables[0].shape
    both = (tables[0] + tables[1]).sum(axis=0)
    apart = (tables[0] - tables[1]).reshape(shape[0], -1).astype(np.float64)
    rng = np.random.default_rng((seed, 1))

    def groups() -> Iterator[dict[str, Array]]:
        for start in range(0, permutations, _GROUP):
            count = min(_GROUP, permutations - start)
            signs = rng.integers(0, 2, (count, shape[0])).astype(np.float64) * 2 - 1
            moved = (signs @ apart).reshape(count, *shape[1:])
            yield _difference((both + moved) / 2, (both - moved) / 2)

    return _joined(groups())


def _difference(first: Array, second: Array) -> dict[str, Array]:
    """(G, C + 1) by metric, from sums (G, 3, C) of each source."""
    found = {}
    scored = [Metrics(*(sums[:, row].T for row in range(3))) for sums in (first, second)]
    for name in METRICS:
        check_metric(name)
        classes = [getattr(each, name) for each in scored]
        means = [each.mean(name) for each in scored]
        found[name] = np.concatenate([classes[0] - classes[1], (means[0] - means[1])[None]]).T
    return found


def _joined(groups: Iterator[dict[str, Array]]) -> dict[str, Array]:
    parts = list(groups)
    return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}


def _test(
    name: str, observed: dict[str, Array], resampled: dict[str, Array], permuted: dict[str, Array]
) -> PairedTest:
    value = observed[name][0]
    known = ~np.isnan(value)
    low, high, p = (np.full(len(value), np.nan) for _ in range(3))
    low[known], high[known] = np.nanquantile(resampled[name][:, known], (0.025, 0.975), axis=0)
    # As large up to rounding: sums of the same pixels in another order are the same difference.
    as_large = np.abs(permuted[name][:, known]) >= np.abs(value[known]) - 1e-12
    p[known] = (1 + as_large.sum(axis=0)) / (1 + len(as_large))
    return PairedTest(
        mean=Interval(float(value[-1]), float(low[-1]), float(high[-1])),
        p=float(p[-1]),
        per_class=value[:-1],
        low=low[:-1],
        high=high[:-1],
        p_class=p[:-1],
        p_holm=holm(p[:-1]),
    )
