"""Kinds of wrong pixels against masks made by hand, and against a loop over pixels."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from orandnet_core.errors import ShapeError
from orandnet_core.mining.kinds import (
    CONFUSION,
    CONFUSION_BOUNDARY,
    FALSE_POSITIVE,
    FALSE_POSITIVE_BOUNDARY,
    KINDS,
    MISSED_BOUNDARY,
    MISSED_INSTANCE,
    MISSED_PART,
    RIGHT,
    band_px_of,
    error_kinds,
    object_areas,
)

LABELS = st.sampled_from([0, 0, 1, 2, 255])


def kinds_of_row(target: list[int], prediction: list[int], band_px: float) -> list[int]:
    return error_kinds(*np.array([target, prediction], np.uint8)[:, None], band_px)[0].tolist()


@pytest.mark.parametrize(
    ("target", "prediction", "expected"),
    [
        pytest.param([0, 0, 0, 1, 1], [1, 1, 1, 1, 1], [1, 1, 2, 0, 0], id="false positives"),
        pytest.param([0, 0, 0], [1, 1, 1], [1, 1, 1], id="a class that is nowhere has no outline"),
        pytest.param([1, 1, 1, 2, 2], [2, 2, 2, 2, 2], [3, 3, 4, 0, 0], id="confusions"),
        pytest.param([1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 6, 6, 7, 0], id="a missed part and a rim"),
        pytest.param([1, 1, 0, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 5, 5], id="a missed instance, rim included"),
        pytest.param([1, 1, 255, 0], [0, 1, 1, 1], [6, 0, 255, 1], id="what is ignored is of no kind"),
        pytest.param([0, 255, 1, 1], [1, 1, 1, 1], [1, 255, 0, 0], id="the ignored strip has its width"),
    ],
)  # fmt: skip
def test_masks_with_a_known_answer(target, prediction, expected):
    assert kinds_of_row(target, prediction, band_px=1) == expected


def test_a_wider_band_reaches_over_the_ignored_strip():
    assert kinds_of_row([0, 255, 1, 1], [1, 1, 1, 1], band_px=2) == [FALSE_POSITIVE_BOUNDARY, 255, 0, 0]


def test_the_band_is_two_percent_of_the_diagonal():
    assert band_px_of((300, 400)) == pytest.approx(10)
    assert band_px_of((5, 5)) == 1
    target = np.zeros((300, 400), np.uint8)
    target[:, 200:] = 1
    prediction = target.copy()
    prediction[:, 185:] = 1
    kinds = error_kinds(target, prediction)
    assert (kinds[:, 190:200] == FALSE_POSITIVE_BOUNDARY).all()
    assert (kinds[:, 185:190] == FALSE_POSITIVE).all()
    assert (kinds[:, :185] == RIGHT).all()


def brute_force(target: np.ndarray, prediction: np.ndarray, band_px: float) -> np.ndarray:
    """Pixel by pixel, in the words of the descriptions."""
    kinds = np.zeros(target.shape, np.uint8)
    parts = {
        label: cv2.connectedComponents((target == label).astype(np.uint8), connectivity=8)[1]
        for label in np.unique(target)
    }
    for pixel in np.ndindex(target.shape):
        true, claimed = target[pixel], prediction[pixel]
        if true == 255:
            kinds[pixel] = 255
        elif true != claimed:
            there = np.argwhere(target == claimed)
            near = len(there) > 0 and np.hypot(*(there - pixel).T).min() <= band_px
            if claimed == 0:
                whole = parts[true] == parts[true][pixel]
                touched = (prediction[whole & (target == true)] == true).any()
                kinds[pixel] = (MISSED_BOUNDARY if near else MISSED_PART) if touched else MISSED_INSTANCE
            elif true == 0:
                kinds[pixel] = FALSE_POSITIVE_BOUNDARY if near else FALSE_POSITIVE
            else:
                kinds[pixel] = CONFUSION_BOUNDARY if near else CONFUSION
    return kinds


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, (6, 9), elements=LABELS), arrays(np.uint8, (6, 9), elements=st.integers(0, 3)))
def test_every_pixel_is_of_the_kind_that_a_loop_finds(target, prediction):
    for band_px in (1, 2.3):
        np.testing.assert_array_equal(
            error_kinds(target, prediction, band_px), brute_force(target, prediction, band_px)
        )


@given(arrays(np.uint8, (6, 9), elements=LABELS), arrays(np.uint8, (6, 9), elements=st.integers(0, 3)))
def test_every_wrong_pixel_is_of_exactly_one_kind(target, prediction):
    kinds = error_kinds(target, prediction)
    wrong = (target != 255) & (target != prediction)
    np.testing.assert_array_equal(np.isin(kinds, list(KINDS)), wrong)
    np.testing.assert_array_equal(kinds == RIGHT, (target != 255) & (target == prediction))


def test_areas_are_those_of_connected_objects():
    target = np.array([[1, 0, 0, 2], [0, 1, 0, 2], [1, 0, 255, 1]], np.uint8)
    np.testing.assert_array_equal(object_areas(target), [[3, 0, 0, 2], [0, 3, 0, 2], [3, 0, 0, 1]])


def test_masks_of_two_sizes_are_refused():
    with pytest.raises(ShapeError, match=r"\(2, 3\) and mask \(3, 2\)"):
        error_kinds(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))
