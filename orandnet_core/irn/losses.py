"""What the pairs teach the two branches: where boundaries are, and where an object's centre is.

Source: Ahn, Cho and Kwak, "Weakly Supervised Learning of Instance Segmentation with Inter-pixel
Relations", CVPR 2019, section 4.3.

Shape legend: B images, P offsets, (h, w) the grid of the boundary map.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from orandnet_core.irn.pairs import PairLabels, half_disc, path_maximum

_INDEX_BITS = 32  # the low bits of a key


def _as_they_are(totals: Tensor) -> Tensor:
    return totals


def boundary_loss(
    logits: Tensor,
    pairs: PairLabels,
    radius: int,
    average: Callable[[Tensor], Tensor] = _as_they_are,
) -> Tensor:
    """Cross entropy of the pairs' affinity, a = 1 - the largest boundary score on their path.

        - mean over foreground pairs of log(a) / 2 - mean over background pairs of log(a) / 2
        - mean over negative pairs of log(1 - a)

    A kind without pairs adds nothing. The score of a path is that of one pixel, so that the sum
    over pairs is one over pixels, each as often as it is the largest of a path of that kind:
    these counts need no gradient, and no value of a pair is kept for the backward pass.

    Args:
        logits: (B, h, w) of the boundary map before its sigmoid.
        pairs: of the same images, with the same radius.
        average: given the number of pairs of the three kinds, (3,) float32, returns the mean over
            all processes that train together; their averaged gradients are then those of one
            process with all images. By default there is one.

    Returns:
        A scalar, at least 0.
    """
    counts = strongest_counts(logits, pairs, radius).float()
    totals = average(counts.sum((1, 2, 3))).clamp(min=1 / logits.numel())
    foreground, background, negative = counts / totals.view(3, 1, 1, 1)
    logits = logits.float()
    # log(1 - sigmoid(x)) = -softplus(x), log(sigmoid(x)) = -softplus(-x)
    apart = (foreground + background) / 2 * F.softplus(logits)
    together = negative * F.softplus(-logits)
    return (apart + together).sum()


def displacement_loss(
    displacement: Tensor,
    pairs: PairLabels,
    radius: int,
    average: Callable[[Tensor], Tensor] = _as_they_are,
) -> Tensor:
    """How far a pair's displacements are from pointing at one place.

    For a foreground pair that place is the centre they share: D(i) - D(j) should be the vector
    from i to j. Background has no centre, and D(i) - D(j) should be 0. Both are L1 distances,
    averaged over the pairs of each kind and added.

    Each distance is linear in D up to its signs, and so is their sum: that of D times its slope
    at every pixel, less a constant. Neither needs a gradient.

    Args:
        displacement: (B, 2, h, w), rows then columns, in cells of the grid.
        pairs, average: as for `boundary_loss`.

    Returns:
        A scalar, at least 0.
    """
    kinds = (pairs.foreground, pairs.background)
    totals = average(torch.stack([kind.sum() for kind in kinds]).float())
    totals = totals.clamp(min=1 / displacement.numel())
    slope, constant = _slopes(displacement.detach().float(), pairs, radius, 1 / totals)
    return (displacement.float() * slope).sum() - constant


def _slopes(displacement: Tensor, pairs: PairLabels, radius: int, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Of the weighted sum of all distances: its slope (B, 2, h, w) and what to subtract, a scalar.

    Args:
        weights: (2,) of a foreground and a background pair.
    """
    height, width = displacement.shape[-2:]
    slope, constant = torch.zeros_like(displacement), displacement.new_zeros(())
    for p, (dy, dx) in enumerate(half_disc(radius).tolist()):
        pixel = (..., slice(max(height - dy, 0)), slice(max(-dx, 0), max(width - max(dx, 0), 0)))
        partner = (..., slice(dy, None), slice(max(dx, 0), max(width + min(dx, 0), 0)))
        foreground, background = pairs.foreground[:, p, None][pixel], pairs.background[:, p, None][pixel]
        between = foreground * displacement.new_tensor([dy, dx]).view(2, 1, 1)
        error = displacement[pixel] - displacement[partner] - between
        push = error.sign() * (foreground * weights[0] + background * weights[1])
        slope[pixel] += push
        slope[partner] -= push
        constant += (push * between).sum()
    return slope, constant


@torch.no_grad()
def strongest_counts(logits: Tensor, pairs: PairLabels, radius: int) -> Tensor:
    """How many pairs of each kind have their path's largest value at a pixel.

    Args:
        logits: (B, h, w); of equal values on a path, the last in reading order counts.

    Returns:
        (3, B, h, w) int64: foreground, background and negative pairs.
    """
    bits = logits.detach().float().contiguous().view(torch.int32).long()
    # As integers, floats ascend with their bits if positive, and descend if negative.
    order = bits ^ ((bits >> 63) & 0x7FFFFFFF)
    pixel = torch.arange(logits.numel(), device=logits.device).view(logits.shape)
    keys = path_maximum((order << _INDEX_BITS) | pixel, radius, outside=torch.iinfo(torch.int64).max)
    counts = [
        torch.bincount(keys[kind] & (2**_INDEX_BITS - 1), minlength=logits.numel()).view(logits.shape)
        for kind in (pairs.foreground, pairs.background, pairs.negative)
    ]
    return torch.stack(counts)
