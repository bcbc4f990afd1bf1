"""Random walk of class scores within boundaries: T^t x without ever forming T.

T = S^-1 A, where A holds the pairs' affinities to the power beta, 1 on its diagonal, and S its
row sums (Ahn, Cho and Kwak, CVPR 2019, section 5.2). Only pixels nearer than the radius are
connected, so that a product with A is a sum of shifted maps: for radius 5, 34 offsets forwards
and the same weights backwards. The memory is P weights a pixel; the dense matrix of the
published codes has a weight for every two pixels.

Shape legend: K maps, P offsets of half a disc, (h, w) the grid.
"""

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from orandnet_core.errors import RangeError, ShapeError
from orandnet_core.irn.pairs import half_disc, path_maximum

RADIUS, BETA, STEPS = 5, 10.0, 256  # as published
TOLERANCE = 1e-5


@torch.no_grad()
def random_walk(
    maps: Tensor, boundary: Tensor, *, radius: int = RADIUS, beta: float = BETA, steps: int = STEPS
) -> Tensor:
    """Spread scores over what no boundary separates: T^steps (maps * (1 - boundary)).

    The power is summed as Chebyshev polynomials of T, about 100 products for 256 steps, as many
    as it takes for an error below `TOLERANCE` at every pixel (`chebyshev_terms`).

    Args:
        maps: (K, h, w) scores in [0, 1].
        boundary: (h, w) in [0, 1]; scores start with what lies on no boundary.
        radius: of the disc of pixels that a step reaches, in cells.
        beta: exponent of the affinities, above 0; larger keeps the walk from weak boundaries too.
        steps: of the walk, t; the published codes take 2^8.

    Returns:
        (K, h, w) float32, at least 0 and nowhere above the largest score of its map.

    Raises:
        ShapeError: maps and boundary differ in size.
        RangeError: the boundary leaves [0, 1], or a parameter makes no walk.
    """
    if maps.ndim != 3 or maps.shape[1:] != boundary.shape:
        raise ShapeError(
            f"maps are {tuple(maps.shape)} and the boundary {tuple(boundary.shape)}; "
            "they must be (K, h, w) and (h, w)"
        )
    if steps < 0 or not beta > 0:  # a power of 0 would connect across closed boundaries, and to the margin
        raise RangeError(f"{steps} steps with beta {beta}: steps may not be negative, beta must be positive")
    start = maps.float() * (1 - boundary.float())
    if maps.numel() == 0:
        return start
    stencil = _Stencil(affinities(boundary, radius, beta), radius, len(maps))
    return stencil.power(start, steps).clamp(min=0).minimum(start.amax((1, 2), keepdim=True))


@torch.no_grad()
def affinities(boundary: Tensor, radius: int = RADIUS, beta: float = BETA) -> Tensor:
    """(1 - the largest boundary score between a pixel and its partner) ^ beta.

    Args:
        boundary: (h, w) in [0, 1].

    Returns:
        (P, h, w) float32 in [0, 1], for the partners of `half_disc`; 0 for those outside the grid.

    Raises:
        RangeError: the boundary leaves [0, 1].
    """
    # Written so that not-a-number fails as well.
    if not (boundary.numel() and boundary.min() >= 0 and boundary.max() <= 1):
        raise RangeError(f"a boundary map of shape {tuple(boundary.shape)} must have values in [0, 1]")
    return (1 - path_maximum(boundary.float()[None], radius, outside=1.0)[0]) ** beta


