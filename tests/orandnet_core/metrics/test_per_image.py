import numpy as np
import pytest

from orandnet_core.metrics import (
    ImageCounts,
    confusion,
    image_counts,
    image_traits,
    metrics_of,
    per_image,
    sweep,
)
from orandnet_core.metrics.thresholds import oracle
from orandnet_core.pseudo_mask import pseudo_mask


@pytest.mark.parametrize("threshold", [0, 77 / 256, 0.5, 255 / 256])
def test_every_image_equals_its_own_confusion_matrix(make_images, count_images, threshold):
    images = make_images(seed=11, count=8)
    scores = per_image(count_images(images), threshold)
    assert scores.image_ids == tuple(image.image_id for image in images)
    for row, image in enumerate(images):
        mask = pseudo_mask(image.cam, image.class_ids, threshold)
        expected = metrics_of(confusion(image.mask, mask, 5))
        assert scores.precision[row] == pytest.approx(expected.mean_precision)
        assert scores.recall[row] == pytest.approx(expected.mean_recall)
        assert scores.iou[row] == pytest.approx(expected.mean_iou)
        assert scores.f1[row] == pytest.approx(expected.mean_fbeta(1))


def test_an_image_without_counted_pixels_has_no_score():
    counts = image_counts(np.zeros((1, 2, 2)), np.array([1]), np.full((2, 2), 255, np.uint8), 3, "x")
    scores = per_image(counts, 0.5)
    assert scores.image_ids == ("x",)
    assert np.isnan(scores.iou).all()


def test_no_image_has_no_row():
    scores = per_image(ImageCounts.merged([], 3), 0.5)
    assert scores.image_ids == ()
    assert scores.precision.shape == scores.recall.shape == scores.iou.shape == scores.f1.shape == (0,)


def test_blocks_do_not_change_the_scores(make_images, count_images, monkeypatch):
    counts = count_images(make_images(seed=12, count=7))
    whole = per_image(counts, 0.25)
    monkeypatch.setattr(sweep, "_BLOCK", 3)
    in_blocks = per_image(counts, 0.25)
    np.testing.assert_array_equal(whole.iou, in_blocks.iou)
    assert whole.image_ids == in_blocks.image_ids


def test_the_best_threshold_of_an_image_is_its_own_oracle(make_images, count_images, monkeypatch):
    counts = count_images(make_images(seed=13, count=9))
    monkeypatch.setattr(sweep, "_BLOCK", 4)
    best = image_traits(counts).best_thresholds
    assert best.shape == (9,)
    for row, image_id in enumerate(counts.image_ids):
        assert best[row] == oracle(counts.select([image_id])).value


def test_the_best_threshold_is_no_number_where_nothing_counts():
    counts = image_counts(np.zeros((1, 2, 2)), np.array([1]), np.full((2, 2), 255, np.uint8), 3, "x")
    assert np.isnan(image_traits(counts).best_thresholds).all()
    assert image_traits(counts.select([])).shown.shape == (0, 3)


def test_shown_classes_are_those_of_the_mask(make_images, count_images, monkeypatch):
    images = make_images(seed=14, count=9)
    monkeypatch.setattr(sweep, "_BLOCK", 4)
    shown = image_traits(count_images(images)).shown
    for row, image in enumerate(images):
        assert set(np.flatnonzero(shown[row])) == set(np.unique(image.mask)) - {255}
