"""Dicts from class to map: MCTformer, SEAM, PSA, what a CRF makes of those, and archives of named arrays."""

from typing import Any

import numpy as np

from orandnet_core.errors import DataError
from orandnet_core.interchange.raw import Key, RawMaps

__all__ = ["is_by_class", "read_by_class"]


def is_by_class(content: Any) -> bool:
    """Whether a file's content is of this family: every value one map."""
    return (
        isinstance(content, dict)
        and len(content) > 0
        and all(isinstance(value, np.ndarray) and _flat(value) is not None for value in content.values())
    )


def read_by_class(content: Any, name: str) -> RawMaps:
    """The maps of one image; keys that are digits count as numbers.

    Raises:
        DataError: it is no dict of maps, or its maps differ in size.
    """
    if isinstance(content, dict) and not content:
        raise DataError(f"{name}: an empty dict, no map in it")
    if not is_by_class(content):
        raise DataError(f"{name}: no dict from class to map (h, w)")
    maps = [_flat(value) for value in content.values()]
    shapes = sorted({one.shape for one in maps})
    if len(shapes) > 1:
        raise DataError(f"{name}: its maps differ in size: {shapes[0]} and {shapes[-1]}")
    keys: tuple[Key, ...] = tuple(
        int(key) if isinstance(key, int) or str(key).isdecimal() else str(key) for key in content
    )
    return RawMaps(np.stack(maps), keys, f"{len(maps)} x {shapes[0]} {maps[0].dtype}")


def _flat(value: np.ndarray) -> np.ndarray | None:
    """(h, w), or None where it is no map."""
    while value.ndim > 2 and value.shape[0] == 1:
        value = value[0]
    return value if value.ndim == 2 and value.dtype.kind in "fiub" and value.size else None
