import numpy as np
import pytest
from sklearn.metrics import jaccard_score, precision_score, recall_score

from orandnet_core.errors import DataError, RangeError, ShapeError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.metrics import GRID_THRESHOLDS, Surfaces, surface_counts

CLASSES = 5


@pytest.fixture(scope="module")
def pairs(make_images):
    return [(image, image.cam[:, ::-1] ** 2) for image in make_images(seed=8, count=6, num_classes=CLASSES)]


@pytest.fixture(scope="module")
def surfaces(pairs):
    parts = [
        surface_counts(image.cam, vit_cam, image.class_ids, image.mask, CLASSES) for image, vit_cam in pairs
    ]
    return Surfaces.merged(parts, CLASSES)


@pytest.mark.parametrize(("how", "combine"), [("or", np.logical_or), ("and", np.logical_and)])
def test_every_pair_of_thresholds_equals_brute_force(pairs, surfaces, how, combine):
    for class_id in surfaces.class_ids:
        metrics = surfaces.metrics(how, class_id)
        for i in range(0, 64, 15):
            for j in range(0, 64, 15):
                truth, found = [], []
                for image, vit_cam in pairs:
                    counted = image.mask != IGNORE_INDEX
                    truth.append((image.mask == class_id)[counted])
                    if class_id in image.class_ids:
                        k = image.class_ids.tolist().index(class_id)
                        passed = combine(image.cam[k] > GRID_THRESHOLDS[i], vit_cam[k] > GRID_THRESHOLDS[j])
                        found.append(passed[counted])
                    else:
                        found.append(np.zeros(counted.sum(), bool))
                truth_all, found_all = np.concatenate(truth), np.concatenate(found)
                for score, judge in [
                    (metrics.precision, precision_score),
                    (metrics.recall, recall_score),
                    (metrics.iou, jaccard_score),
                ]:
                    assert score[0, i, j] == pytest.approx(judge(truth_all, found_all, zero_division=0))


@pytest.mark.parametrize("how", ["or", "and"])
def test_means_are_over_the_classes_that_have_maps(surfaces, how):
    every = surfaces.metrics(how)
    one_by_one = [surfaces.metrics(how, class_id).iou[0] for class_id in surfaces.class_ids]
    np.testing.assert_array_equal(every.iou, one_by_one)
    np.testing.assert_allclose(every.mean_iou, np.mean(one_by_one, axis=0))


def test_images_without_classes_still_count_their_pixels():
    mask = np.array([[0, 2], [2, 255]], np.uint8)
    nothing = np.zeros((0, 2, 2), np.float32)
    surfaces = Surfaces.merged([surface_counts(nothing, nothing, np.zeros(0, int), mask, 3)], 3)
    assert surfaces.class_ids.size == 0
    assert surfaces.target.tolist() == [1, 0, 2]


def test_errors_name_what_was_found(surfaces):
    with pytest.raises(RangeError, match="'xor'"):
        surfaces.metrics("xor")
    with pytest.raises(DataError, match="no image has maps of class 77"):
        surfaces.metrics("or", 77)
    cam, mask = np.zeros((1, 2, 2), np.float32), np.zeros((2, 2), np.uint8)
    with pytest.raises(ShapeError, match=r"vit_cam \(1, 1, 2\)"):
        surface_counts(cam, cam[:, :1], np.array([1]), mask, 3)
    with pytest.raises(RangeError, match=r"\[7\]"):
        surface_counts(cam, cam, np.array([7]), mask, 3)
