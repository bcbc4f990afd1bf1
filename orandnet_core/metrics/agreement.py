"""How much foreground two networks see between them, counted without looking at any mask.

Shapes: histograms (257,) of pixels by level, 0..256, as `levels.levels_of` gives them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from orandnet_core.metrics.levels import LEVELS, BestLevels

__all__ = ["Agreement", "agreement_counts", "otsu_index"]

Array = np.ndarray


@dataclass(frozen=True)
class Agreement:
    """Histograms of all pixels' best scores: of a source, and of the two networks behind it.

    The properties need at least one pixel.

    Attributes:
        source, cnn, vit: (257,) int64, pixels by level of the best map.
    """

    source: Array
    cnn: Array
    vit: Array

    @property
    def foreground_share(self) -> float:
        """The share of pixels on which the networks settle: the average of what Otsu gives each."""
        shares = [_pixels_above(levels)[otsu_index(levels)] / levels.sum() for levels in (self.cnn, self.vit)]
        return float(np.mean(shares))

    @property
    def source_index(self) -> int:
        """The index of the threshold at which the source's foreground is nearest to that share."""
        shares = _pixels_above(self.source) / self.source.sum()
        return int(np.abs(shares - self.foreground_share).argmin())

    @classmethod
    def merged(cls, parts: Sequence["Agreement"]) -> "Agreement":
        """The counts of all parts added up; of no parts, zeros."""
        zeros = np.zeros(LEVELS + 1, np.int64)
        return cls(*(sum((getattr(part, field.name) for part in parts), zeros) for field in fields(cls)))


def agreement_counts(source: BestLevels, cnn: BestLevels, vit: BestLevels) -> Agreement:
    """Count one image: a source (one of the networks, or what is fused from them) and both networks."""
    return Agreement(*(np.bincount(best.levels.ravel(), minlength=LEVELS + 1) for best in (source, cnn, vit)))


def otsu_index(levels: Array) -> int:
    """The index of the threshold that splits a histogram into two groups that differ most.

    Otsu, "A threshold selection method from gray-level histograms" (1979): the greatest variance
    between the groups' means, which is the least variance within them.

    Args:
        levels: (257,) pixels by level.

    Returns:
        An index into `THRESHOLDS`; of equal ones, the smallest. 0 where all pixels are of one level.
    """
    share = levels / max(levels.sum(), 1)
    below = share.cumsum()[:-1]
    mean_below = (share * np.arange(LEVELS + 1)).cumsum()
    total_mean, mean_below = mean_below[-1], mean_below[:-1]
    spread = below * (1 - below)
    between = np.divide(
        (total_mean * below - mean_below) ** 2, spread, out=np.zeros(LEVELS), where=spread > 1e-12
    )
    return int(between.argmax())


def _pixels_above(levels: Array) -> Array:
    """(256,) pixels above each threshold."""
    return levels[:0:-1].cumsum()[::-1]
