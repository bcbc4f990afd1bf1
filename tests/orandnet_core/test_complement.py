"""Who is right, lone claims and the bound, against loops over pixels and over every way to pick."""

from itertools import product

import numpy as np
import pytest

from orandnet_core.complement import Complement, JointCounts, complement, joint_counts
from orandnet_core.errors import ShapeError
from orandnet_core.metrics import confusion, metrics_of
from orandnet_core.metrics.thresholds import ThresholdChoice, fixed
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.scoring import Source


def table_of(target: np.ndarray, first: np.ndarray, second: np.ndarray, classes: int = 3) -> Complement:
    counts = joint_counts(target, first, second)
    table = np.zeros((classes,) * 3, np.int64)
    np.add.at(table, (counts.target, counts.first, counts.second), counts.pixels)
    return Complement(None, None, table)


@pytest.fixture(params=range(6))
def masks(request) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(request.param)
    target = rng.choice([0, 1, 2, 255], (5, 7)).astype(np.uint8)
    return target, *rng.integers(0, 3, (2, 5, 7)).astype(np.uint8)


def test_who_is_right_where_they_differ(masks):
    target, first, second = masks
    found = table_of(*masks)
    scored = target != 255
    for label in range(3):
        differ = scored & (target == label) & (first != second)
        expected = [
            (differ & (first == label)).sum(),
            (differ & (second == label)).sum(),
            (differ & (first != label) & (second != label)).sum(),
        ]
        assert found.right[label].tolist() == expected
        for who, (mine, other) in enumerate(((first, second), (second, first))):
            lone = scored & (mine == label) & (other != label)
            assert found.claims[label, who].tolist() == [
                (lone & (target != label)).sum(), (lone & (target == label)).sum()
            ]  # fmt: skip
    assert found.agree == pytest.approx((first == second)[scored].mean())
    for metrics, mask in zip(found.metrics, (first, second), strict=True):
        expected = metrics_of(confusion(target, mask, 3))
        np.testing.assert_array_equal(metrics.true_positive, expected.true_positive)
        np.testing.assert_array_equal(metrics.predicted, expected.predicted)


def test_no_way_to_pick_beats_the_bound():
    """All 2^9 ways to pick one of two labels at nine pixels."""
    rng = np.random.default_rng(3)
    target = rng.integers(0, 3, (1, 9)).astype(np.uint8)
    first, second = rng.integers(0, 3, (2, 1, 9)).astype(np.uint8)
    bound = table_of(target, first, second).bound
    best = np.zeros(3)
    for picks in product([False, True], repeat=9):
        picked = metrics_of(confusion(target, np.where(np.array(picks)[None], first, second), 3))
        best = np.maximum(best, np.nan_to_num(picked.iou))
        assert np.nan_to_num(picked.mean_iou) <= bound.mean_iou + 1e-12
    np.testing.assert_allclose(np.nan_to_num(bound.iou), best)  # class by class, it is reached


def test_without_a_third_label_the_bound_is_reached():
    rng = np.random.default_rng(4)
    target, first, second = rng.integers(0, 2, (3, 6, 6)).astype(np.uint8)
    picked = np.where(first == target, first, second)
    found = table_of(target, first, second, classes=2)
    assert found.bound.mean_iou == pytest.approx(metrics_of(confusion(target, picked, 2)).mean_iou)


def test_the_one_whose_lone_claims_are_right_is_trusted():
    target = np.array([[1, 1, 0, 0, 2, 0]], np.uint8)
    first = np.array([[1, 1, 1, 0, 0, 0]], np.uint8)
    second = np.array([[0, 0, 0, 1, 2, 0]], np.uint8)
    assert table_of(target, first, second).trust.tolist() == [0, 0, 1]
    assert table_of(target, first, first).trust.tolist() == [-1, -1, -1]


def test_images_are_summed_and_kept(tmp_path, dataset_with_photos, noisy_source):
    dataset, first = dataset_with_photos, noisy_source
    second = Source("flat", "flat-1", lambda i: (1 - first.cam_of(i)[0], first.cam_of(i)[1]))
    choices = fixed(0.5), fixed(0.6)
    found = complement(dataset, "train", (first, second), choices, cache_dir=tmp_path / "cache")
    table = np.zeros((4, 4, 4), np.int64)
    for image_id in dataset.image_ids("train"):
        target = dataset.mask(image_id)
        masks = [
            pseudo_mask(*s.cam_of(image_id), c.value) for s, c in zip((first, second), choices, strict=True)
        ]
        for pixel in np.argwhere(target != 255):
            at = tuple(pixel)
            table[target[at], masks[0][at], masks[1][at]] += 1
    np.testing.assert_array_equal(found.table, table)
    assert (found.first.threshold, found.second.threshold, found.first.images) == (0.5, 0.6, 7)
    gone = Source("flat", "flat-1", None)  # a second look reads no map
    again = complement(dataset, "train", (first, gone), choices, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(again.table, table)
    calibrated = ThresholdChoice(0.5, "calibrated", "2 of 7 images", frozenset("01"))
    assert complement(dataset, "train", (first, second), (calibrated, calibrated)).first.images == 5


def test_counts_of_no_image_and_of_masks_that_do_not_fit():
    assert JointCounts.merged([]).image_ids == ()
    with pytest.raises(ShapeError, match="must be the same"):
        joint_counts(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
