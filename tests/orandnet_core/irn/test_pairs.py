"""Pairs against loops over pixels: which there are, their labels, and the largest value between them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orandnet_core.errors import RangeError
from orandnet_core.irn.pairs import half_disc, pair_labels, path_maximum, path_to


@pytest.mark.parametrize(("radius", "count"), [(2, 4), (5, 34), (10, 152)])
def test_a_disc_is_its_half_its_mirror_image_and_the_centre(radius, count):
    reach = range(-radius, radius + 1)
    disc = {(y, x) for y in reach for x in reach if math.hypot(y, x) < radius}
    half = [tuple(offset) for offset in half_disc(radius).tolist()]
    assert len(half) == count
    assert half == sorted(half)
    assert {*half, *((-y, -x) for y, x in half), (0, 0)} == disc


@pytest.mark.parametrize("radius", [-1, 0, 1])
def test_a_radius_without_neighbours_is_refused(radius):
    with pytest.raises(RangeError, match="from 2 on"):
        half_disc(radius)


@pytest.mark.parametrize(
    ("offset", "path"),
    [
        ((0, 3), [(0, 0), (0, 1), (0, 2), (0, 3)]),
        ((2, 0), [(0, 0), (1, 0), (2, 0)]),
        ((1, -1), [(0, -1), (0, 0), (1, -1), (1, 0)]),
        ((1, 2), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]),
        ((2, 2), [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)]),
    ],
)
def test_a_path_by_hand(offset, path):
    assert path_to(offset) == path


def test_no_path_slips_through_a_diagonal_boundary():
    boundary = torch.eye(9).flip(0)[None]
    strongest = path_maximum(boundary, 5)[0].numpy()
    for p, (dy, dx) in enumerate(half_disc(5).tolist()):
        for y in range(9 - dy):
            for x in range(max(0, -dx), 9 - max(0, dx)):
                if (y + x - 8) * (y + dy + x + dx - 8) <= 0:  # on different sides, or on it
                    assert strongest[p, y, x] == 1


def brute_maximum(values, radius):
    """Pair by pair and pixel by pixel, with the distance from the line taken by trigonometry."""
    count, height, width = values.shape
    offsets = half_disc(radius).tolist()
    found = np.full((count, len(offsets), height, width), np.inf)
    for p, (dy, dx) in enumerate(offsets):
        angle = math.atan2(dy, dx)
        for y in range(height):
            for x in range(width):
                if not (y + dy < height and 0 <= x + dx < width):
                    continue
                between = [
                    (i, j)
                    for i in range(y, y + dy + 1)
                    for j in range(min(x, x + dx), max(x, x + dx) + 1)
                    if abs((i - y) * math.cos(angle) - (j - x) * math.sin(angle)) < 1 - 1e-9
                ]
                found[:, p, y, x] = np.max([values[:, i, j] for i, j in between], axis=0)
    return found


@settings(max_examples=10)
@given(st.integers(2, 6), st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32 - 1), st.integers(1, 2))
def test_the_path_maximum_is_that_of_its_pixels(radius, height, width, seed, count):
    values = np.random.default_rng(seed).normal(size=(count, height, width)).astype(np.float32)
    ours = path_maximum(torch.from_numpy(values), radius).numpy()
    np.testing.assert_array_equal(ours, brute_maximum(values, radius))


def test_the_path_maximum_at_the_radius_of_training():
    values = np.random.default_rng(0).normal(size=(1, 11, 8)).astype(np.float32)
    np.testing.assert_array_equal(path_maximum(torch.from_numpy(values), 10), brute_maximum(values, 10))


def test_integers_keep_their_type_and_their_outside():
    values = torch.arange(6).view(1, 2, 3)
    ours = path_maximum(values, 2, outside=99)
    assert ours.dtype == torch.int64
    assert ours[0, 0].tolist() == [[1, 2, 99], [4, 5, 99]]  # one to the right


def brute_labels(labels, radius):
    """By a double loop over all pixels: (foreground, background, negative) sets of index pairs."""
    height, width = labels.shape
    pixels = [(y, x) for y in range(height) for x in range(width)]
    kinds = set(), set(), set()
    for i, (y, x) in enumerate(pixels):
        for v, u in pixels[i + 1 :]:
            a, b = labels[y, x], labels[v, u]
            if (v - y) ** 2 + (u - x) ** 2 < radius**2 and a != 255 and b != 255:
                kinds[2 if a != b else int(a == 0)].add(((y, x), (v, u)))
    return kinds


@settings(max_examples=15)
@given(st.integers(2, 10), st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_labels_are_those_of_a_double_loop(radius, height, width, seed):
    labels = np.random.default_rng(seed).choice([0, 1, 2, 255], (1, height, width)).astype(np.uint8)
    pairs = pair_labels(torch.from_numpy(labels), radius)
    offsets = half_disc(radius).tolist()
    for ours, expected in zip(
        (pairs.foreground, pairs.background, pairs.negative), brute_labels(labels[0], radius), strict=True
    ):
        assert ours.dtype == torch.bool
        found = [((y, x), (y + offsets[p][0], x + offsets[p][1])) for _, p, y, x in ours.nonzero().tolist()]
        assert len(found) == len(set(found))
        assert set(found) == expected


def test_images_of_a_batch_do_not_meet():
    labels = torch.randint(0, 3, (3, 6, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    together = pair_labels(labels, 4)
    for b in range(3):
        alone = pair_labels(labels[b : b + 1], 4)
        assert torch.equal(together.negative[b], alone.negative[0])
        assert torch.equal(together.foreground[b], alone.foreground[0])
