"""Open foreign files: `.npy`, `.npz` and safetensors as arrays or dicts of arrays, nothing executed."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from orandnet_core.errors import DataError
from orandnet_core.restricted_pickle import MAX_BYTES, load_pickled_npy, read_npy

__all__ = ["ARRAY_SUFFIXES", "read_content"]

ARRAY_SUFFIXES = (".npy", ".npz", ".safetensors")


def read_content(path: Path) -> Any:
    """What a file holds: an array, or a dict of arrays by name.

    Raises:
        DataError: the file is missing, damaged, hostile, or larger than a gigabyte.
    """
    if path.suffix == ".npy":
        return load_pickled_npy(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read")
        return _read_npz(path) if path.suffix == ".npz" else _read_safetensors(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not a readable {path.suffix} file ({error})") from None


def _read_npz(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        claimed = sum(member.file_size for member in members)
        if claimed > MAX_BYTES:
            raise DataError(f"{path}: unpacks to {claimed:,} bytes; at most {MAX_BYTES:,} are read")
        # zipfile hands out no more than a member's claimed size, whatever lies behind it.
        return {
            member.filename.removesuffix(".npy"): read_npy(archive.read(member), f"{path}, {member.filename}")
            for member in members
        }


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {name: np.asarray(array) for name, array in load_file(path).items()}
    except (SafetensorError, TypeError, KeyError) as error:
        raise DataError(f"{path}: not a readable .safetensors file ({error})") from None
