"""Photos that belong to no data set: uploads, and the gallery that installed packages carry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import streamlit as st

from orandnet_core.datasets import image_size_hw, read_image
from orandnet_core.errors import DataError
from orandnet_core.render import jpeg_bytes

MAX_FILE_MB = 20
MAX_MEGAPIXELS = 40
# Enough to look at closely; networks see less of it (see `seeing`).
LONG_SIDE_PX = 800
_THUMBNAIL_HEIGHT_PX = 56

# Photos that come with packages: read where they are installed, never copied. (name, package, path in it)
_GALLERY = (
    ("Grace Hopper", "matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("China", "sklearn", "datasets/images/china.jpg"),
    ("Flower", "sklearn", "datasets/images/flower.jpg"),
)


@dataclass(frozen=True)
class Photo:
    """A photo to look at.

    Attributes:
        key: names its content.
        name: for screen.
        pixels: (H, W, 3) uint8 RGB, upright, long side at most `LONG_SIDE_PX`. Read-only.
        thumbnail: a small JPEG file.
    """

    key: str
    name: str
    pixels: np.ndarray
    thumbnail: bytes


def gallery() -> list[Photo]:
    """The packages' photos that are installed here."""
    paths = [(name, _package_dir(package) / inside) for name, package, inside in _GALLERY]
    return [_photo_of_file(name, path) for name, path in paths if path.is_file()]


def uploaded(files: Sequence) -> tuple[list[Photo], list[str]]:
    """The photos among uploaded files, and for each of the others what is wrong with it."""
    photos, problems = [], []
    for file in files:
        try:
            photos.append(_photo_of_upload(file.file_id, file.name, file))
        except DataError as error:
            problems.append(str(error))
    return photos, problems


def decode(content: BytesIO | Path, name: str) -> np.ndarray:
    """Read a photo within the limits and bring it to working size.

    Returns:
        (H, W, 3) uint8 RGB, upright, long side at most `LONG_SIDE_PX`.

    Raises:
        DataError: no image, damaged, or of more than `MAX_MEGAPIXELS`.
    """
    rewind: Callable[[], object] = getattr(content, "seek", lambda _: None)
    rewind(0)
    height, width = image_size_hw(content)
    if height * width > MAX_MEGAPIXELS * 1_000_000:
        raise DataError(
            f"{name}: {width} × {height} pixels; at most {MAX_MEGAPIXELS} megapixels are read: scale it down"
        )
    rewind(0)
    pixels = read_image(content)
    factor = LONG_SIDE_PX / max(height, width)
    if factor < 1:
        size_wh = max(1, round(width * factor)), max(1, round(height * factor))
        pixels = cv2.resize(pixels, size_wh, interpolation=cv2.INTER_AREA)
    return pixels


@st.cache_resource(max_entries=8, show_spinner=False)
def _photo_of_file(name: str, path: Path) -> Photo:
    return _photo(f"{path}", name, decode(path, name))


@st.cache_resource(max_entries=32, ttl="1h", show_spinner=False)
def _photo_of_upload(file_id: str, name: str, _file: BytesIO) -> Photo:
    return _photo(file_id, name, decode(_file, name))


def _photo(key: str, name: str, pixels: np.ndarray) -> Photo:
    pixels.setflags(write=False)
    height, width = pixels.shape[:2]
    width = max(1, round(width * _THUMBNAIL_HEIGHT_PX / height))
    small = cv2.resize(pixels, (width, _THUMBNAIL_HEIGHT_PX), interpolation=cv2.INTER_AREA)
    return Photo(key, name, pixels, jpeg_bytes(small, quality=80))


def _package_dir(package: str) -> Path:
    """Where a package lies, without importing it."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else Path()
