"""Read numbers off curves over thresholds.

Shapes: T thresholds, in order.
"""

import numpy as np

__all__ = ["pareto_front", "precision_at_recall"]

Array = np.ndarray


def precision_at_recall(precision: Array, recall: Array, at: float) -> Array:
    """The precision that a source has at a given recall, to compare sources at equal recall.

    The thresholds' (recall, precision) points are joined by straight lines in the order of the
    thresholds. Where these cross the recall more than once (a mean over classes with background
    rises and falls again), the highest precision counts.

    Args:
        precision: (..., T) fractions.
        recall: same shape.
        at: the recall, in [0, 1].

    Returns:
        (...) precision; NaN where no line reaches the recall.
    """
    left, right = recall[..., :-1], recall[..., 1:]
    crosses = (np.minimum(left, right) <= at) & (at <= np.maximum(left, right))
    step = right - left
    along = np.divide(at - left, step, out=np.zeros(step.shape), where=step != 0)
    between = precision[..., :-1] + along * np.diff(precision)
    # A line of constant recall is reached at both of its ends.
    between = np.where(step == 0, np.maximum(precision[..., :-1], precision[..., 1:]), between)
    highest = np.where(crosses, between, -np.inf).max(axis=-1)
    return np.where(np.isneginf(highest), np.nan, highest)


def pareto_front(precision: Array, recall: Array) -> Array:
    """(T,) bool: the points that no other point beats in one score and equals in the other."""
    order = np.lexsort((-precision, -recall))  # falling recall; of equal ones, the best precision first
    best_before = np.maximum.accumulate(np.concatenate([[-np.inf], precision[order][:-1]]))
    front = np.zeros(len(precision), bool)
    front[order] = precision[order] > best_before
    return front
