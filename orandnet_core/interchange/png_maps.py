"""Probability maps as greyscale PNGs, one for each class of an image.

Known namings, with CLASS a number or a name: `ID/CLASS.png`, `CLASS/ID.png`, `ID_CLASS.png`,
`ID-CLASS.png`; and `ID.png` for images of a single class. Ids and names of classes may have such marks
themselves: the longest id goes first.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from orandnet_core.datasets.images import opened
from orandnet_core.errors import DataError
from orandnet_core.interchange.raw import Key, RawMaps

__all__ = ["class_key", "png_name", "read_pngs"]


def png_name(
    relative: str, find_id: Callable[[str], str | None], is_class: Callable[[str], bool]
) -> tuple[str, str] | None:
    """The image id and the class token of a file; the token is empty for `ID.png`.

    Args:
        relative: its path without suffix, with forward slashes.
        find_id: the image id that a name stands for, if any.
        is_class: whether a token names a class.
    """
    for name, token in _splits(relative):
        image_id = find_id(name)
        if image_id is not None and is_class(token):
            return image_id, token
    image_id = find_id(relative)
    return None if image_id is None else (image_id, "")


def class_key(token: str) -> Key:
    """A class token as a number where it is one."""
    return int(token) if token.isdecimal() else token


def read_pngs(paths: dict[str, Path], name: str) -> RawMaps:
    """The maps of one image, scaled to [0, 1] by their number of bits.

    Args:
        paths: by class token; one empty token where the image has a single map.
        name: what messages call the image.

    Raises:
        DataError: a file cannot be read, is no greyscale, or the maps differ in size.
    """
    maps = {token: _read(path) for token, path in paths.items()}
    shapes = sorted({one.shape for one in maps.values()})
    if len(shapes) > 1:
        raise DataError(f"{name}: its maps differ in size: {shapes[0]} and {shapes[-1]}")
    keys = None if set(maps) == {""} else tuple(class_key(token) for token in maps)
    if keys is not None and "" in keys:
        raise DataError(f"{name}: one map names no class: {paths['']}")
    return RawMaps(np.stack(list(maps.values())), keys, f"{len(maps)} PNG {shapes[0]}")


def _splits(relative: str) -> Iterator[tuple[str, str]]:
    folder, slash, stem = relative.rpartition("/")
    if slash:
        yield folder, stem
        above, _, last = folder.rpartition("/")
        yield (f"{above}/{stem}" if above else stem), last
    for mark in ("_", "-"):
        words = relative.split(mark)
        for at in range(len(words) - 1, 0, -1):
            yield mark.join(words[:at]), mark.join(words[at:])


def _read(path: Path) -> np.ndarray:
    with opened(path) as image:
        if image.mode == "L":
            return np.asarray(image, np.float32) / 255
        if image.mode.startswith("I;16") or image.mode == "I":
            return np.asarray(image).astype(np.float32) / 65535
        raise DataError(f"{path}: {image.mode}; a probability map is greyscale of 8 or 16 bits")
