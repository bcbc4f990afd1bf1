import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    confusion_matrix,
    f1_score,
    fbeta_score,
    jaccard_score,
    precision_score,
    recall_score,
)
from torchmetrics.classification import MulticlassJaccardIndex

from orandnet_core.errors import DataError, RangeError, ShapeError
from orandnet_core.metrics import confusion, metrics_of

CLASSES = 6


def random_masks(seed: int, labels=(0, 1, 2, 4, 255)) -> tuple[np.ndarray, np.ndarray]:
    """A target that lacks classes 3 and 5, and a prediction that has 3."""
    rng = np.random.default_rng(seed)
    return rng.choice(labels, (13, 17)).astype(np.uint8), rng.choice([0, 1, 2, 3, 4], (13, 17)).astype(
        np.uint8
    )


@given(st.integers(0, 1000))
def test_confusion_equals_scikit_learn(seed):
    target, prediction = random_masks(seed)
    counted = target != 255
    expected = confusion_matrix(target[counted], prediction[counted], labels=range(CLASSES))
    np.testing.assert_array_equal(confusion(target, prediction, CLASSES), expected)


@given(st.integers(0, 1000), st.sampled_from([0.5, 1.0, 2.0]))
def test_scores_equal_scikit_learn(seed, beta):
    target, prediction = random_masks(seed)
    metrics = metrics_of(confusion(target, prediction, CLASSES))
    counted = target != 255
    truth, found = target[counted], prediction[counted]
    present = np.unique(truth)
    for ours, theirs in [
        (metrics.precision, precision_score),
        (metrics.recall, recall_score),
        (metrics.iou, jaccard_score),
        (metrics.f1, f1_score),
        (metrics.fbeta(beta), lambda *args, **kwargs: fbeta_score(*args, beta=beta, **kwargs)),
    ]:
        expected = theirs(truth, found, labels=present, average=None, zero_division=0)
        np.testing.assert_allclose(ours[present], expected, rtol=1e-12)
        assert np.isnan(np.delete(ours, present)).all()
        np.testing.assert_allclose(metrics.mean_of(ours), expected.mean(), rtol=1e-12)


@given(st.integers(0, 1000))
def test_mean_iou_equals_torchmetrics_where_every_class_has_pixels(seed):
    target, prediction = random_masks(seed, labels=(0, 1, 2, 3, 4, 255))
    judge = MulticlassJaccardIndex(num_classes=5, average="macro", ignore_index=255)
    expected = judge(torch.from_numpy(prediction).long(), torch.from_numpy(target).long())
    ours = metrics_of(confusion(target, prediction, 5)).mean_iou
    np.testing.assert_allclose(ours, expected.item(), rtol=1e-6)


def test_a_class_that_is_never_predicted_has_precision_0():
    metrics = metrics_of(confusion(np.array([[0, 1]]), np.array([[0, 0]]), 3))
    np.testing.assert_array_equal(metrics.precision, [0.5, 0, np.nan])
    np.testing.assert_array_equal(metrics.recall, [1, 0, np.nan])
    np.testing.assert_array_equal(metrics.fbeta(), [2 / 3, 0, np.nan])
    assert metrics.mean_precision == 0.25
    assert metrics.mean("recall") == 0.5
    with pytest.raises(RangeError, match="'accuracy'; it must be one of iou, precision, recall, f1"):
        metrics.mean("accuracy")
    assert metrics.mean_fbeta() == pytest.approx(1 / 3)


def test_without_pixels_means_are_undefined():
    metrics = metrics_of(confusion(np.array([[255]], np.uint8), np.array([[1]]), 3))
    assert np.isnan(metrics.mean_iou)


def test_a_thousand_classes_can_ignore_another_label():
    target, prediction = np.array([[255, 999, 1000]]), np.array([[255, 998, 0]])
    counts = confusion(target, prediction, 1000, ignore_index=1000)
    assert counts[255, 255] == counts[999, 998] == 1
    assert counts.sum() == 2


def test_errors_name_the_label():
    with pytest.raises(ShapeError, match=r"\(1, 2\).*\(2, 1\)"):
        confusion(np.zeros((1, 2), int), np.zeros((2, 1), int), 2)
    with pytest.raises(DataError, match="target has label 7"):
        confusion(np.array([[7]]), np.array([[0]]), 2)
    with pytest.raises(DataError, match="prediction has label -1"):
        confusion(np.array([[0]]), np.array([[-1]]), 2)
