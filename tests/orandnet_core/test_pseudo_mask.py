import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orandnet_core.errors import RangeError, ShapeError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.pseudo_mask import best_map, pseudo_mask, trimap, undecided

# Few distinct values, so that ties between classes and with thresholds are common.
tied_maps = hnp.arrays(
    np.float32,
    st.tuples(st.integers(0, 4), st.integers(1, 4), st.integers(1, 4)),
    elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
)
CLASS_IDS = np.array([2, 5, 7, 9])


@given(tied_maps)
def test_best_map_is_max_and_argmax(cam):
    best, index = best_map(cam)
    if len(cam):
        np.testing.assert_array_equal(best, cam.max(axis=0))
        np.testing.assert_array_equal(index, cam.argmax(axis=0))
    else:
        assert not best.any()
        assert not index.any()


@given(tied_maps, st.sampled_from([0.0, 0.25, 0.3, 1.0]))
def test_pseudo_mask_is_argmax_with_background_first(cam, threshold):
    background = np.full((1, *cam.shape[1:]), threshold, np.float32)
    with_background = np.concatenate(
        [background, cam]
    )  # argmax gives ties to background: strictly greater wins
    expected = np.array([0, *CLASS_IDS])[with_background.argmax(axis=0)]
    mask = pseudo_mask(cam, CLASS_IDS[: len(cam)], threshold)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, expected)


@given(tied_maps, st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=4, max_size=4))
def test_thresholds_per_class_equal_a_loop_over_pixels(cam, thresholds):
    class_ids, thresholds = CLASS_IDS[: len(cam)], thresholds[: len(cam)]
    expected = np.zeros(cam.shape[1:], np.uint8)
    for y, x in np.ndindex(*cam.shape[1:]):
        passing = [k for k in range(len(cam)) if cam[k, y, x] > thresholds[k]]
        if passing:
            expected[y, x] = class_ids[max(passing, key=lambda k: (cam[k, y, x], -k))]
    np.testing.assert_array_equal(pseudo_mask(cam, class_ids, np.array(thresholds)), expected)
    by_class = dict(zip(class_ids.tolist(), thresholds, strict=True))
    np.testing.assert_array_equal(pseudo_mask(cam, class_ids, by_class), expected)


def test_trimap_decides_by_both_thresholds():
    or_map = np.array([[[0.1, 0.6, 0.9, 0.1]]], np.float32)
    and_map = np.array([[[0.0, 0.2, 0.8, 0.8]]], np.float32)
    decided = trimap(or_map, and_map, np.array([3]), or_threshold=0.3, and_threshold=0.5)
    # Neither; only OR; both; only AND, where foreground goes first.
    assert decided.tolist() == [[0, IGNORE_INDEX, 3, 3]]


@given(tied_maps, st.sampled_from([0.0, 0.25, 0.6]), st.sampled_from([0.0, 0.5, 0.75]))
def test_trimap_equals_its_definition(cam, or_threshold, and_threshold):
    class_ids, or_map, and_map = CLASS_IDS[: len(cam)], cam, cam[:, ::-1] ** 2
    found = trimap(or_map, and_map, class_ids, or_threshold, and_threshold)
    foreground = (and_map > and_threshold).any(axis=0)
    background = ~foreground & ~(or_map > or_threshold).any(axis=0)
    np.testing.assert_array_equal(
        found[foreground], pseudo_mask(and_map, class_ids, and_threshold)[foreground]
    )
    assert (found[background] == 0).all()
    assert (found[~foreground & ~background] == IGNORE_INDEX).all()


@given(tied_maps, st.sampled_from([0.25, 0.375, 1.0]), st.sampled_from([0.0, 0.125, 0.25, 0.5]))
def test_undecided_is_nearer_to_the_threshold_than_the_margin(cam, threshold, margin):
    found = undecided(cam, threshold, margin)
    for y, x in np.ndindex(*cam.shape[1:]):
        best = max((float(value) for value in cam[:, y, x]), default=0.0)
        assert found[y, x] == (threshold - margin < best < threshold + margin)
    assert margin or not found.any()


def test_errors_name_what_was_found():
    cam = np.zeros((2, 3, 3), np.float32)
    with pytest.raises(ShapeError, match=r"2 maps for class ids of shape \(1,\)"):
        pseudo_mask(cam, np.array([1]), 0.5)
    with pytest.raises(ShapeError, match=r"\(3, 3\)"):
        pseudo_mask(cam[0], np.array([1, 2, 3]), 0.5)
    with pytest.raises(ShapeError, match=r"\(3,\) thresholds for 2 classes"):
        pseudo_mask(cam, np.array([1, 2]), np.array([0.1, 0.2, 0.3]))
    with pytest.raises(ShapeError, match="no background threshold for class 2"):
        pseudo_mask(cam, np.array([1, 2]), {1: 0.5})
    with pytest.raises(RangeError, match=r"1\.5"):
        pseudo_mask(cam, np.array([1, 2]), 1.5)
    with pytest.raises(RangeError, match=r"\[0, 2\]"):
        pseudo_mask(cam, np.array([0, 2]), 0.5)
    with pytest.raises(RangeError, match=r"1\.\.254"):
        pseudo_mask(cam, np.array([1, 255]), 0.5)
    with pytest.raises(ShapeError, match=r"\(2, 3, 3\).*\(1, 3, 3\)"):
        trimap(cam, cam[:1], np.array([1, 2]), 0.5, 0.5)
