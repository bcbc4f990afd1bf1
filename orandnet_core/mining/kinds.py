"""The kinds of wrong pixels: each wrong pixel is of exactly one.

A pixel whose ground truth is t and whose label is p is in the *boundary band* where p is really
there within a few pixels: the outline slipped. Of the others, what claims background is a false
positive on background, what claims another object is a confusion, and what is left unclaimed is a
missed instance (a connected object that is nowhere found) or a missed part of one that is.

The band is 2% of the image's diagonal, as wide as the boundary of Boundary IoU (Cheng et al.,
"Boundary IoU", CVPR 2021); VOC's strip of 255 around objects lies within it.

Shapes: H x W pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from orandnet_core.errors import ShapeError
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX

__all__ = [
    "CONFUSION",
    "CONFUSION_BOUNDARY",
    "FALSE_POSITIVE",
    "FALSE_POSITIVE_BOUNDARY",
    "KINDS",
    "MISSED_BOUNDARY",
    "MISSED_INSTANCE",
    "MISSED_PART",
    "RIGHT",
    "Kind",
    "band_px_of",
    "error_kinds",
    "object_areas",
]

Array = np.ndarray

BAND_SHARE = 0.02  # of the diagonal

RIGHT = 0
(
    FALSE_POSITIVE,
    FALSE_POSITIVE_BOUNDARY,
    CONFUSION,
    CONFUSION_BOUNDARY,
    MISSED_INSTANCE,
    MISSED_PART,
    MISSED_BOUNDARY,
) = range(1, 8)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A way for a pixel to be wrong.

    Attributes:
        name: in files and addresses.
        label: on screen.
        side: "false positive", "confusion" (a false positive and a false negative at once) or
            "false negative".
        description: one sentence for screen.
    """

    name: str
    label: str
    side: str
    description: str


KINDS: dict[int, Kind] = {
    FALSE_POSITIVE: Kind(
        name="background",
        label="On background",
        side="false positive",
        description="Background taken for an object, away from that object's outline.",
    ),
    FALSE_POSITIVE_BOUNDARY: Kind(
        name="background_boundary",
        label="Spilt over the outline",
        side="false positive",
        description="Background taken for the object that lies within the boundary band.",
    ),
    CONFUSION: Kind(
        name="confusion",
        label="Another class",
        side="confusion",
        description="An object taken for one of another class.",
    ),
    CONFUSION_BOUNDARY: Kind(
        name="confusion_boundary",
        label="Border between classes",
        side="confusion",
        description="An object taken for another that lies within the boundary band.",
    ),
    MISSED_INSTANCE: Kind(
        name="missed_instance",
        label="Missed instance",
        side="false negative",
        description="A connected object of which no pixel is found.",
    ),
    MISSED_PART: Kind(
        name="missed_part",
        label="Missed part",
        side="false negative",
        description="A part of an object that is found elsewhere, away from its outline.",
    ),
    MISSED_BOUNDARY: Kind(
        name="missed_boundary",
        label="Short of the outline",
        side="false negative",
        description="The rim of an object, within the boundary band.",
    ),
}


def band_px_of(size_hw: tuple[int, int]) -> float:
    """The width of the boundary band in an image of a size, in pixels; at least 1."""
    return max(1.0, BAND_SHARE * float(np.hypot(*size_hw)))


def error_kinds(target: Array, prediction: Array, band_px: float | None = None) -> Array:
    """The kind of every pixel.

    Args:
        target: (H, W) uint8 ground truth: 0, 1..C, 255 for what is not scored.
        prediction: (H, W) uint8: 0, 1..C.
        band_px: width of the boundary band; by default `band_px_of` the size.

    Returns:
        (H, W) uint8: RIGHT, a key of `KINDS`, or 255 where the ground truth is.

    Raises:
        ShapeError: the shapes differ; the message gives both.
    """
    if target.shape != prediction.shape:
        raise ShapeError(
            f"ground truth is {target.shape} and mask {prediction.shape}; they must be the same (H, W)"
        )
    band_px = band_px_of(target.shape) if band_px is None else band_px
    scored = target != IGNORE_INDEX
    wrong = scored & (target != prediction)
    near = _in_band(target, prediction, wrong, band_px)
    claimed, there = prediction != BACKGROUND, target != BACKGROUND
    kinds = np.full(target.shape, RIGHT, np.uint8)
    for kind, boundary, cases in (
        (FALSE_POSITIVE, FALSE_POSITIVE_BOUNDARY, claimed & ~there),
        (CONFUSION, CONFUSION_BOUNDARY, claimed & there),
        (MISSED_PART, MISSED_BOUNDARY, ~claimed),
    ):
        cases = wrong & cases
        kinds[cases] = kind
        kinds[cases & near] = boundary
    # An object that is nowhere found is missed as a whole, its rim included.
    kinds[wrong & ~claimed & _untouched(target, prediction)] = MISSED_INSTANCE
    kinds[~scored] = IGNORE_INDEX
    return kinds


def object_areas(target: Array) -> Array:
    """How large the object at every pixel is.

    Args:
        target: (H, W) uint8 ground truth.

    Returns:
        (H, W) int64: pixels of the connected object (8 neighbours, one class) that covers the
        pixel; 0 on background and where nothing is scored.
    """
    areas = np.zeros(target.shape, np.int64)
    for label in _objects(target):
        inside = target == label
        _, parts = cv2.connectedComponents(inside.astype(np.uint8), connectivity=8)
        areas[inside] = np.bincount(parts.ravel())[parts[inside]]
    return areas


def _in_band(target: Array, prediction: Array, wrong: Array, band_px: float) -> Array:
    """(H, W) bool: the wrong pixels near which the label they were given is true."""
    near = np.zeros(target.shape, bool)
    for label in np.flatnonzero(np.bincount(prediction[wrong], minlength=1)):
        elsewhere = (target != label).astype(np.uint8)
        if not elsewhere.all():
            distance = cv2.distanceTransform(elsewhere, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            near |= wrong & (prediction == label) & (distance <= band_px)
    return near


def _untouched(target: Array, prediction: Array) -> Array:
    """(H, W) bool: the objects of which no pixel is found."""
    missed = np.zeros(target.shape, bool)
    for label in _objects(target):
        inside = target == label
        count, parts = cv2.connectedComponents(inside.astype(np.uint8), connectivity=8)
        found = np.zeros(count, bool)
        found[parts[inside & (prediction == label)]] = True
        missed |= inside & ~found[parts]
    return missed


def _objects(target: Array) -> Array:
    labels = np.flatnonzero(np.bincount(target.ravel(), minlength=1))
    return labels[(labels != BACKGROUND) & (labels != IGNORE_INDEX)]
