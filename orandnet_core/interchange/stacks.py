"""Stacks of maps without names: CRF outputs (C + 1, H, W), bare arrays of all or of the present classes."""

from typing import Any

import numpy as np

from orandnet_core.errors import DataError
from orandnet_core.interchange.raw import RawMaps

__all__ = ["as_stack", "described", "is_stack", "read_stack"]


def is_stack(content: Any) -> bool:
    """Whether a file's content is of this family: one array, alone or the only one of an archive."""
    array = _only(content)
    return isinstance(array, np.ndarray) and 2 <= array.ndim <= 4 and array.dtype.kind in "fiub"


def read_stack(content: Any, class_count: int, name: str) -> RawMaps:
    """The maps of one image; (h, w, N) is turned where only that fits C or C + 1 classes.

    Raises:
        DataError: it is no array of two or three dimensions.
    """
    if not is_stack(content):
        shape = getattr(content, "shape", type(content).__name__)
        raise DataError(f"{name}: no stack of maps (N, h, w), but {shape}")
    array = _only(content)
    stack = as_stack(array, name)
    counts = (class_count, class_count + 1)
    if stack.shape[2] in counts and stack.shape[0] not in counts and stack.shape[0] > class_count + 1:
        stack = np.ascontiguousarray(stack.transpose(2, 0, 1))
    return RawMaps(stack, None, described("array", array))


def as_stack(array: np.ndarray, name: str) -> np.ndarray:
    """(N, h, w) from what may have a batch axis too many, or none for the only class.

    Raises:
        DataError: it has another number of dimensions, no pixels, or no real numbers.
    """
    stack = array
    if stack.ndim == 2:
        stack = stack[None]
    while stack.ndim > 3 and stack.shape[0] == 1:
        stack = stack[0]
    if stack.ndim != 3 or not stack.size or stack.dtype.kind not in "fiub":
        raise DataError(f"{name}: {array.dtype} {array.shape} is no stack of maps (N, h, w)")
    return stack


def described(field: str, array: np.ndarray) -> str:
    """An array in a few words."""
    return f"{field} {tuple(array.shape)} {array.dtype}"


def _only(content: Any) -> Any:
    if isinstance(content, dict) and len(content) == 1:
        only = next(iter(content.values()))
        if isinstance(only, np.ndarray) and only.ndim >= 3:
            return only
    return content
