"""What a segmentation network is trained to reduce; pixels of 255 count in neither loss.

Shape legend: B images, C classes with background, (h, w) the size of the scores.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from orandnet_core.labels import IGNORE_INDEX

__all__ = ["cross_entropy", "smoothed_bce"]


def cross_entropy(scores: Tensor, masks: Tensor) -> Tensor:
    """The mean over decided pixels of -log softmax(scores)[label].

    Args:
        scores: (B, C, h, w), unbounded.
        masks: (B, h, w) int64 in 0..C - 1, and 255.

    Returns:
        A scalar; 0 where no pixel is decided.
    """
    decided = masks != IGNORE_INDEX
    labels = torch.where(decided, masks, 0)
    # What F.cross_entropy gives, by operations that a GPU can also do in the same order each time.
    each = -scores.log_softmax(1).gather(1, labels[:, None])[:, 0]
    return each.masked_fill(~decided, 0).sum() / decided.sum().clamp(min=1)


def smoothed_bce(scores: Tensor, masks: Tensor, smoothing: float = 0.1) -> Tensor:
    """Every class against the rest, with targets 1 - s / 2 and s / 2 in place of 1 and 0.

    The mean over decided pixels of the sum over classes of
    -t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)). It is label smoothing (Szegedy et al., CVPR 2016,
    section 7) with the two outcomes of each class as the labels: no score pays for growing without
    bound, so a wrong pseudo-label pulls with a force that ends.

    Args:
        scores: (B, C, h, w), unbounded.
        masks: (B, h, w) int64 in 0..C - 1, and 255.
        smoothing: s in [0, 1).

    Returns:
        A scalar; 0 where no pixel is decided.
    """
    decided = masks != IGNORE_INDEX
    labels = torch.where(decided, masks, 0)
    targets = torch.full_like(scores, smoothing / 2).scatter_(1, labels[:, None], 1 - smoothing / 2)
    each = F.binary_cross_entropy_with_logits(scores, targets, reduction="none").sum(1)
    return (each * decided).sum() / decided.sum().clamp(min=1)
