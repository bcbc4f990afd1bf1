"""Scores spread between the places that a network itself finds alike.

Shape legend: B images, K classes, n places (patches of a ViT, or cells of a CNN's last map).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from orandnet_core.errors import RangeError

MAX_CELLS = 10_000  # their affinities take 0.8 GB for an image and its mirror image


def spread(scores: Tensor, affinity: Tensor, steps: int) -> Tensor:
    """Replace each place's scores by their mean over all places, weighted by affinity, several times.

    Args:
        scores: (B, K, n).
        affinity: (B, n, n), at least 0: row i holds the weights of the mean that place i gets; no row
            is all 0.
        steps: how often, at least 0.

    Returns:
        (B, K, n), within the range that the scores had.
    """
    weights = (affinity / affinity.sum(2, keepdim=True)).transpose(1, 2)
    for _ in range(steps):
        scores = scores @ weights
    return scores


def correlation(features: Sequence[Tensor], grid_hw: tuple[int, int], power: int) -> Tensor:
    """How alike the cells of a CNN's maps are, by the angles between their features.

    It is the pixel correlation of SEAM (Wang et al., CVPR 2020, equation 4: power 1, between features
    that are trained for it), here between those that a classifier has anyway.

    Args:
        features: (B, D, h, w) each, of any width and size; all count alike.
        grid_hw: the grid of n cells.
        power: at least 1; the higher, the more the likest cells count.

    Returns:
        (B, n, n) in [0, 1], 1 on the diagonal: max(0, cosine) ** power.

    Raises:
        RangeError: more cells than memory is meant for.
    """
    cells = grid_hw[0] * grid_hw[1]
    if cells > MAX_CELLS:
        raise RangeError(
            f"affinity between {cells:,} cells, at most {MAX_CELLS:,}: take smaller scales, or a coarser "
            "output_stride"
        )
    units = [F.normalize(F.interpolate(each, grid_hw, mode="bilinear"), dim=1) for each in features]
    joined = F.normalize(torch.cat(units, 1).flatten(2), dim=1)
    return (joined.transpose(1, 2) @ joined).clamp(0, 1) ** power
