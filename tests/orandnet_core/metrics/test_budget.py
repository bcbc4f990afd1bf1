"""Regret against the number of annotated images: by the existing calibration, and by choosing by hand."""

import numpy as np
import pytest

from orandnet_core.errors import DataError, RangeError
from orandnet_core.metrics import THRESHOLDS, ImageCounts, Sweep, bootstrap, thresholds
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
        rest = rest_of(counts, 5, draw)
        expected = np.nanmax(rest.metrics.mean_iou) - rest.at(value).mean_iou
        assert found.regret["precision_over_recall"][0, draw] == pytest.approx(float(expected))


def test_rules_without_masks_lose_what_their_threshold_loses_on_the_rest(counts):
    found = budget(counts, fixed_at=0.4, sizes=(5,), draws=4)
    assert found.needs_masks == {"calibrated": True, "precision_over_recall": True, "fixed": False}
    for draw in range(4):
        rest = rest_of(counts, 5, draw)
        expected = np.nanmax(rest.metrics.mean_iou) - rest.at(0.4).mean_iou
        assert found.regret["fixed"][0, draw] == pytest.approx(float(expected))
    with pytest.raises(RangeError, match=r"1\.5"):
        budget(counts, fixed_at=1.5)


@pytest.mark.parametrize("target", [0.25, 0.999])
def test_a_precision_target_is_kept_on_the_annotated_or_the_surest_is_taken(counts, target):
    found = budget(counts, target=target, sizes=(6,), draws=4)
    for draw in range(4):
        drawn = counts.select(thresholds.draw_images(counts, 6, 0, draw))
        try:
            value = thresholds.precision_target(drawn, target, resamples=200).value
        except RangeError:
            bound = np.quantile(bootstrap(drawn, 200).precision[1:], 0.05, axis=0)
            value = THRESHOLDS[bound.argmax()]
        rest = rest_of(counts, 6, draw)
        expected = np.nanmax(rest.metrics.mean_iou) - rest.at(value).mean_iou
        assert found.regret["precision_target"][0, draw] == pytest.approx(float(expected))


def rest_of(counts: ImageCounts, size: int, draw: int) -> Sweep:
    """The images that a draw does not annotate, together."""
    ids = thresholds.draw_images(counts, size, 0, draw)
    return counts.select(i for i in counts.image_ids if i not in ids).total()


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
