"""Regret against the number of annotated images: by the existing calibration, and by choosing by hand."""

import numpy as np
import pytest

from orandnet_core.errors import DataError, RangeError
from orandnet_core.metrics import ImageCounts, thresholds
from orandnet_core.metrics.budget import Budget, budget, budget_sizes


@pytest.fixture(scope="module")
def counts(make_images, count_images) -> ImageCounts:
    return count_images(make_images(seed=8, count=12))


def test_calibrated_is_the_known_calibration(counts):
    found = budget(counts, sizes=(1, 4, 6), draws=9)
    for index, size in enumerate(found.sizes):
        expected = thresholds.calibration(counts, size, draws=9)
        np.testing.assert_allclose(found.regret["calibrated"][index], expected.regret)
        mean, low, high = found.band("calibrated")
        assert low[index] <= mean[index] <= high[index]


def test_the_published_rule_is_scored_on_the_rest(counts):
    found = budget(counts, sizes=(5,), draws=4)
    for draw in range(4):
        ids = thresholds.draw_images(counts, 5, 0, draw)
        value = thresholds.precision_over_recall(counts.select(ids)).value
        rest = counts.select(i for i in counts.image_ids if i not in ids).total()
        expected = np.nanmax(rest.metrics.mean_iou) - rest.at(value).mean_iou
        assert found.regret["precision_over_recall"][0, draw] == pytest.approx(float(expected))


def test_numbers_of_images_grow_by_one_two_five_up_to_half():
    assert budget_sizes(663) == (1, 2, 5, 10, 20, 50, 100, 200)
    assert budget_sizes(20) == (1, 2, 5, 10)
    assert budget_sizes(2) == (1,)
    assert budget_sizes(1) == ()


def test_enough_is_where_the_regret_stays_low():
    regret = np.array([[0.2], [0.01], [0.05], [0.01], [0.0]])
    found = Budget((1, 2, 5, 10, 20), 50, "iou", {"calibrated": regret}, {"calibrated": True})
    assert found.enough("calibrated", 0.01) == 10
    assert found.enough("calibrated", 0.3) == 1
    assert found.enough("calibrated", -1) is None


def test_progress_is_told_and_mistakes_are_named(counts):
    told = []
    budget(counts, sizes=(1, 2), draws=2, progress=lambda *done: told.append(done))
    assert told == [(1, 2), (2, 2)]
    with pytest.raises(RangeError, match="k is 12"):
        budget(counts, sizes=(12,), draws=1)
    with pytest.raises(RangeError, match="kappa"):
        budget(counts, metric="kappa")
    with pytest.raises(DataError, match="1 images"):
        budget(counts.select(counts.image_ids[:1]))
