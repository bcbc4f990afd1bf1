"""Files that are there whole or not at all, and records of arrays as npz files, never pickled."""

import io
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

import numpy as np

from orandnet_core.errors import StoreError

__all__ = ["file_stamp", "read_record", "replacing", "write_atomically", "write_record"]

Record = TypeVar("Record")

# What a file that is no record is answered with: TypeError where it holds a bare array, and the many kinds
# of zipfile, RuntimeError for encryption among them.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


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
    except _DAMAGE as error:
        raise StoreError(f"{path}: not a readable {kind.__name__} ({error})") from None


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write a file as `replacing` does.

    Raises:
        StoreError: the disk refuses.
    """
    try:
        with replacing(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error})") from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside `path` for a file that is renamed to it once the block is through; makes the folder.

    Where the block raises, or the disk (OSError), nothing is left behind and `path` is as it was.
    """
    # Short, as a file may have the longest name there is; two writers never share one.
    partial = path.with_name(f".{secrets.token_hex(8)}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        partial.replace(path)
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
