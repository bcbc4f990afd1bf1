"""Read the pickled `.npy` files of the field without executing anything in them.

PSA and its successors ship image-level labels as a pickled `{image_id: array}`, and CAMs as pickled
dicts of arrays, torch tensors among them. Python's own unpickler would run whatever a stranger put
there. Here a small machine of our own (`orandnet_core.pickle_machine`) reads the data and asks for
nothing but arrays; it does not call numpy for them either: numpy's `__setstate__` believes what it
is told about item sizes and object pointers, so a made-up dtype could corrupt memory. Stand-ins
take the states, check them, and build plain arrays of numbers or text from bytes.

What a file is turned into is bounded by its size, as is the time: arrays and bytes that it calls for
are at most `MADE_PER_BYTE` times its size, text at most four times; for everything else (numbers, lists,
dicts, what it keeps to recall) a step of the machine takes at most 128 bytes. A step takes at least a
byte of the file, and there are at most `pickle_machine.MOST_STEPS`: a gigabyte for the largest.
"""

import io
import math
import re
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from orandnet_core.errors import DataError
from orandnet_core.pickle_machine import Budget, Machine, StandIn
from orandnet_core.pickled_tensors import tensor_builders

__all__ = ["MAX_BYTES", "load_pickled_npy", "read_npy"]

MAX_BYTES = 1 << 30
MADE_PER_BYTE = 4
_FLOOR_BYTES = 1 << 20
_MOST_DEPTH = 100
_MOST_DIMENSIONS = 32

# Booleans, integers, floats, text of a fixed length; "O" only for the array around the dictionary.
_DTYPE_CODE = re.compile(r"[?biufSU]\d{0,4}|O8?")
_CORE = ("numpy.core", "numpy._core")


def load_pickled_npy(path: Path | str) -> Any:
    """Read a `.npy` file that holds one pickled Python object (`np.save` of a dict).

    Args:
        path: a file written by `np.save(path, dictionary)`.

    Returns:
        The dictionary (or list, number, string); arrays and torch tensors in it are numpy arrays. A
        file that holds a plain array gives that array.

    Raises:
        DataError: the file is not such a file, asks for any name besides the builders of arrays
            and tensors, is made to grow, or is larger than `MAX_BYTES`.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read")
        return read_npy(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: refused, {error}") from None


def read_npy(content: bytes, name: str) -> Any:
    """What a `.npy` file holds: an array, or one pickled object as in `load_pickled_npy`.

    Args:
        content: the file's bytes.
        name: what messages call it.

    Raises:
        DataError: as `load_pickled_npy`.
    """
    file = io.BytesIO(content)
    try:
        version = npy_format.read_magic(file)
        read_header = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
        shape, in_fortran_order, dtype = read_header[version](file)
        if not dtype.hasobject:
            return _plain_array(content[file.tell() :], shape, dtype, "F" if in_fortran_order else "C")
        if shape != ():
            raise DataError(f"{name}: an object array of shape {shape}; expected a single dictionary")
        budget = Budget(MADE_PER_BYTE * len(content) + _FLOOR_BYTES)
        value = Machine(content, _builders(budget), start=file.tell()).run()
        _check_plain(value, set(), 0)
        return value
    except DataError:
        raise
    except UnpicklingError as error:
        raise DataError(
            f"{name}: refused, {error}. Only arrays, tensors, numbers, strings, lists and dicts are read"
        ) from None
    except Exception as error:  # a damaged file raises almost anything
        raise DataError(f"{name}: not a readable .npy file ({type(error).__name__}: {error})") from None


def _plain_array(content: bytes, shape: tuple[int, ...], dtype: np.dtype, order: str) -> np.ndarray:
    """numpy's own reader would reserve what the header claims before it sees what there is."""
    if dtype.kind not in "?biufSUc" or dtype.itemsize == 0:
        raise ValueError(f"an array of {dtype}")
    if math.prod(shape) * dtype.itemsize > len(content):
        raise ValueError(f"{dtype} of shape {shape} in {len(content):,} bytes")
    return np.frombuffer(content, dtype, math.prod(shape)).reshape(shape, order=order).copy(order="K")


class _Dtype(StandIn):
    """A dtype while its pickle is read."""

    __slots__ = ("numpy",)

    def __init__(self, code: str):
        self.numpy = np.dtype(code)

    def set_state(self, state: Any) -> None:
        _version, byte_order, subarray, names, fields, *_sizes_and_flags = state
        if not (subarray is names is fields is None) or byte_order not in ("<", ">", "|", "="):
            raise UnpicklingError("it describes a structured dtype")
        self.numpy = self.numpy.newbyteorder(byte_order)


