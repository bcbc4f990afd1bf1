"""Turn class activation maps into masks: by a background threshold, or undecided in between.

A pixel is foreground where its best map is *greater* than the threshold. Of two equal maps the
first one wins: the smaller class id, as class ids ascend.

Shapes: K present classes, H x W pixels.
"""

from collections.abc import Mapping

import numpy as np

from orandnet_core.errors import RangeError, ShapeError
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX

__all__ = ["best_map", "pseudo_mask", "trimap", "undecided"]

Array = np.ndarray


def best_map(cam: Array) -> tuple[Array, Array]:
    """The highest map at every pixel, and which one it is.

    Args:
        cam: (K, H, W) in [0, 1]; K may be 0.

    Returns:
        `best` (H, W) of the maps' type, and `index` (H, W) int32 in 0..K - 1. Without maps, both
        are 0 everywhere.

    Raises:
        ShapeError: the maps are not (K, H, W).
    """
    if cam.ndim != 3:
        raise ShapeError(f"cam is {cam.shape}; it must be (K, H, W)")
    index = np.zeros(cam.shape[1:], np.int32)
    if len(cam) == 0:
        return np.zeros(cam.shape[1:], np.float32), index
    best = cam[0]
    for k in range(1, len(cam)):  # several times faster than argmax over the first axis
        np.copyto(index, k, where=cam[k] > best)
        best = np.maximum(best, cam[k])
    return best, index


def pseudo_mask(
    cam: Array, class_ids: Array, background_threshold: float | Array | Mapping[int, float]
) -> Array:
    """Label every pixel with its best class, or with background where none is sure enough.

    Args:
        cam: (K, H, W) in [0, 1].
        class_ids: (K,) in 1..C.
        background_threshold: the score in [0, 1] that background gets; or one per class, as (K,)
            in the order of `class_ids` or as a mapping that has every one of them. With one per
            class, a class competes at a pixel only where it is above its own threshold.

    Returns:
        (H, W) uint8: 0 is background, else a class id.

    Raises:
        ShapeError: not one map, or not one threshold, per class.
        RangeError: a threshold outside [0, 1], or a class id outside 1..254.
    """
    class_ids = _checked_class_ids(class_ids, cam)
    if isinstance(background_threshold, Mapping):
        background_threshold = _in_order(background_threshold, class_ids)
    thresholds = np.asarray(background_threshold, cam.dtype)
    if thresholds.size and not (thresholds.min() >= 0 and thresholds.max() <= 1):
        raise RangeError(f"background_threshold is {background_threshold}; it must be in [0, 1]")
    if thresholds.ndim:
        if thresholds.shape != (len(cam),):
            raise ShapeError(
                f"{thresholds.shape} thresholds for {len(cam)} classes; give one each, or one for all"
            )
        cam = np.where(cam > thresholds[:, None, None], cam, 0)
        thresholds = 0
    best, index = best_map(cam)
    return np.where(best > thresholds, _labels(class_ids)[index], np.uint8(BACKGROUND))


def trimap(
    or_cam: Array, and_cam: Array, class_ids: Array, or_threshold: float, and_threshold: float
) -> Array:
    """Decide what both networks are sure of, and leave the rest undecided (hysteresis).

    A pixel is foreground where its best AND map exceeds `and_threshold`, with that map's class;
    of the others, it is background where its best OR map does not exceed `or_threshold`. What
    is left is 255. Each map is normalised by its own maximum, so AND can pass where OR does
    not: foreground goes first, as in IRN's confident labels.

    Args:
        or_cam: (K, H, W) in [0, 1].
        and_cam: same shape, same class order.
        class_ids: (K,) in 1..C.
        or_threshold, and_threshold: in [0, 1].

    Returns:
        (H, W) uint8: 0, class ids, and IGNORE_INDEX where undecided.

    Raises:
        ShapeError: the shapes differ; the message gives both.
        RangeError: a threshold outside [0, 1], or a class id outside 1..254.
    """
    if or_cam.shape != and_cam.shape:
        raise ShapeError(
            f"or_cam is {or_cam.shape} and and_cam {and_cam.shape}; both must be the same (K, H, W)"
        )
    foreground = pseudo_mask(and_cam, class_ids, and_threshold)
    possible = pseudo_mask(or_cam, class_ids, or_threshold)
    undecided = (foreground == BACKGROUND) & (possible != BACKGROUND)
    foreground[undecided] = IGNORE_INDEX
    return foreground


def undecided(cam: Array, background_threshold: float, margin: float) -> Array:
    """Where a pixel is about as much foreground as background.

    Args:
        cam: (K, H, W) in [0, 1].
        background_threshold: in [0, 1].
        margin: 0 or more.

    Returns:
        (H, W) bool: true where the best map is nearer to the threshold than `margin`; nowhere with
        a margin of 0.

    Raises:
        ShapeError: the maps are not (K, H, W).
    """
    return np.abs(best_map(cam)[0] - background_threshold) < margin


def _labels(class_ids: Array) -> Array:
    """A table from map index to label; without maps, its one entry is BACKGROUND."""
    return class_ids.astype(np.uint8) if len(class_ids) else np.full(1, BACKGROUND, np.uint8)


def _checked_class_ids(class_ids: Array, cam: Array) -> Array:
    class_ids = np.asarray(class_ids)
    if class_ids.shape != (len(cam),):
        raise ShapeError(
            f"{len(cam)} maps for class ids of shape {class_ids.shape}; there must be one map each"
        )
    if class_ids.size and not (class_ids.min() > BACKGROUND and class_ids.max() < IGNORE_INDEX):
        raise RangeError(f"class ids {class_ids.tolist()}: a mask holds 1..{IGNORE_INDEX - 1}")
    return class_ids


def _in_order(thresholds: Mapping[int, float], class_ids: Array) -> Array:
    missing = [int(class_id) for class_id in class_ids if int(class_id) not in thresholds]
    if missing:
        raise ShapeError(
            f"no background threshold for class {missing[0]}; the mapping has {sorted(thresholds)}"
        )
    return np.array([thresholds[int(class_id)] for class_id in class_ids])
