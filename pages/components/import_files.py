"""Where the maps to import lie: a folder of the server's machine, or files from the browser."""

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import streamlit as st

from orandnet_core.array_files import write_atomically
from orandnet_core.interchange import SUFFIXES
from train.workspace import cache_dir

__all__ = ["choose_folder", "kept"]

_HERE, _UPLOAD = "A folder on this machine", "Files from here"
_MAX_UPLOAD_MB = 200


def choose_folder() -> Path | None:
    """Draw the choice; the folder, or None before there is one."""
    where = st.segmented_control(
        "Maps from", (_HERE, _UPLOAD), default=_HERE, required=True, key="import_where",
        label_visibility="collapsed",
    )  # fmt: skip
    if where == _HERE:
        path = st.text_input(
            "Folder", placeholder="/data/amn/cams", key="import_folder", bind="query-params",
            help="With a file an image, called after it; sub-folders too.",
        )  # fmt: skip
        return Path(path.strip()).expanduser() if path.strip() else None
    files = st.file_uploader(
        "Drop a folder",
        type=[suffix.removeprefix(".") for suffix in SUFFIXES],
        accept_multiple_files="directory",
        max_upload_size=_MAX_UPLOAD_MB,
        key="import_files",
    )
    return kept(files) if files else None


def kept(files: Sequence) -> Path:
    """Uploaded files as a folder below the cache, written once for what they are.

    Args:
        files: Streamlit's uploaded files; a name may have folders in it.
    """
    names = sorted(f"{file.name} {file.file_id}" for file in files)
    root = cache_dir() / "uploads" / hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    for file in files:
        # A name comes from the browser: it must not lead out of the folder.
        named = PurePosixPath(file.name.replace("\\", "/"))
        parts = [part for part in named.parts if part not in ("/", "..")]
        path = root.joinpath(*parts)
        if not path.is_file():
            write_atomically(path, file.getbuffer())
    return root
