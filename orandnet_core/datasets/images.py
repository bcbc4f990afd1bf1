"""Read photographs and masks as they come: any mode, any orientation, with clear errors."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from orandnet_core.errors import DataError
from orandnet_core.labels import IGNORE_INDEX

MAX_PIXELS = 100_000_000
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")

Source = Path | str | BinaryIO

_ORIENTATION = 0x0112
_UPRIGHT = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


def read_image(source: Source) -> np.ndarray:
    """Decode a photograph: greyscale of 8 or 16 bits, CMYK, palette, alpha and EXIF-rotated alike.

    Transparent pixels come out over white; of several frames or pages the first is taken.

    Args:
        source: a path or an open binary file, in any format that Pillow reads.

    Returns:
        (H, W, 3) uint8 RGB in [0, 255], upright.

    Raises:
        DataError: the file is missing, truncated, too large, no image, or has samples of 32 bits.
    """
    with opened(source) as image:
        if image.mode in ("I", "F"):
            raise DataError(
                f"{name_of(source)}: samples of 32 bits (mode {image.mode}), and no telling which is white; "
                "save it with 8 or 16 bits a sample"
            )
        turn = _UPRIGHT.get(orientation(image))
        return np.asarray(_rgb(image if turn is None else image.transpose(turn)))


def image_size_hw(source: Source) -> tuple[int, int]:
    """Height and width of an upright photograph in pixels, from its header alone.

    Raises:
        DataError: the file is missing, too large or no image.
    """
    with opened(source) as image:
        width, height = image.size
        return (width, height) if orientation(image) >= 5 else (height, width)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, of an opened image; 1 (upright) where it says nothing sensible.

    From 5 on, width and height are swapped.
    """
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF raises almost anything, and says nothing about the pixels
        return 1
    return value if value in _UPRIGHT else 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        # Pillow's own conversion clips at 255: all but the darkest 1/256 would turn white.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def read_mask(path: Path | str) -> np.ndarray:
    """Decode a mask stored as palette or greyscale image; label values are kept as they are.

    Returns:
        (H, W) uint8: 0 is background, 1..C classes, 255 ignored.

    Raises:
        DataError: the file is missing, unreadable, an RGB picture instead of labels, or holds
            values above 255.
    """
    with opened(path) as image:
        if image.mode == "1":
            return np.asarray(image.convert("L")) // IGNORE_INDEX
        if image.mode in ("P", "L"):
            return np.asarray(image)
        if image.mode in (*_SIXTEEN_BIT, "I"):
            values = np.asarray(image)
            if values.min() < 0 or values.max() > IGNORE_INDEX:
                raise DataError(
                    f"{path}: label values from {values.min()} to {values.max()}; a mask holds 0 for "
                    "background, the class numbers and 255 for ignored: renumber it"
                )
            return values.astype(np.uint8)
        raise DataError(
            f"{path}: a mask must be a palette or greyscale PNG of label values, this one is {image.mode}; "
            "convert its colours to class numbers first"
        )


@contextmanager
def opened(source: Source) -> Iterator[Image.Image]:
    """Open an image for decoding in the body; every failure becomes a DataError that names the file.

    Raises:
        DataError: the file is missing, no image, larger than `MAX_PIXELS`, damaged or truncated.
    """
    with _open(source) as image:
        try:
            yield image
        # Pillow reports damage by whatever its decoders run into.
        except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error) as error:
            raise DataError(f"{name_of(source)}: damaged or truncated ({error})") from None


def name_of(source: Source) -> str:
    """What messages call a source: its path, or the name that an open file has."""
    return str(source if isinstance(source, Path | str) else getattr(source, "name", "the photo"))


def _open(source: Source) -> Image.Image:
    name = name_of(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size and metadata: both are judged here
            image = Image.open(source)
            orientation(image)  # parsed now, while warnings are off, and remembered
    except FileNotFoundError:
        raise DataError(f"{name}: no such file") from None
    except UnidentifiedImageError:
        raise DataError(f"{name}: not an image, whatever its name says") from None
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise DataError(f"{name}: not a readable image ({error})") from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise DataError(
            f"{name}: {width} x {height} px; at most {MAX_PIXELS:,} pixels are read: scale it down"
        )
    return image
