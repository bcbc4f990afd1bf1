"""Whether two figures of the same things rise together: Spearman's rank correlation.

With few things a strong correlation comes about easily, so it is told together with how often chance
gives as much: the share of all orders of one figure that correlate with the other at least as strongly.

Shapes: N things.
"""

from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np

from orandnet_core.errors import ShapeError

__all__ = ["LEAST", "RankCorrelation", "rank_correlation", "ranks"]

Array = np.ndarray

LEAST = 3  # two are always in order
# Up to so many orders are all looked at; of more, as many at random.
_ORDERS = factorial(8)


@dataclass(frozen=True)
class RankCorrelation:
    """A rank correlation and how much it stands on.

    Attributes:
        value: Spearman's, in [-1, 1]; NaN with fewer than `LEAST` things, or where all are equal.
        count: N.
        by_chance: share of the orders that correlate at least as strongly, in either direction; NaN
            where the value is.
    """

    value: float
    count: int
    by_chance: float


def rank_correlation(x: Array, y: Array, seed: int = 0) -> RankCorrelation:
    """Spearman's rank correlation of two figures; equal ones share the mean of their ranks.

    Args:
        x, y: (N,) numbers without NaN.
        seed: of the random orders, where N is above 8.

    Raises:
        ShapeError: not one of each.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 1 or x.shape != y.shape:
        raise ShapeError(f"x is {x.shape} and y {y.shape}; both must be the same (N,)")
    count = len(x)
    if count < LEAST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return RankCorrelation(np.nan, count, np.nan)
    x, y = _standardised(ranks(x)), _standardised(ranks(y))
    value = float(x @ y)
    if factorial(min(count, 9)) <= _ORDERS:
        orders = np.array(list(permutations(range(count))))
    else:
        orders = np.random.default_rng(seed).permuted(np.tile(np.arange(count), (_ORDERS, 1)), axis=1)
    strong = np.abs(y[orders] @ x) >= abs(value) - 1e-9
    return RankCorrelation(value, count, float(strong.mean()))


def ranks(values: Array) -> Array:
    """(N,) ranks from 1; equal values share the mean of theirs."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    return (last - (sizes - 1) / 2)[group]


def _standardised(values: Array) -> Array:
    """Centred, with a norm of 1: a dot product of two is their correlation."""
    centred = values - values.mean()
    return centred / np.linalg.norm(centred)
