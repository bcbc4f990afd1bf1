"""The table of families: who reads what."""

from collections.abc import Mapping
from pathlib import Path

from orandnet_core.errors import DataError
from orandnet_core.interchange.by_class import is_by_class, read_by_class
from orandnet_core.interchange.contents import read_content
from orandnet_core.interchange.keyed import is_keyed, read_keyed
from orandnet_core.interchange.png_maps import read_pngs
from orandnet_core.interchange.raw import RawMaps
from orandnet_core.interchange.stacks import is_stack, read_stack

__all__ = ["format_of", "read_raw"]


def format_of(paths: Mapping[str, Path]) -> str:
    """The family, a key of `FORMATS`, of an image's files.

    Raises:
        DataError: a file cannot be read, or holds nothing that is known.
    """
    path = next(iter(paths.values()))
    if path.suffix == ".png":
        return "png"
    content = read_content(path)
    for name, recognises in (("keys", is_keyed), ("channels", is_stack), ("classes", is_by_class)):
        if recognises(content):
            return name
    if isinstance(content, dict):
        shown = ", ".join(f"{key!s:.30}" for key in list(content)[:6]) or "nothing"
        raise DataError(
            f"{path}: a dict of {shown}; looked for `keys` with a stack of maps, or a map (h, w) a class"
        )
    what = getattr(content, "shape", type(content).__name__)
    raise DataError(f"{path}: holds {what}; looked for a dict of maps or a stack of maps (N, h, w)")


def read_raw(paths: Mapping[str, Path], format: str, field: str, class_count: int, name: str) -> RawMaps:
    """The maps of an image's files, as they stand there.

    Args:
        paths: by class token, as a `Listing` has them.
        format: a key of `FORMATS`.
        field: which stack of a dict that has several.
        class_count: C.
        name: what messages call the image.

    Raises:
        DataError: a file cannot be read, or is of another family.
    """
    if format == "png":
        return read_pngs(dict(paths), name)
    content = read_content(next(iter(paths.values())))
    if format == "keys":
        return read_keyed(content, field, class_count, name)
    if format == "classes":
        return read_by_class(content, name)
    return read_stack(content, class_count, name)