class _Array(StandIn):
    """An array while its pickle is read; `value` is the array itself once its state has come."""

    __slots__ = ("budget", "value")

    def __init__(self, budget: Budget):
        self.budget = budget

    @property
    def made(self) -> Any:
        if not hasattr(self, "value"):
            raise UnpicklingError("it holds an array without a state")
        return self.value

    def set_state(self, state: Any) -> None:
        _version, shape, dtype, is_fortran, content = state
        if type(dtype) is not _Dtype:
            raise UnpicklingError("it holds an array without a type")
        if dtype.numpy.hasobject:
            if shape != () or type(content) is not list or len(content) != 1:
                raise UnpicklingError("it holds an array of several objects")
            self.value = content[0]
        else:
            self.value = _from_bytes(self.budget, content, dtype, shape, "F" if is_fortran else "C")


def _builders(budget: Budget) -> dict[tuple[str, str], Callable[..., Any] | None]:
    """What is called for the names that numpy and torch write."""

    def reconstruct(_kind: object, _shape: object, _code: object) -> _Array:
        return _Array(budget)

    def make_scalar(dtype: _Dtype, content: bytes) -> Any:
        return _from_bytes(budget, content, dtype, (), "C")[()]

    def from_buffer(content: bytes, dtype: _Dtype, shape: tuple, order: str) -> np.ndarray:
        return _from_bytes(budget, content, dtype, shape, order)

    def encode(text: str, codec: str = "latin1") -> bytes:
        # Protocol 2 writes bytes as `_codecs.encode(str, "latin1")`; other codecs can inflate.
        if type(text) is not str or type(codec) is not str or codec not in ("latin1", "latin-1"):
            raise UnpicklingError("it asks for a codec that is not admitted")
        budget.pay(len(text))
        return text.encode("latin1")

    return {
        ("numpy", "ndarray"): None,  # an argument of `_reconstruct`, never called
        ("numpy", "dtype"): _make_dtype,
        ("_codecs", "encode"): encode,
        ("__builtin__", "bytes"): _no_bytes,  # as protocol 2 writes b""
        **{(f"{core}.multiarray", "_reconstruct"): reconstruct for core in _CORE},
        **{(f"{core}.multiarray", "scalar"): make_scalar for core in _CORE},
        **{(f"{core}.numeric", "_frombuffer"): from_buffer for core in _CORE},
        **tensor_builders(budget),
    }


def _no_bytes() -> bytes:
    return b""


def _make_dtype(code: str, _align: object = False, _copy: object = False) -> _Dtype:
    if type(code) is not str or not _DTYPE_CODE.fullmatch(code):
        shown = repr(code[:20]) if type(code) is str else f"a {type(code).__name__}"
        raise UnpicklingError(f"it asks for the dtype {shown}")
    return _Dtype(code)


def _from_bytes(budget: Budget, content: bytes, dtype: _Dtype, shape: tuple, order: str) -> np.ndarray:
    if type(content) is str:  # from Python 2, which had no bytes of their own
        content = content.encode("latin1")
    if type(content) not in (bytes, bytearray) or type(dtype) is not _Dtype or dtype.numpy.hasobject:
        raise UnpicklingError("it holds an array that is not made of bytes")
    if type(shape) is not tuple or len(shape) > _MOST_DIMENSIONS:
        raise UnpicklingError("it holds an array of no shape")
    if any(type(side) is not int or not 0 <= side < 1 << 48 for side in shape):
        raise UnpicklingError("it holds an array of an impossible shape")
    if order not in ("C", "F"):
        raise UnpicklingError("it holds an array in no order")
    budget.pay(len(content))
    return np.frombuffer(content, dtype.numpy).reshape(shape, order=order).copy(order="K")


def _check_plain(value: Any, checked: set[int], depth: int) -> None:
    """Refuse what is left of the machine's own, and what a reader would have to walk for ever.

    Args:
        checked: ids of lists, tuples and dicts that are in order, so that shared ones are looked at once.
    """
    if type(value) in (str, bytes, bool, int, float, type(None)) or isinstance(
        value, np.ndarray | np.generic
    ):
        return
    if depth > _MOST_DEPTH:
        raise UnpicklingError(f"it is nested more than {_MOST_DEPTH} deep, or holds itself")
    if type(value) not in (dict, list, tuple):
        raise UnpicklingError(f"it holds a {type(value).__name__}")
    if not value or id(value) in checked:
        return
    for item in value.values() if type(value) is dict else value:
        _check_plain(item, checked, depth + 1)
    checked.add(id(value))
