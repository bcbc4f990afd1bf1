"""The random walk against powers of the dense matrix, in float64 and pair by pair."""

from fractions import Fraction
from math import comb, dist

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orandnet_core.errors import RangeError, ShapeError
from orandnet_core.irn import walk
from orandnet_core.irn.pairs import path_to
from orandnet_core.irn.walk import affinities, chebyshev_terms, random_walk


def dense_transition(boundary, radius, beta):
    """(n, n) float64, every two pixels looked at."""
    height, width = boundary.shape
    pixels = [(y, x) for y in range(height) for x in range(width)]
    matrix = np.eye(len(pixels))
    for i, (y, x) in enumerate(pixels):
        for j, (v, u) in enumerate(pixels[:i]):
            if dist((y, x), (v, u)) < radius:
                between = max(boundary[v + a, u + b] for a, b in path_to((y - v, x - u)))
                matrix[i, j] = matrix[j, i] = (1 - between) ** beta
    return matrix / matrix.sum(1, keepdims=True)


def dense_walk(maps, boundary, radius, beta, steps):
    maps, boundary = np.asarray(maps, np.float64), np.asarray(boundary, np.float64)
    power = np.linalg.matrix_power(dense_transition(boundary, radius, beta), steps)
    return ((maps * (1 - boundary)).reshape(len(maps), -1) @ power.T).reshape(maps.shape)


def a_case(seed, classes, height, width, sharpness=3):
    generator = torch.Generator().manual_seed(seed)
    boundary = torch.rand(height, width, generator=generator) ** sharpness
    return torch.rand(classes, height, width, generator=generator), boundary


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 3),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    radius=st.integers(2, 6),
    beta=st.sampled_from([0.5, 1.0, 10.0]),
    steps=st.sampled_from([0, 1, 2, 7, 64, 256, 255]),
    sharpness=st.sampled_from([1, 3, 8]),
)
def test_the_walk_is_the_dense_power(seed, classes, height, width, radius, beta, steps, sharpness):
    maps, boundary = a_case(seed, classes, height, width, sharpness)
    ours = random_walk(maps, boundary, radius=radius, beta=beta, steps=steps)
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours, dense_walk(maps, boundary, radius, beta, steps), atol=1e-4)


def test_the_published_walk_is_far_more_exact_than_asked_for():
    maps, boundary = a_case(0, 2, 20, 26)
    ours = random_walk(maps, boundary)
    np.testing.assert_allclose(ours, dense_walk(maps, boundary, 5, 10, 256), atol=1.5e-5)


def test_fewer_products_stay_within_the_tolerance(monkeypatch):
    maps, boundary = a_case(1, 1, 16, 16)
    calls = []
    moved = walk._Stencil._moved
    monkeypatch.setattr(walk._Stencil, "_moved", lambda *args: calls.append(1) or moved(*args))
    short = random_walk(maps, boundary)
    assert 60 < len(calls) < 110
    monkeypatch.setattr(walk, "TOLERANCE", 0.0)
    calls.clear()
    whole = random_walk(maps, boundary)
    assert len(calls) > 150
    assert 0 < (short - whole).abs().max() < 1e-5


def test_nothing_crosses_a_closed_boundary_and_it_spreads_within():
    boundary = torch.zeros(12, 20)
    boundary[:, 9] = 1
    maps = torch.zeros(1, 12, 20)
    maps[0, 5, 3] = 1
    (walked,) = random_walk(maps, boundary)
    assert not walked[:, 9:].any()
    assert walked[:, :9].min() > 0
    assert walked[:, :9].max() < 0.2


def test_a_constant_map_stays_as_it_is():
    maps = torch.full((1, 15, 17), 0.7)
    walked = random_walk(maps, torch.zeros(15, 17), steps=4096)
    torch.testing.assert_close(walked, maps, atol=1e-6, rtol=0)


def test_values_stay_within_the_maps():
    maps, boundary = a_case(2, 3, 18, 14, sharpness=8)
    walked = random_walk(maps, boundary)
    start = maps * (1 - boundary)
    assert walked.min() >= 0
    assert (walked.amax((1, 2)) <= start.amax((1, 2))).all()


def test_classes_do_not_see_each_other():
    maps, boundary = a_case(3, 3, 9, 11)
    together = random_walk(maps, boundary)
    alone = torch.cat([random_walk(maps[k : k + 1], boundary) for k in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_no_class_is_no_map():
    assert random_walk(torch.zeros(0, 4, 5), torch.zeros(4, 5)).shape == (0, 4, 5)


def test_affinities_by_hand():
    boundary = torch.tensor([[0.0, 0.5, 0.2]])
    right, two_right = affinities(boundary, radius=3, beta=2)[:2, 0]
    torch.testing.assert_close(right, torch.tensor([0.25, 0.25, 0.0]))
    torch.testing.assert_close(two_right, torch.tensor([0.25, 0.0, 0.0]))


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 64, 257])
def test_chebyshev_terms_are_the_exact_binomials(steps):
    terms, after = chebyshev_terms(steps)
    exact = [
        Fraction(comb(steps, (steps - k) // 2) * (1 if k == 0 else 2), 2**steps)
        if (steps - k) % 2 == 0
        else 0
        for k in range(steps + 1)
    ]
    padded = np.zeros(steps + 1)
    padded[: len(terms)] = terms
    np.testing.assert_allclose(padded, [float(c) for c in exact], rtol=1e-10, atol=1e-25)
    for k in range(len(terms)):
        assert after[k] == pytest.approx(float(sum(exact[k + 1 :])), rel=1e-9, abs=1e-25)
    x = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(np.polynomial.chebyshev.chebval(x, terms), x**steps, atol=1e-12)


@pytest.mark.parametrize(
    ("maps", "boundary", "settings", "error", "words"),
    [
        (torch.zeros(1, 4, 5), torch.zeros(5, 4), {}, ShapeError, r"\(1, 4, 5\) and the boundary \(5, 4\)"),
        (torch.zeros(4, 5), torch.zeros(4, 5), {}, ShapeError, r"must be \(K, h, w\)"),
        (torch.zeros(1, 4, 5), torch.full((4, 5), 1.5), {}, RangeError, r"in \[0, 1\]"),
        (torch.zeros(1, 4, 5), torch.full((4, 5), torch.nan), {}, RangeError, r"in \[0, 1\]"),
        (torch.zeros(1, 4, 5), torch.zeros(4, 5), {"radius": 1}, RangeError, "radius 1"),
        (torch.zeros(1, 4, 5), torch.zeros(4, 5), {"steps": -1}, RangeError, "-1 steps"),
        (torch.zeros(1, 4, 5), torch.zeros(4, 5), {"beta": -1.0}, RangeError, "beta -1"),
        (torch.zeros(1, 4, 5), torch.zeros(4, 5), {"beta": 0.0}, RangeError, "beta 0.0"),
    ],
)
def test_what_cannot_be_walked_is_refused(maps, boundary, settings, error, words):
    with pytest.raises(error, match=words):
        random_walk(maps, boundary, **settings)


@pytest.mark.gpu
def test_a_gpu_walks_the_same_way():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    maps, boundary = a_case(4, 2, 30, 41)
    ours = random_walk(maps.cuda(), boundary.cuda()).cpu()
    torch.testing.assert_close(ours, random_walk(maps, boundary), atol=2e-5, rtol=0)
