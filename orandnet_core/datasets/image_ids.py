"""What may be an image id, where its file lies, and when two ids are the same."""

import re
import unicodedata
from pathlib import Path

from orandnet_core.errors import DataError

__all__ = ["composed", "is_image_id", "path_below"]

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def is_image_id(name: str) -> bool:
    """Whether a name can be an id, or a file's name below a folder: a relative path in UTF-8.

    Ids become paths in every store and export, so one that leads out of its folder is none. Nor is a
    file name in another encoding, which Python shows with halves of surrogate pairs: it cannot be written
    to a table, hashed or printed.
    """
    parts = name.split("/")
    inside = parts[0] != "" and ".." not in parts and any(part not in ("", ".") for part in parts)
    return inside and not _UNWRITABLE.search(name)


def path_below(folder: Path, image_id: str, suffix: str) -> Path:
    """The file of an image in a folder; an id with slashes has folders of its own.

    Raises:
        DataError: it would lie elsewhere.
    """
    if not is_image_id(image_id):
        raise DataError(f"image id {image_id!r} makes no file name below {folder}: rename the image")
    return folder / f"{image_id}{suffix}"


def composed(image_id: str) -> str:
    """An id with every accent in its letter: macOS writes é as two characters, tables have it as one.

    To compare ids by; they stay as they were written.
    """
    return unicodedata.normalize("NFC", image_id)
