"""The losses against their formulae, pixel by pixel."""

import math

import pytest
import torch
from torch.nn import functional as F

from orandnet_core.segmentation_loss import cross_entropy, smoothed_bce

SCORES = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
MASKS = torch.randint(0, 4, (2, 3, 5), generator=torch.Generator().manual_seed(1))
MASKS[0, 1] = 255
MASKS[1, :, 2] = 255


def decided():
    """(scores of the classes, label) of every decided pixel."""
    for image, row, column in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(5)):
        label = int(MASKS[image, row, column])
        if label != 255:
            yield SCORES[image, :, row, column].tolist(), label


def test_cross_entropy_is_its_formula():
    losses = [math.log(sum(map(math.exp, scores))) - scores[label] for scores, label in decided()]
    assert cross_entropy(SCORES, MASKS).item() == pytest.approx(sum(losses) / len(losses))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cross_entropy_is_torchs_without_the_operation_that_a_gpu_cannot_repeat(dtype):
    scores = [SCORES.to(dtype, copy=True).requires_grad_() for _ in range(2)]
    ours = cross_entropy(scores[0], MASKS)
    theirs = F.cross_entropy(scores[1], MASKS, ignore_index=255)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    ours.backward()
    theirs.backward()
    torch.testing.assert_close(scores[0].grad, scores[1].grad, atol=1e-7, rtol=1e-6)
    assert any("NllLoss" in name for name in operations(theirs))
    assert not any("NllLoss" in name for name in operations(ours))


def operations(value: torch.Tensor) -> set[str]:
    """The names of all that a value was made by, with a gradient."""
    names, waiting = set(), [value.grad_fn]
    while waiting:
        function = waiting.pop()
        names.add(function.name())
        waiting += [before for before, _ in function.next_functions if before]
    return names


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_smoothed_bce_is_its_formula(smoothing):
    losses = []
    for scores, label in decided():
        loss = 0.0
        for index, score in enumerate(scores):
            target = 1 - smoothing / 2 if index == label else smoothing / 2
            probability = 1 / (1 + math.exp(-score))
            loss -= target * math.log(probability) + (1 - target) * math.log(1 - probability)
        losses.append(loss)
    assert smoothed_bce(SCORES, MASKS, smoothing).item() == pytest.approx(sum(losses) / len(losses))


def test_smoothing_puts_the_best_score_at_a_finite_place():
    """At sigmoid(x) = 1 - s / 2 for the label the gradient is zero; beyond, it points back."""
    best = math.log((1 - 0.05) / 0.05)
    scores = torch.tensor([best, -best, -best, -best]).view(1, 4, 1, 1).requires_grad_()
    smoothed_bce(scores, torch.zeros(1, 1, 1, dtype=torch.long), 0.1).backward()
    torch.testing.assert_close(scores.grad, torch.zeros_like(scores), atol=1e-6, rtol=0)


@pytest.mark.parametrize("loss", [cross_entropy, smoothed_bce])
def test_undecided_pixels_pull_at_nothing(loss):
    scores = SCORES.clone().requires_grad_()
    loss(scores, MASKS).backward()
    assert (scores.grad.abs().sum(1) > 0).equal(MASKS != 255)


@pytest.mark.parametrize("loss", [cross_entropy, smoothed_bce])
def test_without_a_decided_pixel_the_loss_is_zero(loss):
    scores = SCORES.clone().requires_grad_()
    value = loss(scores, torch.full_like(MASKS, 255))
    value.backward()
    assert value.item() == 0
    assert not scores.grad.any()
