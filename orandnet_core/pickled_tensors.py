"""Torch tensors inside a pickle, as numpy arrays, without torch.

`pickle.dumps(tensor)` writes a call of `torch._utils._rebuild_tensor_v2` on a storage, and the
storage as a file within the file, in the layout that `torch.save` had before it wrote zip archives:
five pickles (a magic number, the layout's version, facts of the machine, the storage, the list of
storage keys), then the number of values in 8 bytes, then the values, all little-endian.
"""

from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

import numpy as np

from orandnet_core.pickle_machine import Budget, Machine

__all__ = ["tensor_builders"]

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_BFLOAT16 = "bfloat16"
_TYPE_OF = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
_MOST_DIMENSIONS = 32


class _Storage:
    """The values of a storage, flat."""

    __slots__ = ("values",)

    def __init__(self, values: np.ndarray):
        self.values = values


class _Kind:
    """A storage's type while its pickle is read."""

    __slots__ = ("type_code",)

    def __init__(self, type_code: str):
        self.type_code = type_code


def tensor_builders(budget: Budget) -> dict[tuple[str, str], Callable[..., Any] | None]:
    """What a pickle machine calls for the names in a pickled tensor.

    Args:
        budget: pays for what is made.
    """

    def load_from_bytes(content: bytes) -> _Storage:
        if type(content) is not bytes:
            raise UnpicklingError("it holds a storage that is not made of bytes")
        budget.pay(len(content))
        return _read_storage(content)

    def rebuild(
        storage: _Storage, offset: int, size: tuple, stride: tuple, _gradient: bool = False, *_: Any
    ) -> np.ndarray:
        if type(storage) is not _Storage or not _is_shape(size) or not _is_shape(stride):
            raise UnpicklingError("it holds a tensor that is none")
        if type(offset) is not int or offset < 0 or len(size) != len(stride):
            raise UnpicklingError("it holds a tensor that does not fit its storage")
        values = storage.values
        count = int(np.prod([int(side) for side in size], dtype=object)) if size else 1
        budget.pay(count * values.itemsize)
        last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
        if count and last >= len(values):
            raise UnpicklingError("it holds a tensor that reaches beyond its storage")
        if not count:
            return np.zeros(size, values.dtype)
        strides = [step * values.itemsize for step in stride]
        return np.lib.stride_tricks.as_strided(values[offset:], size, strides, writeable=False).copy()

    return {
        ("torch._utils", "_rebuild_tensor_v2"): rebuild,
        ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
        ("torch.storage", "_load_from_bytes"): load_from_bytes,
        ("collections", "OrderedDict"): _no_hooks,
    }


def _read_storage(content: bytes) -> _Storage:
    position = 0
    parts = []
    for _ in range(5):
        machine = Machine(content, _KINDS, persistent=_described, start=position)
        parts.append(machine.run())
        position = machine.position
    magic, version, facts, described, keys = parts
    if type(magic) is not int or magic != _MAGIC or type(version) is not int or version != _VERSION:
        raise UnpicklingError("it holds a storage in a layout that is not known")
    if type(facts) is dict and facts.get("little_endian") is False:
        raise UnpicklingError("it holds a storage of a big-endian machine")
    if type(described) is not _Described or type(keys) is not list or len(keys) != 1:
        raise UnpicklingError("it holds a storage that is none")
    count = int.from_bytes(content[position : position + 8], "little")
    values = content[position + 8 :]
    code = described.type_code
    item_bytes = 2 if code == _BFLOAT16 else np.dtype(code).itemsize
    if count != described.count or len(values) != count * item_bytes:
        raise UnpicklingError(f"it holds a storage of {count:,} values in {len(values):,} bytes")
    if code == _BFLOAT16:  # the upper half of a float32
        return _Storage((np.frombuffer(values, "<u2").astype("<u4") << 16).view("<f4"))
    return _Storage(np.frombuffer(values, code))


class _Described:
    __slots__ = ("count", "type_code")

    def __init__(self, type_code: str, count: int):
        self.type_code, self.count = type_code, count


def _described(reference: Any) -> _Described:
    """What `("storage", type, key, device, count, view)` refers to."""
    fits = type(reference) is tuple and len(reference) in (5, 6) and type(reference[0]) is str
    if fits and reference[0] == "storage" and (len(reference) == 5 or reference[5] is None):
        kind, count = reference[1], reference[4]
        call = getattr(kind, "call", None)
        if isinstance(call, _Kind) and type(count) is int and count >= 0:
            return _Described(call.type_code, count)
    raise UnpicklingError("it holds a storage that is none")


def _is_shape(value: Any) -> bool:
    return (
        type(value) is tuple
        and len(value) <= _MOST_DIMENSIONS
        and all(type(side) is int and 0 <= side < 1 << 48 for side in value)
    )


def _no_hooks(*items: Any) -> dict:
    """The hooks of a tensor, which are an empty dict in one that was saved as data."""
    if items:
        raise UnpicklingError("it holds a tensor with hooks")
    return {}


_KINDS: dict[tuple[str, str], Any] = {
    (module, name): _Kind(code) for module in ("torch", "torch.cuda") for name, code in _TYPE_OF.items()
}
