"""Masks at another size: exact against brute force, and what scaling does to a pseudo-mask's scores."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.metrics import precision_recall_fscore_support

from orandnet_core.errors import ConfigError, DataError, RangeError, ShapeError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.mask_scaling import SCALINGS, ScaleCounts, scale_counts, scale_mask, scaled_hw

LABELS = st.sampled_from([0, 1, 2, 7, IGNORE_INDEX])
MASKS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=LABELS)
SIZES = st.tuples(st.integers(1, 11), st.integers(1, 11))


def overlap(pixel: int, new: int, index: int, old: int) -> Fraction:
    """How much of old pixel `index` (1 wide) lies in new pixel `pixel`, of `new` over `old`."""
    low, high = Fraction(pixel * old, new), Fraction((pixel + 1) * old, new)
    return max(Fraction(0), min(high, Fraction(index + 1)) - max(low, Fraction(index)))


def majority_by_hand(mask: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Every overlap as a fraction, one by one."""
    scaled = np.zeros(size_hw, np.uint8)
    for y, x in np.ndindex(size_hw):
        area: dict[int, Fraction] = {}
        for (row, column), label in np.ndenumerate(mask):
            share = overlap(y, size_hw[0], row, mask.shape[0]) * overlap(x, size_hw[1], column, mask.shape[1])
            area[int(label)] = area.get(int(label), Fraction(0)) + share
        most = max(area.values())
        winners = [label for label, value in area.items() if value == most]
        scaled[y, x] = winners[0] if len(winners) == 1 else IGNORE_INDEX
    return scaled


@settings(max_examples=40, deadline=None)
@given(MASKS, SIZES)
def test_majority_is_that_of_the_exact_areas(mask, size_hw):
    np.testing.assert_array_equal(scale_mask(mask, size_hw, "majority"), majority_by_hand(mask, size_hw))


@settings(max_examples=40, deadline=None)
@given(MASKS, SIZES)
def test_nearest_takes_the_pixel_under_each_centre(mask, size_hw):
    scaled = scale_mask(mask, size_hw, "nearest")
    for y, x in np.ndindex(size_hw):
        row = int(Fraction(2 * y + 1, 2) * mask.shape[0] / size_hw[0])
        column = int(Fraction(2 * x + 1, 2) * mask.shape[1] / size_hw[1])
        assert scaled[y, x] == mask[row, column]


def test_a_mask_worked_out_by_hand():
    mask = np.array([[1, 1, 0, 0], [1, 0, 0, 2], [3, 3, 4, 4], [4, 4, 3, 3]], np.uint8)
    # Three of four pixels are 1; two 0 and one 2 leave 0; the lower blocks are ties.
    np.testing.assert_array_equal(scale_mask(mask, (2, 2), "majority"), [[1, 0], [255, 255]])
    np.testing.assert_array_equal(scale_mask(mask, (2, 2), "nearest"), [[0, 2], [4, 3]])


def test_small_noise_goes_with_majority_and_stays_with_nearest():
    mask = np.zeros((40, 40), np.uint8)
    mask[1::4, 1::4] = 1
    assert not scale_mask(mask, (20, 20), "majority").any()
    assert scale_mask(mask, (20, 20), "nearest").sum() == 100


@pytest.mark.parametrize("how", SCALINGS)
def test_the_same_size_is_a_copy(how):
    mask = np.array([[0, 255], [1, 2]], np.uint8)
    scaled = scale_mask(mask, (2, 2), how)
    np.testing.assert_array_equal(scaled, mask)
    assert not np.shares_memory(scaled, mask)


@pytest.mark.parametrize(
    ("scale", "expected"), [(1.0, (375, 500)), (0.5, (188, 250)), (0.001, (1, 1)), (1.5, (562, 750))]
)
def test_sizes_are_rounded_and_never_empty(scale, expected):
    assert scaled_hw((375, 500), scale) == expected


def oracle(target: np.ndarray, mask: np.ndarray, labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall of scikit-learn; what is undecided is a label of its own."""
    counted = target != IGNORE_INDEX
    if not counted.any():
        return np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    precision, recall, _, support = precision_recall_fscore_support(
        target[counted], mask[counted], labels=labels, zero_division=0
    )
    absent = support == 0
    return np.where(absent, np.nan, precision), np.where(absent, np.nan, recall)


@settings(max_examples=25, deadline=None)
@given(
    arrays(np.uint8, (6, 8), elements=st.sampled_from([0, 1, 2, IGNORE_INDEX])),
    arrays(np.uint8, (6, 8), elements=st.sampled_from([0, 1, 2, IGNORE_INDEX])),
    st.sampled_from([0.3, 0.5, 1.0]),
    st.sampled_from(SCALINGS),
)
def test_scores_are_those_of_the_scaled_masks(target, mask, scale, how):
    (counts,) = scale_counts(mask, target, 3, [scale], [how])
    size_hw = scaled_hw(target.shape, scale)
    small_target, small = scale_mask(target, size_hw, "majority"), scale_mask(mask, size_hw, how)
    for found, truth, scored in (
        (counts.reduced, small_target, small),
        (counts.full, target, scale_mask(small, target.shape, "nearest")),
    ):
        metrics = ScaleCounts.metrics(found)
        precision, recall = oracle(truth, scored, [0, 1, 2])
        np.testing.assert_allclose(metrics.precision, precision)
        np.testing.assert_allclose(metrics.recall, recall)
        scored_at = truth != IGNORE_INDEX
        decided = np.mean(scored[scored_at] != IGNORE_INDEX) if scored_at.any() else np.nan
        np.testing.assert_allclose(ScaleCounts.decided(found), decided)


def test_counts_add_up_over_images():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 3, (2, 10, 12), np.uint8) for _ in range(3)]
    parts = [scale_counts(mask, target, 3, [0.5], ["majority"])[0] for mask, target in images]
    total = parts[0] + parts[1] + parts[2]
    np.testing.assert_array_equal(total.full, sum(part.full for part in parts))
    assert total.full.sum() == 3 * 120
    with pytest.raises(ConfigError, match="do not add up"):
        total + scale_counts(*images[0], 3, [0.25], ["majority"])[0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: scale_mask(m, (2, 2), "mode"), ConfigError, "choose one of"),
        (lambda m: scale_mask(m.astype(int), (2, 2), "nearest"), ShapeError, "uint8, this one is int64"),
        (lambda m: scaled_hw(m.shape, 0.0), RangeError, "scale 0.0"),
        (lambda m: scale_counts(m, m[:2], 3, [0.5]), ShapeError, "must be the same"),
        (lambda m: scale_counts(m + np.uint8(9), m, 3, [0.5]), DataError, "label 9"),
    ],
)
def test_what_does_not_fit_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(np.zeros((4, 4), np.uint8))
