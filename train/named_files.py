"""What people save by name: one JSON file each, `<workspace>/<folder>/<name>.json`.

Any name of one line may be given: what a file system does not take is quoted.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orandnet_core.array_files import write_atomically
from orandnet_core.errors import ConfigError
from train.workspace import workspace_dir

__all__ = ["MAX_NAME", "check_name", "delete_named", "read_named", "write_named"]

MAX_NAME = 40  # letters of four bytes still make a file name, with room for a partial file's
_UNSAFE = re.compile(r'[%/\\:*?"<>|]')


def check_name(name: str, what: str) -> None:
    """Raise ConfigError unless a name has 1 to 40 characters on one line; `what` it is to name is said."""
    if not 0 < len(name.strip()) <= MAX_NAME or not name.isprintable():
        raise ConfigError(f"{name!r} cannot name a {what}: take 1 to {MAX_NAME} letters on one line")


def write_named(folder: str, name: str, values: Mapping[str, Any]) -> Path:
    """Write plain values under a name, in place of what had it; return the file.

    Raises:
        StoreError: the disk refuses.
    """
    path = _path_of(folder, name)
    write_atomically(path, json.dumps(values, indent=2).encode())
    return path


def read_named(folder: str) -> Iterator[Any]:
    """What is saved in a folder, in no order; files that are no JSON are passed over."""
    for path in (workspace_dir() / folder).glob("*.json"):
        try:
            yield json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue


def delete_named(folder: str, name: str) -> None:
    """Forget what has a name; nothing happens if there is none."""
    _path_of(folder, name).unlink(missing_ok=True)


def _path_of(folder: str, name: str) -> Path:
    quoted = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", name)
    return workspace_dir() / folder / f"{quoted}.json"
