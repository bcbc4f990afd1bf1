import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orandnet_core.metrics import pareto_front, precision_at_recall

curves = st.integers(2, 8).flatmap(
    lambda length: st.tuples(
        *[hnp.arrays(float, length, elements=st.integers(0, 10).map(lambda i: i / 10))] * 2
    )
)


@pytest.mark.parametrize(
    ("recall", "precision", "at", "expected"),
    [
        ([0.9, 0.5], [0.2, 0.6], 0.7, 0.4),  # halfway along the line
        ([0.9, 0.5], [0.2, 0.6], 0.5, 0.6),  # a point itself
        ([0.9, 0.5], [0.2, 0.6], 0.95, np.nan),  # beyond the curve
        ([0.2, 0.8, 0.4], [0.1, 0.3, 0.9], 0.5, 0.75),  # crossed twice: the higher one
        ([0.5, 0.5, 0.4], [0.3, 0.7, 0.8], 0.5, 0.7),  # constant recall
    ],
)
def test_precision_at_recall(recall, precision, at, expected):
    found = precision_at_recall(np.array(precision), np.array(recall), at)
    np.testing.assert_allclose(found, expected)


@given(curves, st.floats(0, 1))
def test_precision_at_recall_equals_walking_along_the_lines(curve, at):
    precision, recall = curve
    found = precision_at_recall(precision, recall, at)
    fractions = np.linspace(0, 1, 2001)
    walked_recall = np.concatenate(
        [r0 + fractions * (r1 - r0) for r0, r1 in zip(recall, recall[1:], strict=False)]
    )
    walked = np.concatenate(
        [p0 + fractions * (p1 - p0) for p0, p1 in zip(precision, precision[1:], strict=False)]
    )
    near = np.abs(walked_recall - at) <= 6e-4  # a step along the longest line is 5e-4
    if np.isnan(found):
        assert not recall.min() <= at <= recall.max()
    else:
        # Near a vertical stretch, precision runs by while recall hardly moves: only a bound holds.
        assert found <= walked[near].max() + 1e-3
        assert found >= walked[np.abs(walked_recall - at) <= 1e-12].max(initial=0) - 1e-9


def test_precision_at_recall_takes_many_curves():
    precision = np.array([[0.2, 0.6], [0.4, 0.8]])
    recall = np.array([[0.9, 0.5], [0.6, 0.5]])
    np.testing.assert_allclose(precision_at_recall(precision, recall, 0.7), [0.4, np.nan])


@given(curves)
def test_pareto_front_is_what_nothing_dominates(curve):
    precision, recall = curve
    front = pareto_front(precision, recall)
    points = list(zip(precision, recall, strict=True))
    for point, kept in zip(points, front, strict=True):
        dominated = any(p >= point[0] and r >= point[1] and (p, r) != point for p, r in points)
        assert not (kept and dominated)
        if not dominated:
            assert any(f and other == point for f, other in zip(front, points, strict=True))
