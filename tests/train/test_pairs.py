"""Training pairs: the same for the same (seed, epoch, image), photograph and mask in step at every size."""

import numpy as np
import pytest
import torch

from orandnet_core.errors import DataError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.mask_scaling import scale_mask
from tests.train.conftest import COLOURS
from train.config import PairAugmentConfig
from train.pairs import TrainingPairs, augmented, scaled_pair

PLAIN = PairAugmentConfig(crop_px=32, resize=(1.0, 1.0), colour_jitter=0.0, flip=False)
RANDOM = PairAugmentConfig(crop_px=32, resize=(0.5, 1.5))


def pairs_of(dataset, augment=RANDOM, mask_scaling="nearest", seed=5):
    return TrainingPairs(dataset, dataset.image_ids("train"), dataset.mask, augment, mask_scaling, seed)


def test_a_pair_depends_on_seed_epoch_and_image_alone(squares):
    first = pairs_of(squares)[0, 3, 32]
    torch.manual_seed(123)
    np.random.default_rng(1).random()
    for one, other in zip(first, pairs_of(squares)[0, 3, 32], strict=True):
        assert torch.equal(one, other)
    assert first[0].shape == (3, 32, 32)
    assert first[0].dtype == torch.uint8
    assert first[1].shape == (32, 32)
    assert first[1].dtype == torch.int64
    assert not torch.equal(pairs_of(squares)[1, 3, 32][0], first[0])
    assert not torch.equal(pairs_of(squares, seed=6)[0, 3, 32][0], first[0])


def inside(mask, label):
    """(S, S) bool: pixels whose neighbours, as far as two away, all have the label: away from edges."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(mask == label, 2), (5, 5))
    return around.all((2, 3))


@pytest.mark.parametrize("side_px", [32, 16])
def test_masks_lie_on_their_photographs(squares, side_px):
    """Every label's pixels have its square's colour, whatever was cut, mirrored and scaled."""
    augment = PairAugmentConfig(crop_px=32, resize=(0.8, 1.5), colour_jitter=0.0)
    pairs = pairs_of(squares, augment, "majority")
    seen = dict.fromkeys((1, 2, 3), 0)
    for epoch in range(6):
        for index in range(len(pairs)):
            image, mask = (part.numpy() for part in pairs[epoch, index, side_px])
            for label, colour in enumerate(COLOURS.values(), 1):
                pixels = image[:, inside(mask, label)]
                seen[label] += pixels.shape[1]
                assert (np.abs(pixels - np.array(colour)[:, None]) < 40).all()
    assert min(seen.values()) > 50


@pytest.mark.parametrize("how", ["nearest", "majority"])
def test_a_smaller_side_shows_the_same_crop_smaller(squares, how):
    pairs = pairs_of(squares, mask_scaling=how)
    for index in range(4):
        (large, mask), (small, small_mask) = pairs[2, index, 32], pairs[2, index, 16]
        np.testing.assert_array_equal(small_mask, scale_mask(mask.numpy().astype(np.uint8), (16, 16), how))
        blocks = large.float().view(3, 16, 2, 16, 2).mean((2, 4))
        assert (small.float() - blocks).abs().mean() < 12  # bilinear weighs neighbours too


def test_a_photograph_larger_than_the_crop_is_cut(squares):
    image, mask = squares.image(squares.image_ids("train")[0]), squares.mask(squares.image_ids("train")[0])
    found = set()
    for seed in range(200):
        crop, part = augmented(image, mask, PLAIN, np.random.default_rng(seed))
        (place,) = [
            (y, x)
            for y in range(17)
            for x in range(17)
            if np.array_equal(image[y : y + 32, x : x + 32], crop)
        ]
        np.testing.assert_array_equal(part, mask[place[0] : place[0] + 32, place[1] : place[1] + 32])
        found.add(place)
    assert {y for y, _ in found} == set(range(17))


def test_a_photograph_smaller_than_the_crop_is_padded_and_the_padding_ignored():
    image, mask = np.full((10, 40, 3), 7, np.uint8), np.ones((10, 40), np.uint8)
    tops = set()
    for seed in range(200):
        crop, part = augmented(image, mask, PLAIN, np.random.default_rng(seed))
        rows = np.flatnonzero((part == 1).all(1))
        assert len(rows) == 10
        assert (crop[rows] == 7).all()
        others = np.setdiff1d(np.arange(32), rows)
        assert (part[others] == IGNORE_INDEX).all()
        assert (crop[others] == 128).all()
        tops.add(rows[0])
    assert tops == set(range(23))


def test_half_of_the_crops_are_mirrored_in_both():
    image = np.repeat(np.arange(32, dtype=np.uint8)[None, :, None], 32, 0).repeat(3, 2)
    mask = image[..., 0].copy()
    augment = PairAugmentConfig(crop_px=32, resize=(1.0, 1.0), colour_jitter=0.0)
    mirrored = 0
    for seed in range(100):
        crop, part = augmented(image, mask, augment, np.random.default_rng(seed))
        np.testing.assert_array_equal(crop[..., 0], part)
        mirrored += part[0, 0] == 31
    assert 30 < mirrored < 70


def test_colours_change_and_the_mask_does_not(squares):
    image_id = squares.image_ids("train")[0]
    image, mask = squares.image(image_id), squares.mask(image_id)
    strong = PairAugmentConfig(crop_px=32, resize=(1.0, 1.0), colour_jitter=0.5, flip=False)
    plain, jittered = (augmented(image, mask, how, np.random.default_rng(2)) for how in (PLAIN, strong))
    np.testing.assert_array_equal(jittered[1], plain[1])
    assert np.abs(jittered[0].astype(int) - plain[0]).mean() > 3


def test_scaling_to_the_same_size_changes_nothing():
    image, mask = np.zeros((8, 9, 3), np.uint8), np.zeros((8, 9), np.uint8)
    same = scaled_pair(image, mask, (8, 9), "majority")
    assert same[0] is image
    assert same[1] is mask


@pytest.mark.parametrize("damage", ["photograph", "mask", "missing mask", "size", "label"])
def test_what_cannot_be_read_is_passed_over(squares, caplog, damage):
    ids = squares.image_ids("train")
    whole = pairs_of(squares)[0, 3, 32]
    mask_of = squares.mask
    if damage == "photograph":
        squares.image_path_of(ids[2]).write_bytes(b"not a photograph")
    elif damage == "mask":
        squares.mask_path_of(ids[2]).write_bytes(b"not a mask")
    elif damage == "missing mask":
        squares.mask_path_of(ids[2]).unlink()
    else:
        wrong = np.zeros((4, 4), np.uint8) if damage == "size" else np.full((48, 48), 9, np.uint8)
        mask_of = lambda image_id: wrong if image_id == ids[2] else squares.mask(image_id)  # noqa: E731
    pairs = TrainingPairs(squares, ids, mask_of, RANDOM, "nearest", 5)
    for one, other in zip(pairs[0, 2, 32], whole, strict=True):
        assert torch.equal(one, other)
    assert "passed over" in caplog.text


def test_nothing_to_read_is_an_error(squares):
    pairs = TrainingPairs(squares, squares.image_ids("train"), lambda image_id: None, RANDOM, "nearest", 0)
    with pytest.raises(DataError, match="none of 8 training images"):
        pairs[0, 0, 32]
