"""Dicts with `keys` and a stack of maps: IRN, ORANDNet, AMN, CLIP-ES, and our own stores.

IRN writes `{keys (K,), cam (K, h4, w4), high_res (K, H, W)}`, keys from 0; CLIP-ES the same with
`attn_highres`; AMN with the background's map first, so that there is one map more than keys.
"""

from typing import Any

import numpy as np

from orandnet_core.errors import DataError
from orandnet_core.interchange.raw import BACKGROUND_NAME, Key, RawMaps
from orandnet_core.interchange.stacks import as_stack, described

__all__ = ["fields_of", "is_keyed", "read_keyed"]

_KEY_NAMES = ("keys", "class_ids")
# Finer maps first.
_FIELDS = ("high_res", "attn_highres", "highres", "refined_cam", "cam", "cams", "strided_cam")


def is_keyed(content: Any) -> bool:
    """Whether a file's content is of this family."""
    return isinstance(content, dict) and any(name in content for name in _KEY_NAMES)


def fields_of(content: dict[Any, Any]) -> tuple[str, ...]:
    """The stacks of maps in a dict, the one to take by default first."""
    stacks = [
        name
        for name, value in content.items()
        if isinstance(name, str)
        and name not in _KEY_NAMES
        and isinstance(value, np.ndarray)
        and value.ndim >= 3
    ]
    return tuple(sorted(stacks, key=lambda name: _FIELDS.index(name) if name in _FIELDS else len(_FIELDS)))


def read_keyed(content: Any, field: str, class_count: int, name: str) -> RawMaps:
    """The maps of one image.

    Args:
        content: of the file.
        field: which stack; empty takes the finest.
        class_count: C.
        name: what messages call the file.

    Raises:
        DataError: it is no such dict, it lacks the stack, or there is not one map for every key.
    """
    if not is_keyed(content):
        raise DataError(f"{name}: has no `keys`")
    fields = fields_of(content)
    if not fields or (field and field not in fields):
        listed = ", ".join(map(str, list(content)[:8]))
        raise DataError(f"{name}: no stack of maps called {field or _FIELDS[0]!r}; it has {listed}")
    field = field or fields[0]
    maps = as_stack(content[field], name)
    keys = _keys(next(content[each] for each in _KEY_NAMES if each in content), name)
    shows = described(field, content[field])
    if len(maps) == len(keys):
        return RawMaps(maps, keys, shows)
    if len(maps) == len(keys) + 1:
        return RawMaps(maps, (BACKGROUND_NAME, *keys), shows)
    if len(maps) in (class_count, class_count + 1):
        return RawMaps(maps, None, shows)
    raise DataError(f"{name}: {len(maps)} maps in {field!r} for {len(keys)} keys")


def _keys(value: Any, name: str) -> tuple[Key, ...]:
    array = np.asarray(value)
    if array.dtype.kind in "fb" and array.ndim <= 1 and (array == array.astype(np.int64)).all():
        array = array.astype(np.int64)
    if array.ndim > 1 or array.dtype.kind not in "iuUS":
        raise DataError(f"{name}: `keys` are {array.dtype} {array.shape}; expected one number or name a map")
    keys = array.astype(np.str_).ravel().tolist() if array.dtype.kind == "S" else array.ravel().tolist()
    if len(set(keys)) < len(keys):
        raise DataError(f"{name}: `keys` {keys[:8]} name a class twice")
    return tuple(keys)
