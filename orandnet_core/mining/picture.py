"""A slice's pixels drawn over the photo, with the outlines of what is really there."""

from collections.abc import Mapping

import cv2
import numpy as np

from orandnet_core.labels import BACKGROUND, IGNORE_INDEX
from orandnet_core.mining.counts import PixelErrors
from orandnet_core.mining.kinds import KINDS
from orandnet_core.render import CONFUSED, FALSE_NEGATIVE, FALSE_POSITIVE, error_colours, overlay

__all__ = ["SIDE_ERRORS", "slice_picture"]

Array = np.ndarray

# The colours of errors on every page, by side of a kind.
SIDE_ERRORS = {"false positive": FALSE_POSITIVE, "confusion": CONFUSED, "false negative": FALSE_NEGATIVE}
_FAINT = 8  # added to an error's label: wrong, and not of the slice
_FAINT_ALPHA = 0.32
_OPACITY = 0.62


def slice_picture(photo: Array, errors: PixelErrors, where: Mapping[str, int], width_px: int = 420) -> Array:
    """The photo in grey, the slice's pixels in their errors' colours, other errors faint.

    Args:
        photo: (H, W, 3) uint8 RGB.
        errors: of the image, (H, W).
        where: of the slice.
        width_px: of the picture; smaller photos are not enlarged.

    Returns:
        (h, w, 3) uint8 RGB, with a white line around every object of the ground truth.
    """
    height, width = errors.kind.shape
    width_px = min(width_px, width)
    size = (width_px, max(1, round(height * width_px / width)))
    layer = np.zeros(errors.kind.shape, np.uint8)
    for kind, about in KINDS.items():
        layer[errors.kind == kind] = SIDE_ERRORS[about.side] + _FAINT
    layer[errors.matching(where)] -= _FAINT
    table = error_colours().copy()
    for error in SIDE_ERRORS.values():
        table[error + _FAINT] = table[error]
        table[error + _FAINT, 3] *= _FAINT_ALPHA
    shown = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)[..., None]
    layer = cv2.resize(layer, size, interpolation=cv2.INTER_NEAREST)
    picture = overlay((0.4 * shown + 0.6 * grey).astype(np.uint8), layer, table, _OPACITY)
    there = np.where(errors.target == IGNORE_INDEX, np.uint8(BACKGROUND), errors.target)
    there = cv2.resize(there, size, interpolation=cv2.INTER_NEAREST)
    for label in np.unique(there[there != BACKGROUND]):
        outlines, _ = cv2.findContours(
            (there == label).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(picture, outlines, -1, (255, 255, 255), 1)
    return picture
