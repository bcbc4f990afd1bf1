"""IR labels against their definition, pixel by pixel, and after the CRF on an image with clear edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orandnet_core.crf import IRN, crf_labels
from orandnet_core.errors import ShapeError
from orandnet_core.ir_labels import ir_label
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.pseudo_mask import pseudo_mask, trimap

CLASS_IDS = np.array([3, 8])
label_maps = hnp.arrays(np.uint8, (4, 5), elements=st.sampled_from([0, 3, 8]))


def by_hand(confident: np.ndarray, possible: np.ndarray) -> np.ndarray:
    expected = np.zeros(confident.shape, np.uint8)
    for at in np.ndindex(confident.shape):
        if confident[at] != 0:
            expected[at] = confident[at]
        elif possible[at] != 0:
            expected[at] = IGNORE_INDEX
    return expected


@given(label_maps, label_maps)
def test_foreground_goes_first_and_background_needs_both(confident: np.ndarray, possible: np.ndarray):
    image = np.zeros((4, 5, 3), np.uint8)
    before = confident.copy()
    found = ir_label(image, confident, possible, CLASS_IDS, preset=None)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, by_hand(confident, possible))
    np.testing.assert_array_equal(confident, before)


@given(hnp.arrays(np.float32, (2, 4, 5), elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])))
def test_without_a_crf_the_thresholds_of_or_and_and_make_a_trimap(or_cam: np.ndarray):
    and_cam = or_cam[::-1] ** 2
    confident, possible = (
        pseudo_mask(cam, CLASS_IDS, threshold) for cam, threshold in ((and_cam, 0.3), (or_cam, 0.4))
    )
    found = ir_label(np.zeros((4, 5, 3), np.uint8), confident, possible, CLASS_IDS, preset=None)
    np.testing.assert_array_equal(found, trimap(or_cam, and_cam, CLASS_IDS, 0.4, 0.3))


def test_both_maps_are_cleaned_before_they_are_combined():
    pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    rng = np.random.default_rng(0)
    image = np.full((24, 30, 3), 30, np.uint8)
    image[6:18, 8:22] = (220, 120, 40)
    image += rng.integers(0, 6, image.shape, np.uint8)
    confident, possible = np.zeros((2, 24, 30), np.uint8)
    confident[7:17, 9:20] = 8
    possible[4:19, 6:25] = 8
    cleaned = [crf_labels(image, each, CLASS_IDS, IRN) for each in (confident, possible)]
    found = ir_label(image, confident, possible, CLASS_IDS)
    np.testing.assert_array_equal(found, by_hand(*cleaned))
    # The colours say where the object ends: nothing outside is foreground, nothing inside background.
    inside = np.zeros((24, 30), bool)
    inside[6:18, 8:22] = True
    assert set(np.unique(found[inside])) <= {8, IGNORE_INDEX}
    assert set(np.unique(found[~inside])) <= {0, IGNORE_INDEX}
    assert np.mean(found == np.where(inside, 8, 0)) > 0.95


def test_an_image_without_classes_is_background():
    image = np.zeros((4, 5, 3), np.uint8)
    empty = np.zeros((4, 5), np.uint8)
    assert (ir_label(image, empty, empty, np.array([], int)) == 0).all()


def test_maps_of_two_sizes():
    empty = np.zeros((4, 5), np.uint8)
    with pytest.raises(ShapeError, match=r"\(4, 5\) and possible \(3, 5\)"):
        ir_label(np.zeros((4, 5, 3), np.uint8), empty, empty[1:], CLASS_IDS)
