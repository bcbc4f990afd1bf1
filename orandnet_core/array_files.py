"""Records of arrays as npz files: atomic, never pickled."""

import io
import os
import threading
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

import numpy as np

from orandnet_core.errors import StoreError

__all__ = ["file_stamp", "read_record", "write_atomically", "write_record"]

Record = TypeVar("Record")


def write_record(path: Path, record: object) -> None:
    """Write a dataclass whose fields are arrays, ints, or tuples of str; whole or not at all.

    Raises:
        StoreError: the disk refuses.
    """
    arrays = {}
    for field in fields(record):
        value = getattr(record, field.name)
        arrays[field.name] = np.array(value, np.str_) if isinstance(value, tuple) else np.asarray(value)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_atomically(path, content.getbuffer())


def read_record(path: Path, kind: type[Record]) -> Record:
    """The inverse of `write_record`.

    Raises:
        StoreError: the file is missing, damaged or holds another kind of record.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return kind(**{field.name: _plain(arrays[field.name]) for field in fields(kind)})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"{path}: not a readable {kind.__name__} ({error})") from None


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write a file beside its place, then rename it; makes the folder.

    Raises:
        StoreError: the disk refuses.
    """
    # Process and thread in the name: two writers of one file never share a partial one.
    partial = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error})") from None
    finally:
        partial.unlink(missing_ok=True)


def file_stamp(path: Path) -> str:
    """A file's size and time of change, `none` where there is none: it changes when the file is replaced."""
    try:
        stat = path.stat()
    except OSError:
        return "none"
    return f"{stat.st_size}-{stat.st_mtime_ns}"


def _plain(array: np.ndarray) -> np.ndarray | int | tuple[str, ...]:
    if array.dtype.kind == "U":
        return tuple(array.tolist())
    return array if array.ndim else int(array)
