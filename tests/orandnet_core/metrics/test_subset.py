"""Counts of some images against those counted from these images alone."""

import numpy as np
import pytest

from orandnet_core.errors import DataError
from orandnet_core.metrics import CountsOfSome, bootstrap, per_image, sweep

CHOSEN = (0, 3, 4, 8)


@pytest.fixture
def subset(make_images, count_images, monkeypatch):
    """Four of nine images, counted with the others and by themselves."""
    monkeypatch.setattr(sweep, "_BLOCK", 3)  # one of the blocks has none of them
    images = make_images(seed=15, count=9)
    chosen = [images[place] for place in CHOSEN]
    some = CountsOfSome(count_images(images), tuple(image.image_id for image in chosen))
    return some, count_images(chosen)


def test_the_sum_is_that_of_the_chosen_images(subset):
    some, alone = subset
    for name in ("predicted", "target", "levels"):
        np.testing.assert_array_equal(getattr(some.total(), name), getattr(alone.total(), name))
    np.testing.assert_array_equal(some.total().metrics.mean_iou, alone.total().metrics.mean_iou)


def test_single_images_and_resamples_too(subset):
    some, alone = subset
    np.testing.assert_array_equal(per_image(some, 0.25).iou, per_image(alone, 0.25).iou)
    np.testing.assert_allclose(bootstrap(some, 20).iou, bootstrap(alone, 20).iou)
    assert bootstrap(some, 20).image_ids == alone.image_ids


def test_fewer_of_them_can_be_selected_and_no_others(subset):
    some, alone = subset
    ids = alone.image_ids[2:0:-1]
    assert some.select(ids).image_ids == ids
    np.testing.assert_array_equal(some.select(ids).levels, alone.select(ids).levels)
    with pytest.raises(DataError, match="'image-1' is not among the 4 images chosen"):
        some.select(["image-1"])
