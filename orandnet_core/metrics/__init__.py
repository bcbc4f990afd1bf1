"""Metrics that say how they were come by: exact, one pass over the pixels, numpy only."""

from orandnet_core.metrics import thresholds
from orandnet_core.metrics.agreement import Agreement
from orandnet_core.metrics.confusion import Metrics, confusion, metrics_of
from orandnet_core.metrics.curves import pareto_front, precision_at_recall
from orandnet_core.metrics.intervals import (
    Bootstrap,
    Interval,
    bootstrap,
    difference,
    precision_at_recall_difference,
)
from orandnet_core.metrics.levels import GRID_THRESHOLDS, THRESHOLDS, threshold_index
from orandnet_core.metrics.masks import MASK_THRESHOLD, mask_counts
from orandnet_core.metrics.per_image import ImageTraits, PerImage, image_traits, per_image
from orandnet_core.metrics.subset import CountsOfSome
from orandnet_core.metrics.surfaces import Surfaces, surface_counts
from orandnet_core.metrics.sweep import Counts, ImageCounts, Sweep, image_counts
from orandnet_core.metrics.thresholds import THRESHOLD_RULES, Calibration, ThresholdChoice, ThresholdRule
from orandnet_core.metrics.trimap_grid import TrimapGrid, trimap_counts

__all__ = [
    "GRID_THRESHOLDS",
    "MASK_THRESHOLD",
    "THRESHOLDS",
    "THRESHOLD_RULES",
    "Agreement",
    "Bootstrap",
    "Calibration",
    "Counts",
    "CountsOfSome",
    "ImageCounts",
    "ImageTraits",
    "Interval",
    "Metrics",
    "PerImage",
    "Surfaces",
    "Sweep",
    "ThresholdChoice",
    "ThresholdRule",
    "TrimapGrid",
    "bootstrap",
    "confusion",
    "difference",
    "image_counts",
    "image_traits",
    "mask_counts",
    "metrics_of",
    "pareto_front",
    "per_image",
    "precision_at_recall",
    "precision_at_recall_difference",
    "surface_counts",
    "threshold_index",
    "thresholds",
    "trimap_counts",
]
