"""The losses against the paper's formulae, written out by loops, and their gradients against autograd's."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orandnet_core.irn.losses import boundary_loss, displacement_loss, strongest_counts
from orandnet_core.irn.pairs import half_disc, pair_labels, path_to


def kinds_of(labels, radius):
    """Every labelled pair: (kind, image, pixel, partner, offset)."""
    count, height, width = labels.shape
    for b in range(count):
        for y in range(height):
            for x in range(width):
                for dy, dx in half_disc(radius).tolist():
                    v, u = y + dy, x + dx
                    if not (v < height and 0 <= u < width) or 255 in (labels[b, y, x], labels[b, v, u]):
                        continue
                    same = labels[b, y, x] == labels[b, v, u]
                    kind = ("background" if labels[b, y, x] == 0 else "foreground") if same else "negative"
                    yield kind, b, (y, x), (v, u), (dy, dx)


def boundary_by_loops(logits, labels, radius):
    """CVPR 2019, the affinity loss: differentiable, a term a pair."""
    terms = {"foreground": [], "background": [], "negative": []}
    scores = torch.sigmoid(logits)
    for kind, b, (y, x), _, offset in kinds_of(labels, radius):
        affinity = 1 - torch.stack([scores[b, y + i, x + j] for i, j in path_to(offset)]).max()
        terms[kind].append(-torch.log(affinity if kind != "negative" else 1 - affinity))
    foreground, background, negative = map(mean_of, terms.values())
    return foreground / 2 + background / 2 + negative + 0 * logits.sum()


def displacement_by_loops(displacement, labels, radius):
    terms = {"foreground": [], "background": [], "negative": []}
    for kind, b, (y, x), (v, u), offset in kinds_of(labels, radius):
        difference = displacement[b, :, y, x] - displacement[b, :, v, u]
        wanted = torch.tensor(offset if kind == "foreground" else (0, 0), dtype=difference.dtype)
        terms[kind].append((difference - wanted).abs().sum())
    return mean_of(terms["foreground"]) + mean_of(terms["background"]) + 0 * displacement.sum()


def mean_of(terms):
    return torch.stack(terms).mean() if terms else torch.zeros(())


def a_case(seed, height=5, width=4, count=2):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 0, 1, 2, 255], (count, height, width)).astype(np.uint8)
    logits = torch.tensor(rng.normal(size=labels.shape, scale=2).astype(np.float32), requires_grad=True)
    field = rng.normal(size=(count, 2, height, width), scale=2).astype(np.float32)
    return torch.from_numpy(labels), logits, torch.tensor(field, requires_grad=True)


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_the_boundary_loss_and_its_gradient_are_those_of_the_formula(seed, radius):
    labels, logits, _ = a_case(seed)
    ours = boundary_loss(logits, pair_labels(labels, radius), radius)
    expected = boundary_by_loops(logits, labels.numpy(), radius)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (ours, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_the_displacement_loss_and_its_gradient_are_those_of_the_formula(seed, radius):
    labels, _, field = a_case(seed)
    ours = displacement_loss(field, pair_labels(labels, radius), radius)
    expected = displacement_by_loops(field, labels.numpy(), radius)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    gradients = [torch.autograd.grad(loss, field)[0] for loss in (ours, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("height", [1, 3])
def test_a_grid_smaller_than_the_disc(height):
    labels, logits, field = a_case(1, height=height, width=7)
    pairs = pair_labels(labels, 6)
    expected = boundary_by_loops(logits, labels.numpy(), 6), displacement_by_loops(field, labels.numpy(), 6)
    ours = boundary_loss(logits, pairs, 6), displacement_loss(field, pairs, 6)
    for loss, by_loops in zip(ours, expected, strict=True):
        torch.testing.assert_close(loss, by_loops, rtol=1e-4, atol=1e-5)


def test_each_pair_is_counted_at_the_pixel_that_decides_it():
    labels = torch.tensor([[[1, 1, 0]]], dtype=torch.uint8)
    logits = torch.tensor([[[-3.0, 2.0, -1.0]]])
    counts = strongest_counts(logits, pair_labels(labels, 3), 3)
    assert counts[:, 0, 0].tolist() == [[0, 1, 0], [0, 0, 0], [0, 2, 0]]


def test_order_holds_for_every_kind_of_float():
    values = [-math.inf, -1e30, -1.5, -1e-30, 0.0, 1e-30, 1.5, 1e30, math.inf]
    for low, high in zip(values, values[1:], strict=False):
        logits = torch.tensor([[[high, low]], [[low, high]]])
        pairs = pair_labels(torch.tensor([[[1, 2]], [[1, 2]]], dtype=torch.uint8), 2)
        assert strongest_counts(logits, pairs, 2)[2].tolist() == [[[1, 0]], [[0, 1]]]


def test_half_precision_is_computed_in_float32():
    labels, logits, field = a_case(0)
    pairs = pair_labels(labels, 3)
    half = logits.detach().half(), field.detach().half()
    assert boundary_loss(half[0], pairs, 3) == boundary_loss(half[0].float(), pairs, 3)
    assert displacement_loss(half[1], pairs, 3) == displacement_loss(half[1].float(), pairs, 3)


def test_sure_and_right_costs_nothing_and_sure_and_wrong_stays_finite():
    labels = torch.tensor([[[1, 1, 255, 0, 0]]], dtype=torch.uint8)
    pairs = pair_labels(labels, 4)
    right = torch.tensor([[[-60.0, -60, 60, -60, -60]]])
    assert boundary_loss(right, pairs, 4) < 1e-20
    assert boundary_loss(-right, pairs, 4) == pytest.approx(60)  # the two means of like pairs, halved
    to_centre = torch.zeros(1, 2, 1, 5)
    to_centre[0, 1, 0, :2] = torch.tensor([1.0, 0.0])
    assert displacement_loss(to_centre, pairs, 4) == 0


def test_without_a_known_pair_there_is_no_loss_and_no_gradient():
    pairs = pair_labels(torch.full((1, 4, 4), 255, dtype=torch.uint8), 3)
    logits, field = torch.randn(1, 4, 4, requires_grad=True), torch.randn(1, 2, 4, 4, requires_grad=True)
    loss = boundary_loss(logits, pairs, 3) + displacement_loss(field, pairs, 3)
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()
    assert not field.grad.any()


def test_two_processes_that_average_learn_as_one_with_all_images():
    labels, logits, field = a_case(3, count=4)
    whole = boundary_loss(logits, pair_labels(labels, 3), 3) + displacement_loss(
        field, pair_labels(labels, 3), 3
    )
    totals = []
    for half in (slice(0, 1), slice(1, 4)):  # unequal shares, so that a mean of means would differ
        boundary_loss(logits[half], pair_labels(labels[half], 3), 3, lambda own: totals.append(own) or own)
    mean = sum(totals) / 2

    def average(own):
        return mean[: len(own)]

    parts = [
        boundary_loss(logits[half], pair_labels(labels[half], 3), 3, average)
        + displacement_loss(field[half], pair_labels(labels[half], 3), 3, average)
        for half in (slice(0, 1), slice(1, 4))
    ]
    torch.testing.assert_close(sum(parts) / 2, whole)
