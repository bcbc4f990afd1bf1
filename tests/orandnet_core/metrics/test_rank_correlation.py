"""Rank correlation against scipy, and its chance against counting orders by hand."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from orandnet_core.errors import ShapeError
from orandnet_core.metrics.rank_correlation import rank_correlation, ranks

# Few values, so that many are equal.
PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=7)


@given(PAIRS)
def test_it_is_that_of_scipy_ties_included(pairs):
    x, y = np.array(pairs, float).T
    found = rank_correlation(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert np.isnan(found.value)
        assert np.isnan(found.by_chance)
    else:
        assert found.value == pytest.approx(spearmanr(x, y).statistic, abs=1e-9)
        assert 0 < found.by_chance <= 1


def test_chance_counts_orders():
    x, y = [0.1, 0.2, 0.4, 0.3], [1, 2, 4, 9]
    found = rank_correlation(x, y)
    as_strong = [abs(spearmanr(x, order).statistic) >= abs(found.value) - 1e-9 for order in permutations(y)]
    assert len(as_strong) == 24
    assert found.by_chance == pytest.approx(np.mean(as_strong))
    assert rank_correlation([1, 2, 3], [4, 5, 6]).by_chance == pytest.approx(2 / 6), "up or down"


def test_many_things_are_sampled_the_same_each_time():
    x = np.arange(20.0)
    y = x + np.random.default_rng(0).normal(0, 12, 20)
    found = rank_correlation(x, y)
    assert found == rank_correlation(x, y)
    assert found.by_chance == pytest.approx(spearmanr(x, y).pvalue, abs=0.01)


def test_two_things_say_nothing():
    found = rank_correlation([1, 2], [1, 2])
    assert (found.count, np.isnan(found.value)) == (2, True)


def test_equal_values_share_their_ranks():
    assert ranks(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [2.5, 1, 2.5, 4]


def test_figures_of_different_things_are_refused():
    with pytest.raises(ShapeError, match=r"\(3,\) and y \(2,\)"):
        rank_correlation([1, 2, 3], [1, 2])
