"""COCO's `instances_*.json` without holding it in memory: what each image shows, and where that is written.

The file of train2014 has 600,000 outlines in 330 MB, which as Python objects take gigabytes. So it is
read object by object; kept are the classes of each image and the places of its annotations in the
file, from which a mask is drawn when it is asked for.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orandnet_core.errors import DataError

__all__ = ["CocoFile", "CocoImage", "draw_mask", "read_coco_file"]

_CHUNK = 1 << 22
_SPACE = " \t\r\n,:"


@dataclass
class CocoImage:
    """An image of the file.

    Attributes:
        file_name: as the file has it.
        size_hw: in pixels.
        category_ids: the categories of its annotations, crowds included.
        places: where its annotations lie: (first byte, number of bytes).
    """

    file_name: str
    size_hw: tuple[int, int]
    category_ids: set[int] = field(default_factory=set)
    places: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class CocoFile:
    """What is kept of an annotations file.

    Attributes:
        path: the file.
        images: by the file's own number.
        categories: name by category id, ascending.
    """

    path: Path
    images: dict[int, CocoImage]
    categories: dict[int, str]


def read_coco_file(path: Path) -> CocoFile:
    """Read an annotations file once through; seconds for train2014.

    Raises:
        DataError: it is missing, no JSON, or lacks images or categories.
    """
    images: dict[int, CocoImage] = {}
    categories: dict[int, str] = {}
    annotated: list[tuple[int, int, int, int]] = []
    try:
        for name, start, size, value in _objects(path):
            if name == "images":
                size_hw = int(value["height"]), int(value["width"])
                images[int(value["id"])] = CocoImage(str(value["file_name"]), size_hw)
            elif name == "categories":
                categories[int(value["id"])] = str(value["name"])
            elif name == "annotations":
                annotated.append((int(value["image_id"]), int(value["category_id"]), start, size))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        told = f"{type(error).__name__}: {error}"
        raise DataError(f"{path}: not readable as COCO annotations ({told})") from None
    if not images or not categories:
        raise DataError(f"{path}: no images or no categories in it; expected COCO's instances_*.json")
    for number, category_id, start, size in annotated:
        if number in images and category_id in categories:
            images[number].category_ids.add(category_id)
            images[number].places.append((start, size))
    return CocoFile(path, images, dict(sorted(categories.items())))


def draw_mask(file: CocoFile, image: CocoImage, class_of: dict[int, int]) -> np.ndarray:
    """An image's annotations as one mask; of two that overlap the smaller lies on top.

    Args:
        class_of: class (1..C) by category id.

    Returns:
        (H, W) uint8: 0, 1..C. A crowd is of its class like everything else.

    Raises:
        DataError: an annotation cannot be read.
    """
    from pycocotools import mask as run_lengths  # compiled; not every data set needs it

    height, width = image.size_hw
    mask = np.zeros((height, width), np.uint8)
    try:
        with file.path.open("rb") as opened:
            regions = []
            for start, size in image.places:
                opened.seek(start)
                annotation = json.loads(opened.read(size))
                outline = annotation["segmentation"]
                if isinstance(outline, list):
                    outline = [part for part in outline if len(part) >= 6]  # less is no area
                    if not outline:
                        continue
                    parts = run_lengths.frPyObjects(outline, height, width)
                    encoded = run_lengths.merge(parts)
                elif isinstance(outline["counts"], list):
                    encoded = run_lengths.frPyObjects(outline, height, width)
                else:
                    encoded = outline
                class_id = class_of[annotation["category_id"]]
                regions.append((float(run_lengths.area(encoded)), class_id, encoded))
        for _, class_id, encoded in sorted(regions, key=lambda region: -region[0]):
            mask[run_lengths.decode(encoded).astype(bool)] = class_id
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        name = image.file_name
        raise DataError(
            f"{file.path}: outlines of {name} cannot be drawn ({type(error).__name__}: {error})"
        ) from None
    return mask


def _objects(path: Path) -> Iterator[tuple[str, int, int, Any]]:
    """The objects in the lists of a JSON file: the list's name, first byte, number of bytes, value.

    Bytes are read as Latin-1, one character each, so that places count in bytes.
    """
    decoder = json.JSONDecoder()
    with path.open(encoding="latin1", newline="") as file:
        reader = _Reader(file, decoder)
        if reader.next_character() != "{":
            raise ValueError("it does not begin with {")
        reader.skip(1)
        while reader.next_character() != "}":
            name, _, _ = reader.value()
            if reader.next_character() != "[":
                reader.value()
                continue
            reader.skip(1)
            while reader.next_character() != "]":
                value, start, size = reader.value()
                yield str(name), start, size, value
            reader.skip(1)


class _Reader:
    """Reads JSON values one after the other from a file that is too large to be held."""

    def __init__(self, file: Any, decoder: json.JSONDecoder):
        self._file, self._decoder = file, decoder
        self._buffer, self._at, self._before, self._ended = "", 0, 0, False

    def next_character(self) -> str:
        """The next character that is no space, comma or colon; it is not taken."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                raise ValueError("it ends too early")

    def skip(self, count: int) -> None:
        self._at += count

    def value(self) -> tuple[Any, int, int]:
        """The next value, where it begins, and how long it is."""
        self.next_character()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
                if end < len(self._buffer) or self._ended:
                    start, size = self._before + self._at, end - self._at
                    text = self._buffer[self._at : end]
                    if not text.isascii():  # Latin-1 was for counting; the text is UTF-8
                        value = json.loads(text.encode("latin1"))
                    self._at = end
                    return value, start, size
            except ValueError:
                if self._ended:
                    raise
            self._more()

    def _more(self) -> bool:
        """Read on; twice as much as there is, so that a long value is not tried too often."""
        chunk = self._file.read(max(_CHUNK, 2 * (len(self._buffer) - self._at)))
        self._ended = not chunk
        self._before += self._at
        self._buffer, self._at = self._buffer[self._at :] + chunk, 0
        return bool(chunk)
