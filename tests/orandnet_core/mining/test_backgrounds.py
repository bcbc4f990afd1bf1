"""Backgrounds that anybody can tell apart are told apart, and named so."""

import numpy as np
import pytest

from orandnet_core.errors import DataError
from orandnet_core.mining.backgrounds import (
    NO_BACKGROUND,
    Backgrounds,
    background_cells,
    cell_features,
    learn_backgrounds,
)


def photo_of(height: int = 64, width: int = 64) -> np.ndarray:
    """Blue sky above, red ground with dark horizontal lines below."""
    photo = np.zeros((height, width, 3), np.uint8)
    photo[: height // 2] = (90, 150, 230)
    photo[height // 2 :] = (150, 40, 30)
    photo[height // 2 + 2 :: 4] = (40, 10, 10)
    return photo


@pytest.fixture
def backgrounds() -> Backgrounds:
    return learn_backgrounds([background_cells(photo_of(), np.zeros((64, 64), np.uint8))] * 2, count=2)


def test_sky_and_ground_are_two_backgrounds(backgrounds):
    found = backgrounds.of_pixels(photo_of(), np.zeros((64, 64), np.uint8))
    sky, ground = found[4, 4], found[60, 4]
    assert sky != ground
    assert (found[:24] == sky).all()
    assert (found[40:] == ground).all()
    assert "blue" in backgrounds.names[sky]
    assert "smooth" in backgrounds.names[sky] or "high" in backgrounds.names[sky]
    assert "horizontal lines" in backgrounds.names[ground]
    assert "low" in backgrounds.names[ground]


def test_objects_do_not_count_and_have_no_background(backgrounds):
    target = np.zeros((64, 64), np.uint8)
    target[20:44] = 1
    target[:, :8] = 255
    photo = photo_of()
    photo[target != 0] = (0, 255, 0)
    found = backgrounds.of_pixels(photo, target)
    np.testing.assert_array_equal(found == NO_BACKGROUND, target != 0)
    np.testing.assert_array_equal(
        found[target == 0], backgrounds.of_pixels(photo_of(), np.zeros((64, 64), np.uint8))[target == 0]
    )


def test_features_are_means_over_counted_pixels():
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (10, 20, 3)).astype(np.uint8)
    counted = rng.random((10, 20)) < 0.5
    features, cells, shares = cell_features(photo, counted)
    assert features.shape == (8 * 16, 9)
    heights = np.broadcast_to(np.linspace(0, 1, 10)[:, None], (10, 20))
    for cell in range(len(features)):
        inside = cells == cell
        assert shares[cell] == pytest.approx(counted[inside].mean())
        expected = heights[inside & counted].mean() if (inside & counted).any() else 0
        assert features[cell, -1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 40), (10, 15), (15, 3), (16, 1)])
def test_a_cell_has_at_least_a_pixel(size_hw):
    photo = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    features, cells, shares = cell_features(photo, np.ones(size_hw, bool))
    np.testing.assert_array_equal(np.unique(cells), np.arange(len(features)))
    np.testing.assert_array_equal(shares, 1)
    learned = learn_backgrounds([background_cells(photo, np.zeros(size_hw, np.uint8))])
    assert learned.of_pixels(photo, np.zeros(size_hw, np.uint8)).shape == size_hw


def test_names_are_all_different():
    centres = np.tile([0.5, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.5], (3, 1))
    assert Backgrounds(centres, np.ones(9)).names == (
        "grey, smooth (1)",
        "grey, smooth (2)",
        "grey, smooth (3)",
    )


def test_the_same_images_give_the_same_backgrounds(backgrounds):
    again = learn_backgrounds([background_cells(photo_of(), np.zeros((64, 64), np.uint8))] * 2, count=2)
    np.testing.assert_array_equal(again.centres, backgrounds.centres)


def test_fewer_kinds_of_cell_than_asked_for_give_fewer_backgrounds():
    cells = np.repeat([[0.2] * 9, [0.8] * 9], 5, axis=0)
    assert len(learn_backgrounds([cells], count=20).centres) == 2


def test_no_background_at_all_is_said():
    with pytest.raises(DataError, match="no background pixel"):
        learn_backgrounds([])
