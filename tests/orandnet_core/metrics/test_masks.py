"""Masks in the place of maps: the confusion of their labels, at every threshold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from orandnet_core.errors import DataError
from orandnet_core.metrics import MASK_THRESHOLD, ImageCounts, bootstrap, confusion, mask_counts, metrics_of

PREDICTIONS = arrays(np.uint8, (5, 6), elements=st.integers(0, 4))
TARGETS = arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 4, 255]))


@settings(max_examples=40, deadline=None)
@given(PREDICTIONS, TARGETS)
def test_the_counts_hold_the_confusion_of_the_labels(prediction, target):
    sweep = mask_counts(prediction, target, 5).total()
    for index in (0, 128, 255):
        np.testing.assert_array_equal(sweep.confusion(index), confusion(target, prediction, 5))


def test_resamples_are_confusions_of_resampled_images():
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 4, (6, 2, 20, 20), np.uint8)
    parts = [mask_counts(prediction, target, 4, str(i)) for i, (prediction, target) in enumerate(pairs)]
    resampled = bootstrap(ImageCounts.merged(parts, 4), resamples=20, seed=3)
    draws = np.random.default_rng(3)
    by_hand = [metrics_of(sum(confusion(target, prediction, 4) for prediction, target in pairs)).mean_iou]
    for _ in range(20):
        drawn = pairs[draws.integers(6, size=6)]
        by_hand.append(
            metrics_of(sum(confusion(target, prediction, 4) for prediction, target in drawn)).mean_iou
        )
    np.testing.assert_allclose(resampled.at("iou", MASK_THRESHOLD), by_hand)


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        (np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), "label 255.*must be 0..3"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), r"mask is \(2, 3\)"),
        (np.zeros((2, 2), np.uint8), np.full((2, 2), 9, np.uint8), "label 9"),
    ],
)
def test_masks_that_do_not_fit_are_named(prediction, target, message):
    with pytest.raises(DataError, match=message):
        mask_counts(prediction, target, 4, "cat_1")
