"""Paired tests against enumeration of all permutations, scikit-learn's scores, and Holm by hand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from orandnet_core.errors import DataError
from orandnet_core.metrics import ImageCounts, bootstrap, difference
from orandnet_core.metrics.paired import holm, paired


@pytest.fixture(scope="module")
def both(make_images, count_images) -> tuple[ImageCounts, ImageCounts]:
    images = make_images(seed=5, count=8)
    worse = [image._replace(cam=image.cam[:, ::-1] ** 2) for image in images]
    return count_images(images), count_images(worse)


def test_differences_and_intervals_are_those_of_the_bootstrap(both):
    first, second = both
    found = paired(first, second, (0.5, 0.25), resamples=300, permutations=50)
    ours, theirs = bootstrap(first, 300), bootstrap(second, 300)
    for name, test in found.tests.items():
        expected = difference(ours, 0.5, theirs, 0.25, name)
        assert test.mean.value == pytest.approx(expected.value)
        assert (test.mean.low, test.mean.high) == pytest.approx((expected.low, expected.high))
        scores = [getattr(counts.total().at(t), name) for counts, t in ((first, 0.5), (second, 0.25))]
        np.testing.assert_allclose(test.per_class, scores[0] - scores[1])


def test_p_is_the_share_of_all_permutations_that_differ_as_much(both):
    """All 2^8 ways to swap, each scored anew from the images' own counts."""
    first, second = both
    found = paired(first, second, (0.5, 0.5), resamples=10, permutations=20_000)
    parts = [[counts.select([image_id]).total() for image_id in counts.image_ids] for counts in both]
    differences = []
    for swaps in product([0, 1], repeat=8):
        ours, theirs = (
            sum((parts[swap ^ who][index].confusion(128) for index, swap in enumerate(swaps)), 0)
            for who in (0, 1)
        )
        differences.append(_miou(ours) - _miou(theirs))
    expected = np.mean(np.abs(differences) >= abs(differences[0]) - 1e-12)
    assert found.tests["iou"].p == pytest.approx(expected, abs=0.02)


def _miou(confusion: np.ndarray) -> float:
    target, predicted, right = confusion.sum(axis=1), confusion.sum(axis=0), np.diagonal(confusion)
    shown = target > 0
    return float((right[shown] / (target + predicted - right)[shown]).mean())


def test_a_source_does_not_differ_from_itself(both):
    found = paired(both[0], both[0], (0.5, 0.5), resamples=20, permutations=20)
    for test in found.tests.values():
        assert (test.mean.value, test.mean.low, test.mean.high, test.p) == (0, 0, 0, 1)
        assert set(test.p_holm[~np.isnan(test.p_holm)]) == {1}


def test_a_clear_difference_is_found(make_images, count_images):
    images = make_images(seed=1, count=30)
    perfect = [
        image._replace(cam=(image.mask == image.class_ids[:, None, None]).astype(np.float32))
        for image in images
    ]
    found = paired(count_images(perfect), count_images(images), (0.5, 0.5), resamples=50, permutations=999)
    assert found.tests["iou"].p == 1 / 1000
    assert found.tests["iou"].mean.excludes_zero


def test_holm_by_hand():
    np.testing.assert_allclose(
        holm(np.array([0.01, 0.04, 0.03, np.nan, 0.005])), [0.03, 0.06, 0.06, np.nan, 0.02]
    )


@given(arrays(float, st.integers(0, 8), elements=st.floats(0, 1)))
def test_holm_lies_between_p_and_bonferroni(p):
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(1, p * max(1, len(p))) + 1e-15).all()


def test_other_images_are_refused(both):
    first, second = both
    with pytest.raises(DataError, match="8 images against 3"):
        paired(first, second.select(second.image_ids[:3]), (0.5, 0.5))
