"""Scores and labels as colours: colour maps, palettes, overlays, and image files as bytes.

A *colour table* is (256, 4) uint8 RGBA, one row a value. What is drawn is always
`table[values]` over the photo, here as in the browser (assets/viewer/paint.js), so that a saved
picture looks like the one on screen.

All colours are told apart with the usual kinds of colour blindness: the colour maps grow
evenly in lightness, and errors take the Okabe-Ito colours.
"""

from collections.abc import Sequence
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image

from orandnet_core.errors import ConfigError, RangeError, ShapeError
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX, voc_palette

__all__ = [
    "COLOUR_MAPS",
    "CONFUSED",
    "ERROR_LEGEND",
    "ERROR_NAMES",
    "FALSE_NEGATIVE",
    "FALSE_POSITIVE",
    "TRUE_NEGATIVE",
    "TRUE_POSITIVE",
    "colour_map",
    "contact_sheet",
    "error_colours",
    "error_map",
    "framed",
    "jpeg_bytes",
    "label_colours",
    "mask_png_bytes",
    "overlay",
    "png_bytes",
    "quantised",
]

Array = np.ndarray

COLOUR_MAPS = ("inferno", "magma", "viridis", "cividis", "gray")

# A map shows the photo where its score is low: opaque from this score on.
_OPAQUE_FROM = 0.6

# Okabe and Ito (2008), without black; the last is a light grey.
_OKABE_ITO = (
    (230, 159, 0), (86, 180, 233), (204, 121, 167), (240, 228, 66),
    (0, 158, 115), (213, 94, 0), (0, 114, 178), (200, 200, 200),
)  # fmt: skip

TRUE_NEGATIVE, TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE, CONFUSED = range(5)
ERROR_NAMES = {
    TRUE_NEGATIVE: "true negative",
    TRUE_POSITIVE: "true positive",
    FALSE_POSITIVE: "false positive",
    FALSE_NEGATIVE: "false negative",
    CONFUSED: "wrong class",
    IGNORE_INDEX: "not scored",
}
ERROR_LEGEND = {TRUE_POSITIVE: "TP", FALSE_POSITIVE: "FP", FALSE_NEGATIVE: "FN"}
_ERROR_RGB = {
    TRUE_POSITIVE: (0, 158, 115),  # bluish green
    FALSE_POSITIVE: (230, 97, 0),  # vermilion
    FALSE_NEGATIVE: (86, 180, 233),  # sky blue
    CONFUSED: (204, 121, 167),  # reddish purple
}


@cache
def colour_map(name: str = "inferno") -> Array:
    """A colour table for scores.

    Args:
        name: one of `COLOUR_MAPS`.

    Returns:
        (256, 4) uint8 RGBA; row v is the colour of score v / 255. Opacity rises with the
        score, so that the photo is seen where the map is low. Read-only.

    Raises:
        ConfigError: there is no such map.
    """
    if name not in COLOUR_MAPS:
        raise ConfigError(f"colour map {name!r}: choose one of {', '.join(COLOUR_MAPS)}")
    from matplotlib import colormaps  # takes a while to import, and not every page draws scores

    table = (colormaps[name](np.arange(256)) * 255).round().astype(np.uint8)
    table[:, 3] = np.round(255 * np.clip(np.arange(256) / 255 / _OPAQUE_FROM, 0, 1))
    table.setflags(write=False)
    return table


@cache
def label_colours(class_count: int | None = None) -> Array:
    """A colour table for masks on screen.

    Args:
        class_count: C. Up to eight classes take the Okabe-Ito colours, which everybody tells
            apart; more classes, or None, the VOC palette, which is also that of saved masks.

    Returns:
        (256, 4) uint8 RGBA; background is clear, 255 a pale grey. Read-only.
    """
    table = np.full((256, 4), 255, np.uint8)
    table[:, :3] = voc_palette()
    if class_count is not None and class_count <= len(_OKABE_ITO):
        table[1 : class_count + 1, :3] = _OKABE_ITO[:class_count]
    table[BACKGROUND] = 0
    table.setflags(write=False)
    return table


@cache
def error_colours() -> Array:
    """(256, 4) uint8 RGBA for `error_map`: what is right and background is clear. Read-only."""
    table = np.zeros((256, 4), np.uint8)
    for error, rgb in _ERROR_RGB.items():
        table[error] = (*rgb, 255)
    table[IGNORE_INDEX] = (224, 224, 224, 170)
    table.setflags(write=False)
    return table


