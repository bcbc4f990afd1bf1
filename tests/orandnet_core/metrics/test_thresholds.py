from dataclasses import replace

import numpy as np
import pytest

from orandnet_core.errors import DataError, RangeError
from orandnet_core.metrics import (
    THRESHOLD_RULES,
    THRESHOLDS,
    Agreement,
    ImageCounts,
    Metrics,
    bootstrap,
    thresholds,
)
from orandnet_core.metrics.agreement import agreement_counts
from orandnet_core.metrics.levels import BestLevels


@pytest.fixture(scope="module")
def counts(make_images, count_images):
    """Maps that know something: scores are higher inside their class."""
    images = make_images(seed=41, count=30)
    informed = []
    for image in images:
        inside = image.mask[None] == image.class_ids[:, None, None]
        informed.append(image._replace(cam=0.5 * image.cam + 0.4 * inside.astype(np.float32)))
    return count_images(informed)


def test_the_oracle_is_the_best_of_all_thresholds(counts):
    for metric in ("iou", "precision", "recall", "f1"):
        choice = thresholds.oracle(counts, metric)
        means = counts.total().metrics.mean(metric)
        assert means[np.flatnonzero(choice.value == THRESHOLDS)[0]] == means.max()
    assert choice.rule == "oracle"
    assert choice.seen_ids == frozenset(counts.image_ids)
    assert choice.unseen(["image-1", "stranger"]) == ("stranger",)


def test_calibrated_sees_k_images_and_no_more(counts):
    choice = thresholds.calibrated(counts, k=4)
    assert len(choice.seen_ids) == 4
    assert choice.value == thresholds.oracle(counts.select(sorted(choice.seen_ids))).value
    assert len(choice.unseen(counts.image_ids)) == 26
    assert thresholds.calibrated(counts, k=4, seed=1).seen_ids != choice.seen_ids


def test_calibration_scores_every_draw_on_the_rest(counts):
    result = thresholds.calibration(counts, k=4, draws=8)
    first = thresholds.calibrated(counts, k=4)
    rest = counts.select(first.unseen(counts.image_ids)).total()
    assert result.thresholds[0] == first.value
    assert result.iou[0] == rest.at(first.value).mean_iou
    assert result.precision[0] == rest.at(first.value).mean_precision
    assert result.recall[0] == rest.at(first.value).mean_recall
    assert result.f1[0] == rest.at(first.value).mean("f1")
    assert result.best[0] == rest.metrics.mean_iou.max()
    assert (result.regret >= 0).all()
    assert result.regret[0] == result.best[0] - result.iou[0]
    assert len(set(result.thresholds)) > 1
    assert "4 of 30 images" in result.chosen_on


def test_precision_target_is_the_smallest_that_its_bound_allows(counts):
    target = 0.6
    choice = thresholds.precision_target(counts, target, resamples=200)
    bound = np.quantile(bootstrap(counts, 200).precision[1:], 0.05, axis=0)
    index = np.flatnonzero(choice.value == THRESHOLDS)[0]
    assert bound[index] >= target
    assert (bound[:index] < target).all()
    assert counts.total().at(choice.value).mean_precision > target
    with pytest.raises(RangeError, match="no threshold has a precision of 99.9%"):
        thresholds.precision_target(counts, 0.999, resamples=50)


def test_precision_over_recall_is_where_the_curves_cross(counts):
    choice = thresholds.precision_over_recall(counts)
    metrics = counts.total().metrics
    exceeds = metrics.mean_precision > metrics.mean_recall
    index = np.flatnonzero(choice.value == THRESHOLDS)[0]
    assert exceeds[index]
    assert not exceeds[:index].any()


def test_precision_over_recall_can_fail(count_images, make_images):
    image = make_images(seed=1)[0]
    blank = image._replace(
        cam=np.zeros((1, 9, 11)), class_ids=np.array([1]), mask=np.zeros((9, 11), np.uint8)
    )
    with pytest.raises(RangeError, match="at no threshold"):
        thresholds.precision_over_recall(count_images([blank]))


def test_no_labels_finds_the_area_that_the_networks_see():
    """Both networks see the same 30 of 100 pixels, at scales and with noise of their own."""
    rng = np.random.default_rng(0)
    inside = np.arange(100).reshape(1, 10, 10) < 30

    def best(above: float, below: float) -> BestLevels:
        cam = np.where(inside, above, below) + rng.normal(0, 0.02, inside.shape)
        return BestLevels.of(cam.clip(0, 1), np.array([1]), 2)

    cnn, vit, fused = best(0.8, 0.3), best(0.5, 0.1), best(0.95, 0.6)
    for source, low, high in [(cnn, 0.3, 0.8), (vit, 0.1, 0.5), (fused, 0.6, 0.95)]:
        choice = thresholds.no_labels(agreement_counts(source, cnn, vit))
        assert low < choice.value < high
        assert (source.levels > choice.value * 256).sum() == 30
        assert choice.rule == "no_labels"
        assert choice.seen_ids == frozenset()
    with pytest.raises(DataError, match="no pixel"):
        thresholds.no_labels(Agreement.merged([]))


def test_fixed_is_what_it_is_told():
    assert thresholds.fixed(0.3).value == 0.3
    with pytest.raises(RangeError, match=r"1\.2"):
        thresholds.fixed(1.2)


def test_k_must_leave_images_to_score(counts):
    for k in (0, 30):
        with pytest.raises(RangeError, match=f"k is {k}"):
            thresholds.calibrated(counts, k=k)


def test_without_pixels_no_threshold_is_best():
    with pytest.raises(DataError, match="no counted pixel"):
        thresholds.oracle(ImageCounts.merged([], 3))


def test_the_table_lists_every_rule():
    assert list(THRESHOLD_RULES) == [
        "fixed",
        "oracle",
        "calibrated",
        "precision_target",
        "precision_over_recall",
        "no_labels",
    ]
    for name, rule in THRESHOLD_RULES.items():
        assert rule.name == rule.choose.__name__ == name
        assert rule.needs in ("nothing", "masks", "two networks")


def test_calibration_over_a_thousand_classes_looks_at_those_that_occur(counts, monkeypatch):
    seen, mean = [], Metrics.mean
    monkeypatch.setattr(
        Metrics, "mean", lambda self, name: seen.append(len(self.predicted)) or mean(self, name)
    )
    few = thresholds.calibration(counts, k=4, draws=3)
    many = thresholds.calibration(replace(counts, num_classes=1001), k=4, draws=3)
    assert max(seen) <= 5
    np.testing.assert_array_equal(many.regret, few.regret)


def test_the_best_threshold_of_a_total_is_the_oracles(counts):
    assert thresholds.best_threshold(counts.total(), "f1") == thresholds.oracle(counts, "f1").value