@cache
def chebyshev_terms(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """x^t as a sum of Chebyshev polynomials: sum over k of c_k T_k(x).

    c_k is the chance that a walk of t fair steps of +-1 ends k from where it began, so the c_k
    are positive and add up to 1, and all but about sqrt(t) of them are next to nothing.

    Returns:
        c (t + 1,) float64, cut where it vanishes, and for each k the sum of those after it. Where
        T is symmetric in a scalar product and has norm 1 in it, as any T = S^-1 A in that of S,
        leaving out the terms after k errs by at most that sum times the norm of x.
    """
    last = min(steps, 12 * math.isqrt(steps) + 12)  # beyond 12 standard deviations: below 1e-30
    degrees = np.arange(last + 1)
    log_chance = np.array(
        [
            math.lgamma(steps + 1) - math.lgamma((steps - k) / 2 + 1) - math.lgamma((steps + k) / 2 + 1)
            for k in degrees
        ]
    ) - steps * math.log(2)
    terms = np.where((degrees - steps) % 2 == 0, np.exp(log_chance), 0) * np.where(degrees > 0, 2, 1)
    after = np.append(terms[:0:-1].cumsum()[::-1], 0.0)
    return terms, after


class _Stencil:
    """T of one image, ready to be applied to K maps at a time.

    T x = x + S^-1 L x, where (L x)_i is the sum over i's pairs of a_ij (x_j - x_i). Differences keep
    float32 exact where it matters: what is constant stays so to the last bit, however many steps.

    Maps lie in rows that are wider than the grid by a margin, so that a shift by an offset is one
    of a flat vector; what is shifted out of the grid meets a weight of 0. All views are made once,
    as making them takes longer than a product.
    """

    def __init__(self, affinity: Tensor, radius: int, count: int):
        self.height, self.width = affinity.shape[1:]
        self.row = self.width + radius - 1
        self.cells = self.height * self.row
        shifts = [dy * self.row + dx for dy, dx in half_disc(radius).tolist()]
        weights = F.pad(affinity, (0, radius - 1)).flatten(1)
        length = self.cells + max(shifts)
        self.vectors = affinity.new_zeros(2, count, length)
        self.sums = affinity.new_zeros(count, length)
        self.difference = affinity.new_zeros(count, self.cells)
        self.row_sums = affinity.new_ones(length)
        for shift, weight in zip(shifts, weights, strict=True):
            self.row_sums[: self.cells] += weight
            self.row_sums[shift : shift + self.cells] += weight
        self.pairs = [
            [
                (*(_both(of, shift, self.cells) for of in (vector, self.sums)), weight)
                for shift, weight in zip(shifts, weights, strict=True)
            ]
            for vector in self.vectors
        ]

    def power(self, maps: Tensor, steps: int) -> Tensor:
        """T^steps maps, (K, h, w), off by less than `TOLERANCE` at every pixel."""
        terms, after = chebyshev_terms(steps)
        now, before = self.vectors
        now.copy_(self._laid_out(maps))
        # |(R x)_i| <= |R| |x|_S / sqrt(S_i), where |x|_S^2 is the sum of S_i x_i^2.
        norm = (self.row_sums * now**2).sum(1).amax().sqrt() / self.row_sums.amin().sqrt()
        degree = int(np.argmax(after * norm.item() <= TOLERANCE))
        total = terms[0] * now
        for k in range(1, degree + 1):
            moved = self._moved(1 - k % 2)
            if k == 1:  # T_1 = x
                torch.add(now, moved, out=before)
            else:  # T_k = 2 x T_(k-1) - T_(k-2)
                before.neg_().add_(now, alpha=2).add_(moved, alpha=2)
            now, before = before, now
            if terms[k]:
                total.add_(now, alpha=float(terms[k]))
        return total[:, : self.cells].unflatten(1, (self.height, self.row))[..., : self.width]

    def _moved(self, index: int) -> Tensor:
        """S^-1 L of one of the two vectors; overwritten by the next call."""
        self.sums.zero_()
        for (pixel, partner), (to_pixel, to_partner), weight in self.pairs[index]:
            torch.sub(partner, pixel, out=self.difference)
            to_pixel.addcmul_(self.difference, weight)
            to_partner.addcmul_(self.difference, weight, value=-1)
        return self.sums.div_(self.row_sums)

    def _laid_out(self, maps: Tensor) -> Tensor:
        rows = F.pad(maps, (0, self.row - self.width)).flatten(1)
        return F.pad(rows, (0, self.sums.shape[1] - self.cells))


def _both(vectors: Tensor, shift: int, cells: int) -> tuple[Tensor, Tensor]:
    """Of flat maps (K, length): what belongs to the pixels, and what to their partners."""
    return vectors[:, :cells], vectors[:, shift : shift + cells]
