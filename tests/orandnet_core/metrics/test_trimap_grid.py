import numpy as np
import pytest

from orandnet_core.errors import DataError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.metrics import GRID_THRESHOLDS, TrimapGrid, trimap_counts
from orandnet_core.pseudo_mask import trimap

CLASSES = 5


def test_every_pair_of_thresholds_equals_brute_force(make_images):
    images = make_images(seed=5, count=4, num_classes=CLASSES)
    others = make_images(seed=6, count=4, num_classes=CLASSES)
    # Two maps of the same classes: the second half of a longer one would have other classes.
    pairs = [
        (image, np.resize(other.cam, image.cam.shape) if other.cam.size else image.cam[:, ::-1])
        for image, other in zip(images, others, strict=True)
    ]
    grid = TrimapGrid.merged(
        [trimap_counts(image.cam, and_cam, image.class_ids, image.mask, CLASSES) for image, and_cam in pairs],
        CLASSES,
    )
    target = np.concatenate([image.mask.ravel() for image in images])
    counted = target != IGNORE_INDEX
    present = np.unique(target[counted])
    for i, or_threshold in enumerate(GRID_THRESHOLDS[::3]):
        for j, and_threshold in enumerate(GRID_THRESHOLDS[::3]):
            decisions = [
                trimap(i_.cam, a, i_.class_ids, or_threshold, and_threshold).ravel() for i_, a in pairs
            ]
            decision = np.concatenate(decisions)
            decided = counted & (decision != IGNORE_INDEX)
            right = decided & (decision == target)
            point = 3 * i, 3 * j
            assert grid.coverage[point] == decided.sum() / counted.sum()
            assert grid.precision[point] == right.sum() / decided.sum()
            by_class = [
                right[decision == c].sum() / max((decided & (decision == c)).sum(), 1) for c in present
            ]
            assert grid.mean_precision[point] == pytest.approx(np.mean(by_class))
            assert grid.at(or_threshold, and_threshold) == (grid.coverage[point], grid.precision[point])


def test_where_nothing_is_decided_precision_is_undefined():
    cam = np.full((1, 2, 2), 1.0, np.float32)
    grid = trimap_counts(cam, cam * 0, np.array([1]), np.zeros((2, 2), np.uint8), 2)
    assert not grid.coverage.any()
    assert np.isnan(grid.precision).all()
    empty = TrimapGrid.merged([], 2)
    assert np.isnan(empty.coverage).all()
    assert np.isnan(empty.mean_precision).all()


def test_sizes_that_differ_are_a_data_error():
    cam = np.zeros((1, 2, 2), np.float32)
    with pytest.raises(DataError, match="photo: the mask is"):
        trimap_counts(cam, cam, np.array([1]), np.zeros((2, 3), np.uint8), 2, "photo")
