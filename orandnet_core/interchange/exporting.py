"""What every export has: photographs, a manifest that says what was exported, and hashes of its files."""

import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from orandnet_core.array_files import write_atomically
from orandnet_core.datasets import Dataset
from orandnet_core.datasets.images import opened, orientation, read_image
from orandnet_core.errors import DataError, StoreError
from orandnet_core.render import jpeg_bytes

__all__ = ["CamOf", "Export", "MaskOf", "flat_name", "is_free", "new_folder", "put_photo", "write_manifest"]

MaskOf = Callable[[str], np.ndarray]
CamOf = Callable[[str], tuple[np.ndarray, np.ndarray]]

_PHOTO_QUALITY = 95
_CHUNK = 1 << 20
_NOT_FLAT = re.compile(r'[\s\x00-\x1f\x7f%/\\:*?"<>|]')


@dataclass(frozen=True, kw_only=True)
class Export:
    """Where an export goes and whose images it takes.

    Attributes:
        out: the folder.
        dataset: has the photographs and class names.
        split: what the images are called together, in names of files and folders.
        photos: copy the photographs too; without them, only paths are written.
    """

    out: Path
    dataset: Dataset
    split: str
    photos: bool = True


def is_free(out: Path) -> bool:
    """Whether an export may be written there: nothing is there yet, or an empty folder."""
    return not out.exists() or (out.is_dir() and not any(out.iterdir()))


def flat_name(image_id: str) -> str:
    """An image id as one word and one file name; `urllib.parse.unquote` undoes it.

    For layouts whose lists are split at spaces and whose folders have no folders in them. Ordinary ids
    stay as they are; of no two ids are the names the same.
    """
    return _NOT_FLAT.sub(lambda match: quote(match[0], safe=""), image_id)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `out` once the block has run, and goes if it raises.

    Raises:
        DataError: `out` holds something already.
        StoreError: the disk refuses.
    """
    if not is_free(out):
        raise DataError(f"{out} is there already and not empty: name another folder, or delete it")
    # Process and thread in the name: two exports never share an unfinished folder.
    unfinished = out.with_name(f".{out.name}-{os.getpid()}-{threading.get_ident()}")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        unfinished.replace(out)
    except OSError as error:
        raise StoreError(f"{out}: cannot be written ({error})") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def put_photo(dataset: Dataset, image_id: str, path: Path) -> None:
    """An image as an upright RGB JPEG: the file itself where it is one.

    Raises:
        DataError: the image cannot be read.
        StoreError: the disk refuses.
    """
    source = dataset.image_path_of(image_id)
    with opened(source) as image:
        as_it_is = image.format == "JPEG" and image.mode == "RGB" and orientation(image) == 1
    if not as_it_is:
        write_atomically(path, jpeg_bytes(read_image(source), _PHOTO_QUALITY))
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error})") from None


def write_manifest(out: Path, about: Mapping[str, Any]) -> None:
    """`sha256sums.txt` of every file, in the form that `sha256sum --check` takes, and `manifest.json`.

    Args:
        about: JSON values: what was exported, from which source, at which threshold.
    """
    names = sorted(path.relative_to(out).as_posix() for path in _files(out))
    sums = "".join(f"{_digest(out / name)}  {name}\n" for name in names).encode()
    write_atomically(out / "sha256sums.txt", sums)
    manifest = dict(about) | {"files": len(names), "sha256sums": hashlib.sha256(sums).hexdigest()}
    write_atomically(out / "manifest.json", json.dumps(manifest, indent=2).encode())


def _files(out: Path) -> Iterable[Path]:
    return (path for path in out.rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
