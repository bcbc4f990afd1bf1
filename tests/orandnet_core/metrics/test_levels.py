import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orandnet_core.errors import DataError, RangeError, ShapeError
from orandnet_core.metrics.levels import (
    GRID_THRESHOLDS,
    THRESHOLDS,
    BestLevels,
    Truth,
    grid_levels,
    grid_threshold_index,
    levels_of,
    threshold_index,
)

on_the_grid = st.integers(0, 256).map(lambda i: i / 256)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@given(st.data())
def test_levels_count_the_thresholds_exceeded(dtype, data):
    width = np.dtype(dtype).itemsize * 8
    scores = data.draw(hnp.arrays(dtype, 20, elements=on_the_grid | st.floats(0, 1, width=width)))
    # One step beside a threshold must fall on its own side.
    beside = np.nextafter(scores, data.draw(st.sampled_from([0, 1])), dtype=dtype)
    for values in (scores, beside):
        np.testing.assert_array_equal(levels_of(values), (values[:, None] > THRESHOLDS).sum(axis=1))
        np.testing.assert_array_equal(
            grid_levels(levels_of(values)), (values[:, None] > GRID_THRESHOLDS).sum(axis=1)
        )


def test_rounding_is_forgiven_and_nonsense_is_not():
    assert levels_of(np.array([-1e-4, 1 + 1e-4])).tolist() == [0, 256]
    assert levels_of(np.zeros((0, 3))).shape == (0, 3)
    for nonsense in (np.nan, 2.0, -0.5):
        with pytest.raises(RangeError, match="scores span"):
            levels_of(np.array([0.5, nonsense]))


def test_thresholds_snap_to_the_nearest():
    assert [threshold_index(t) for t in (0, 0.3, 77 / 256, 1)] == [0, 77, 77, 255]
    assert [grid_threshold_index(t) for t in (0, 0.5, 1)] == [0, 32, 63]
    with pytest.raises(RangeError, match=r"1\.1"):
        threshold_index(1.1)
    with pytest.raises(RangeError, match="nan"):
        threshold_index(float("nan"))


def test_truth_numbers_its_labels():
    truth = Truth.of(np.array([[7, 0], [255, 7]], np.uint8), num_classes=8)
    assert truth.labels.tolist() == [0, 7, 255]
    assert truth.counted.tolist() == [True, True, False]
    assert truth.lanes.tolist() == [[1, 0], [2, 1]]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.array([[9]]), "photo: the mask has label 9; this data set has 0..4"),
        (np.array([[-1]]), "labels from 0 up"),
        (np.array([[0.5]]), "float64"),
        (np.zeros((2, 2, 3), np.uint8), r"\(2, 2, 3\)"),
    ],
)
def test_masks_are_checked(mask, message):
    with pytest.raises(DataError, match=message):
        Truth.of(mask, 5, "photo")


def test_maps_are_checked():
    cam = np.zeros((2, 3, 3), np.float32)
    with pytest.raises(ShapeError, match="one map each"):
        BestLevels.of(cam, np.array([1]), 5)
    with pytest.raises(RangeError, match=r"\[1, 5\]"):
        BestLevels.of(cam, np.array([1, 5]), 5)
    with pytest.raises(RangeError, match=r"\[0, 1\]: with 5"):
        BestLevels.of(cam, np.array([0, 1]), 5)