def quantised(cam: Array) -> Array:
    """Scores (H, W) in [0, 1] as uint8, rounded to the nearest of 256 levels.

    Raises:
        RangeError: a score is not a number or leaves [0, 1] by more than rounding does.
    """
    if cam.size and not (cam.min() >= -1e-3 and cam.max() <= 1 + 1e-3):  # also for not-a-number
        raise RangeError(f"scores from {cam.min():g} to {cam.max():g}; they must lie in [0, 1]")
    return (cam.clip(0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def error_map(target: Array, prediction: Array, class_id: int | None = None) -> Array:
    """Where a mask is right and how it is wrong.

    Args:
        target: (H, W) uint8 ground truth: 0, 1..C, 255 for what is not scored.
        prediction: (H, W) uint8; its own 255 (undecided) is not scored either.
        class_id: judge this class against the rest; None judges all classes at once.

    Returns:
        (H, W) uint8: TRUE_NEGATIVE, TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE, CONFUSED
        (one class in place of another, a false positive and a false negative at once; only
        where all classes are judged) or 255.

    Raises:
        ShapeError: the shapes differ; the message gives both.
    """
    if target.shape != prediction.shape:
        raise ShapeError(
            f"ground truth is {target.shape} and mask {prediction.shape}; they must be the same (H, W)"
        )
    wanted = target != BACKGROUND if class_id is None else target == class_id
    given = prediction != BACKGROUND if class_id is None else prediction == class_id
    errors = np.full(target.shape, TRUE_NEGATIVE, np.uint8)
    errors[given & ~wanted] = FALSE_POSITIVE
    errors[wanted & ~given] = FALSE_NEGATIVE
    both = wanted & given
    errors[both] = TRUE_POSITIVE
    errors[both & (target != prediction)] = CONFUSED
    errors[(target == IGNORE_INDEX) | (prediction == IGNORE_INDEX)] = IGNORE_INDEX
    return errors


def overlay(photo: Array, values: Array, table: Array, opacity: float = 0.6) -> Array:
    """Draw values over a photo.

    Args:
        photo: (H, W, 3) uint8 RGB.
        values: (H, W) uint8, rows of `table`.
        table: (256, 4) uint8 RGBA.
        opacity: of the whole layer, in [0, 1].

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ShapeError: photo and values differ in size.
        RangeError: `opacity` lies outside [0, 1].
    """
    if photo.shape[:2] != values.shape:
        raise ShapeError(
            f"photo is {photo.shape[:2]} and the layer {values.shape}; they must be the same (H, W)"
        )
    if not 0 <= opacity <= 1:
        raise RangeError(f"opacity is {opacity}; it must be in [0, 1]")
    layer = table[values].astype(np.float32)
    alpha = layer[..., 3:] * np.float32(opacity / 255)
    return (photo + alpha * (layer[..., :3] - photo) + np.float32(0.5)).astype(np.uint8)


def contact_sheet(pictures: Sequence[Array], columns: int, gap_px: int = 8) -> Array:
    """Pictures of one size in rows, on white.

    Args:
        pictures: one or more (H, W, 3) uint8.
        columns: pictures a row, from 1.
        gap_px: between pictures.

    Returns:
        (H', W', 3) uint8.

    Raises:
        ShapeError: no picture, or pictures of different sizes.
    """
    sizes = {picture.shape for picture in pictures}
    if len(sizes) != 1:
        raise ShapeError(f"a sheet takes one or more pictures of one size, got {sorted(sizes)}")
    height, width, _ = sizes.pop()
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = np.full(
        (rows * (height + gap_px) - gap_px, columns * (width + gap_px) - gap_px, 3), 255, np.uint8
    )
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + gap_px), index % columns * (width + gap_px)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def framed(picture: Array, size_wh: tuple[int, int]) -> Array:
    """A picture (H, W, 3) uint8 as large as fits into a size, in the middle of a white one of that size."""
    width, height = size_wh
    image = Image.fromarray(picture)
    factor = min(width / image.width, height / image.height)
    image = image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))
    frame = Image.new("RGB", size_wh, "white")
    frame.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return np.asarray(frame)


def png_bytes(picture: Array) -> bytes:
    """A picture (H, W, 3) uint8 as a PNG file."""
    return _encoded(Image.fromarray(picture), "PNG")


def mask_png_bytes(mask: Array) -> bytes:
    """A mask (H, W) uint8 as an 8-bit PNG with the VOC palette; 255 is kept."""
    image = Image.fromarray(mask).convert("L")
    image.putpalette(voc_palette().tobytes())
    return _encoded(image, "PNG")


def jpeg_bytes(photo: Array, quality: int = 90) -> bytes:
    """A photo (H, W, 3) uint8 as a JPEG file, colours at full resolution."""
    return _encoded(Image.fromarray(photo), "JPEG", quality=quality, subsampling=0)


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
