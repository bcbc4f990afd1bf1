import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orandnet_core.errors import DataError
from orandnet_core.metrics import THRESHOLDS, ImageCounts, Sweep, confusion, image_counts, metrics_of, sweep
from orandnet_core.pseudo_mask import pseudo_mask


def brute_force(images, index: int, num_classes: int) -> np.ndarray:
    """The way without histograms: a mask and a confusion matrix per image and threshold."""
    threshold = THRESHOLDS[index]
    masks = (pseudo_mask(image.cam, image.class_ids, threshold) for image in images)
    return sum(confusion(image.mask, mask, num_classes) for image, mask in zip(images, masks, strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_threshold_equals_brute_force(make_images, count_images, dtype):
    images = make_images(seed=0, dtype=dtype)
    sweep = count_images(images).total()
    for index, threshold in enumerate(THRESHOLDS):
        expected = brute_force(images, index, 5)
        np.testing.assert_array_equal(sweep.confusion(index), expected)
        here, there = sweep.at(threshold), metrics_of(expected)
        for name in ("true_positive", "predicted", "target"):
            np.testing.assert_array_equal(getattr(here, name), getattr(there, name))
        for name in ("precision", "recall", "iou"):
            np.testing.assert_array_equal(getattr(here, name), getattr(there, name))
            assert sweep.metrics.mean(name)[index] == there.mean(name)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), index=st.integers(0, 255))
def test_random_images_equal_brute_force(make_images, count_images, seed, index):
    images = make_images(seed, count=2, num_classes=4, size_hw=(5, 6))
    np.testing.assert_array_equal(
        count_images(images, 4).total().confusion(index), brute_force(images, index, 4)
    )


def test_any_subset_is_a_sum(make_images, count_images):
    images = make_images(seed=3)
    counts = count_images(images)
    subset = [images[4], images[0], images[3]]
    selected = counts.select(image.image_id for image in subset)
    assert selected.image_ids == ("image-4", "image-0", "image-3")
    expected = count_images(subset)
    for name in ("image", "predicted", "target", "levels"):
        np.testing.assert_array_equal(getattr(selected, name), getattr(expected, name))
    rest = [image for image in images if image not in subset]
    np.testing.assert_array_equal(
        (counts.total() - selected.total()).confusion(100), brute_force(rest, 100, 5)
    )
    np.testing.assert_array_equal(
        Sweep.sum_of([selected, count_images(rest)]).confusion(100), brute_force(images, 100, 5)
    )
    with pytest.raises(DataError, match="'stranger' is not among the 6 images"):
        counts.select(["stranger"])


def test_nothing_counted_has_no_scores():
    ignored = image_counts(np.zeros((1, 2, 2)), np.array([1]), np.full((2, 2), 255, np.uint8), 3, "x")
    for counts in (ignored, ImageCounts.merged([], 3), ignored.select([])):
        assert np.isnan(counts.total().metrics.mean_iou).all()
        assert not counts.total().confusion(0).any()
    assert ignored.image_ids == ("x",)


def test_sizes_that_differ_are_a_data_error():
    with pytest.raises(DataError, match=r"photo: the mask is \(3, 2\) and the maps are \(2, 3\)"):
        image_counts(np.zeros((1, 2, 3)), np.array([1]), np.zeros((3, 2), np.uint8), 3, "photo")


def test_rows_grow_with_the_classes_shown_not_with_all_classes():
    rng = np.random.default_rng(0)
    class_ids = np.array([3, 255, 998])
    mask = rng.choice([0, 255, 998, 65535], (20, 20))
    counts = image_counts(rng.random((3, 20, 20)), class_ids, mask, 1000, ignore_index=65535)
    assert counts.levels.shape == (9, 257)
    assert counts.total().metrics.iou.shape == (1000, 256)
    assert counts.levels.sum() == (mask != 65535).sum()


def test_classes_numbered_anew_have_the_same_means(make_images, count_images):
    counts = count_images(make_images(seed=5), 1001)
    total = counts.total()
    classes = sweep.classes_counted(total)
    assert classes[0] == 0
    assert set(classes) == {0, *total.predicted.tolist(), *total.target.tolist()}
    assert len(classes) <= 5
    small = sweep.of_classes(total, classes)
    assert small.num_classes == len(classes)
    for name in ("iou", "precision", "recall", "f1"):
        np.testing.assert_array_equal(small.metrics.mean(name), total.metrics.mean(name))
    of_blocks = Sweep.sum_of(sweep.of_classes(block, classes) for block in counts.blocks())
    np.testing.assert_array_equal(of_blocks.levels, small.levels)
