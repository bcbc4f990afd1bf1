import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orandnet_core.metrics import THRESHOLDS, Agreement
from orandnet_core.metrics.agreement import agreement_counts, otsu_index
from orandnet_core.metrics.levels import BestLevels


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_otsu_splits_with_the_least_variance_within(levels):
    found = otsu_index(np.bincount(levels.ravel(), minlength=257))

    def variance_within(index: int) -> float:
        groups = levels[levels <= index], levels[levels > index]
        return sum(group.size * group.var() for group in groups if group.size)

    least = min(variance_within(index) for index in range(256))
    assert variance_within(found) == pytest.approx(least, abs=1e-6 * levels.size)


def test_otsu_equals_opencv():
    rng = np.random.default_rng(0)
    levels = (
        np.concatenate([rng.normal(60, 20, 7000), rng.normal(170, 25, 3000)]).clip(0, 255).astype(np.uint8)
    )
    theirs, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    assert otsu_index(np.bincount(levels, minlength=257)) == theirs


def test_the_share_is_the_average_of_both_networks():
    def best(inside: int) -> BestLevels:
        cam = np.where(np.arange(100).reshape(1, 10, 10) < inside, 0.75, 0.25)
        return BestLevels.of(cam, np.array([1]), 2)

    parts = [agreement_counts(best(30), best(20), best(40)) for _ in range(3)]
    agreement = Agreement.merged(parts)
    assert agreement.foreground_share == pytest.approx(0.3)
    assert 0.25 <= THRESHOLDS[agreement.source_index] < 0.75
    assert agreement.source.sum() == agreement.cnn.sum() == agreement.vit.sum() == 300


def test_one_level_splits_nowhere():
    assert otsu_index(np.bincount([256], minlength=257)) == 0
    assert otsu_index(np.zeros(257, int)) == 0
