"""Wrong pixels as counts: rows of what can be asked of them, a few dozen an image.

Shapes: H x W pixels, N images, R rows, B backgrounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from orandnet_core.labels import BACKGROUND, IGNORE_INDEX
from orandnet_core.mining.backgrounds import NO_BACKGROUND, Backgrounds
from orandnet_core.mining.kinds import FALSE_POSITIVE, RIGHT, error_kinds, object_areas

__all__ = ["MANY_CLASSES", "SIZES", "ErrorCounts", "PixelErrors", "pixel_errors"]

Array = np.ndarray

# An object's size is its share of the image; the last has no limit. 0 stands for "no such object".
SIZES = {0: "none there", 1: "small (< 2%)", 2: "medium (2 to 15%)", 3: "large (> 15%)"}
_SIZE_LIMITS = (0.02, 0.15)
MANY_CLASSES = 3  # images that show as many classes or more are counted together

# Bits of a row's code for each column; a label has 8, as masks do.
_BITS = {"kind": 4, "target": 8, "predicted": 8, "size": 2, "background": 8}


@dataclass(frozen=True)
class PixelErrors:
    """Everything that is asked of a pixel of one image.

    Attributes:
        kind: (H, W) uint8: RIGHT, a key of `KINDS`, or 255 where nothing is scored.
        target, predicted: (H, W) uint8 labels.
        size: (H, W) uint8, a key of `SIZES`: of the object that is there, or on background of the
            nearest object of the class that is claimed.
        background: (H, W) uint8: which background it is, where background is taken for an object
            away from its outline; else 255.
        shown: foreground classes that the ground truth shows.
        background_pixels: (B,) int64, pixels of each background in the image, right or wrong.
    """

    kind: Array
    target: Array
    predicted: Array
    size: Array
    background: Array
    shown: int
    background_pixels: Array

    def matching(self, where: Mapping[str, int]) -> Array:
        """(H, W) bool: the wrong pixels that have all these values, by column as in `ErrorCounts`."""
        found = (self.kind != RIGHT) & (self.kind != IGNORE_INDEX)
        for column, value in where.items():
            found &= getattr(self, column) == value
        return found

    @property
    def owner(self) -> Array:
        """(H, W): the class that the error is laid to: the one claimed, else the one missed."""
        return np.where(self.predicted != BACKGROUND, self.predicted, self.target)


@dataclass(frozen=True)
class ErrorCounts:
    """Pixels of some images by kind, labels, object size and background; right ones too.

    Attributes:
        image_ids: N names.
        shown: (N,) int32, foreground classes that the ground truth shows, up to `MANY_CLASSES`.
        background_pixels: (N, B) int64, all pixels of each background.
        image: (R,) int32, index into `image_ids`, ascending.
        kind: (R,) RIGHT or a key of `KINDS`.
        target, predicted: (R,) labels.
        size: (R,) key of `SIZES`.
        background: (R,) index of a background, or 255.
        pixels: (R,) int64, from 1.
    """

    image_ids: tuple[str, ...]
    shown: Array
    background_pixels: Array
    image: Array
    kind: Array
    target: Array
    predicted: Array
    size: Array
    background: Array
    pixels: Array

    def column(self, name: str) -> Array:
        """(R,) int64, a column of the rows by name: an attribute, `owner`, or `shown` of the image."""
        if name == "owner":
            return np.where(self.predicted != BACKGROUND, self.predicted, self.target).astype(np.int64)
        values = self.shown[self.image] if name == "shown" else getattr(self, name)
        return values.astype(np.int64)

    def confusion(self, num_classes: int) -> Array:
        """(C, C) int64, [target, prediction], of all images together."""
        matrix = np.zeros((num_classes, num_classes), np.int64)
        np.add.at(matrix, (self.target, self.predicted), self.pixels)
        return matrix

    @classmethod
    def of(cls, errors: PixelErrors, image_id: str) -> "ErrorCounts":
        """The counts of one image."""
        scored = errors.kind != IGNORE_INDEX
        code = np.zeros(int(scored.sum()), np.int64)
        for column, bits in _BITS.items():
            code = (code << bits) | getattr(errors, column)[scored]
        codes, pixels = np.unique(code, return_counts=True)
        columns, rest = {}, codes
        for column, bits in reversed(_BITS.items()):
            columns[column], rest = (rest & ((1 << bits) - 1)).astype(np.uint8), rest >> bits
        return cls(
            image_ids=(image_id,),
            shown=np.array([min(errors.shown, MANY_CLASSES)], np.int32),
            background_pixels=errors.background_pixels[None],
            image=np.zeros(len(codes), np.int32),
            pixels=pixels.astype(np.int64),
            **columns,
        )

    @classmethod
    def merged(cls, parts: Sequence["ErrorCounts"], backgrounds: int) -> "ErrorCounts":
        """The images of all parts, in order; of no parts, counts of no image."""
        offsets = np.cumsum([0] + [len(part.image_ids) for part in parts])

        def joined(name: str, empty: Array) -> Array:
            return np.concatenate([empty, *(getattr(part, name) for part in parts)])

        image = [part.image + np.int32(offset) for part, offset in zip(parts, offsets, strict=False)]
        return cls(
            image_ids=tuple(image_id for part in parts for image_id in part.image_ids),
            shown=joined("shown", np.zeros(0, np.int32)),
            background_pixels=joined("background_pixels", np.zeros((0, backgrounds), np.int64)),
            image=np.concatenate([np.zeros(0, np.int32), *image]),
            pixels=joined("pixels", np.zeros(0, np.int64)),
            **{column: joined(column, np.zeros(0, np.uint8)) for column in _BITS},
        )


def pixel_errors(
    photo: Array, target: Array, prediction: Array, backgrounds: Backgrounds, band_px: float | None = None
) -> PixelErrors:
    """What is wrong with a mask, pixel by pixel.

    Args:
        photo: (H, W, 3) uint8 RGB.
        target: (H, W) uint8 ground truth: 0, 1..C, 255 for what is not scored.
        prediction: (H, W) uint8: 0, 1..C.
        backgrounds: of the data set.
        band_px: width of the boundary band; 2% of the diagonal by default.

    Raises:
        ShapeError: the masks' shapes differ.
    """
    kind = error_kinds(target, prediction, band_px)
    background = backgrounds.of_pixels(photo, target)
    pixels = np.bincount(background[target == BACKGROUND], minlength=len(backgrounds.centres))
    background[kind != FALSE_POSITIVE] = NO_BACKGROUND
    labels = np.unique(target)
    return PixelErrors(
        kind=kind,
        target=target,
        predicted=prediction,
        size=_sizes(target, prediction, kind),
        background=background,
        shown=int(((labels != BACKGROUND) & (labels != IGNORE_INDEX)).sum()),
        background_pixels=pixels.astype(np.int64),
    )


def _sizes(target: Array, prediction: Array, kind: Array) -> Array:
    """(H, W) uint8, keys of `SIZES`; 0 where the pixel is right."""
    areas = object_areas(target)
    wrong = (kind != RIGHT) & (kind != IGNORE_INDEX)
    spilt = wrong & (target == BACKGROUND)
    for label in np.unique(prediction[spilt]):
        there = target == label
        if there.any():
            mine = spilt & (prediction == label)
            areas[mine] = areas[there][_nearest_of(there)[mine]]
    sizes = 1 + np.searchsorted(_SIZE_LIMITS, areas / target.size, side="right").astype(np.uint8)
    return np.where(wrong & (areas > 0), sizes, np.uint8(0))


def _nearest_of(there: Array) -> Array:
    """(H, W) the number of the nearest true pixel, counted in reading order."""
    _, labels = cv2.distanceTransformWithLabels(
        (~there).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number_of = np.zeros(labels.max() + 1, np.int64)
    number_of[labels[there]] = np.arange(there.sum())
    return number_of[labels]
