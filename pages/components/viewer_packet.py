"""Bytes for the browser: blobs named by their content, each sent once in a packet.

A packet is a length (4 bytes, little endian), a JSON header of that length, and the blobs that
the header points into. Values are deflated. Scores go as 16-bit levels, in two byte planes after
taking from each level what its neighbours foretell: the maps were upsampled from a quarter of
their size, so most of what is left is 0.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from orandnet_core.errors import RangeError
from orandnet_core.render import jpeg_bytes

Array = np.ndarray

TOP_LEVEL = 65535


def levels_of(cam: Array) -> Array:
    """Scores (...) in [0, 1] as uint16, rounded to the nearest of 65536 levels.

    Raises:
        RangeError: a score is not a number or leaves [0, 1] by more than rounding does.
    """
    if cam.size and not (cam.min() >= -1e-3 and cam.max() <= 1 + 1e-3):  # also for not-a-number
        raise RangeError(f"scores from {cam.min():g} to {cam.max():g}; they must lie in [0, 1]")
    return (cam.clip(0, 1) * np.float32(TOP_LEVEL) + np.float32(0.5)).astype(np.uint16)


def dequantised(levels: Array) -> Array:
    """The float32 scores that the browser computes with."""
    return levels.astype(np.float32) / np.float32(TOP_LEVEL)


class Blobs:
    """Byte strings one after the other, each once, found by their hash."""

    def __init__(self):
        self.places: dict[str, dict[str, object]] = {}
        self.parts: list[bytes] = []
        self._end = 0

    def add(self, content: bytes, **facts: object) -> str:
        """Keep a blob; its name. `facts` tell the browser how to read it."""
        name = hashlib.sha256(content).hexdigest()[:16]
        if name not in self.places:
            self.places[name] = {"start": self._end, "end": self._end + len(content), **facts}
            self.parts.append(content)
            self._end += len(content)
        return name

    def add_photo(self, photo: Array) -> str:
        """(H, W, 3) uint8, as JPEG."""
        return self.add(_jpeg(photo.tobytes(), *photo.shape[:2]))

    def add_bytes(self, values: Array, *, smooth: bool = False) -> str:
        """(H, W) uint8; `smooth` values are sent as differences from their left neighbours."""
        return self.add(_deflated(values.tobytes(), values.shape[1], smooth), delta=smooth)

    def add_levels(self, levels: Array) -> str:
        """(H, W) uint16."""
        return self.add(_deflated_levels(levels.tobytes(), levels.shape[1]), wide=True)

    def packet(self, header: Mapping[str, object]) -> bytes:
        """The header, its blobs' places and the blobs."""
        text = json.dumps({**header, "blobs": self.places}).encode()
        return b"".join([struct.pack("<I", len(text)), text, *self.parts])


# While a person works on an image, most layers and the photo stay as they are: these remember the last few.
@lru_cache(maxsize=48)
def _deflated(values: bytes, width: int, smooth: bool) -> bytes:
    if smooth:
        rows = np.frombuffer(values, np.uint8).reshape(-1, width)
        values = np.diff(rows, axis=1, prepend=np.uint8(0)).tobytes()
    return zlib.compress(values, 1)


@lru_cache(maxsize=48)
def _deflated_levels(values: bytes, width: int) -> bytes:
    """Low bytes, then high bytes, of level - 2 left + left's left, all modulo 65536."""
    rows = np.frombuffer(values, np.uint16).reshape(-1, width)
    for _ in range(2):
        rows = np.diff(rows, axis=1, prepend=np.uint16(0))
    zigzag = (rows << 1) ^ (rows.view(np.int16) >> 15).view(np.uint16)  # small where near 0, on either side
    return zlib.compress(zigzag.astype(np.uint8).tobytes() + (zigzag >> 8).astype(np.uint8).tobytes(), 1)


@lru_cache(maxsize=8)
def _jpeg(photo: bytes, height: int, width: int) -> bytes:
    return jpeg_bytes(np.frombuffer(photo, np.uint8).reshape(height, width, 3))
