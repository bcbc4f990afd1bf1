"""Which file of a foreign folder belongs to which image."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orandnet_core.errors import DataError
from orandnet_core.interchange.contents import ARRAY_SUFFIXES
from orandnet_core.interchange.png_maps import png_name

__all__ = ["SUFFIXES", "Listing", "list_maps"]

SUFFIXES = (*ARRAY_SUFFIXES, ".png")
# Endings that systems add to an image's id: ORANDNet's `_1`, and what others call their maps.
_ENDING = re.compile(r"(_\d{1,2}|[._-](cam|cams|attn|crf|logits|prob|probs|map))$", re.IGNORECASE)
_COCO_NUMBER = re.compile(r"COCO_\w+?_(\d{12})")
_LISTED = 5


@dataclass(frozen=True)
class Listing:
    """The files of a folder by image.

    Attributes:
        root: the folder.
        paths: for each image id its files by class token; one with an empty token where a file has
            all maps of the image.
        suffix: what the files end in.
        passed_over: how many other files there are: of no image, or a second of one.
        examples: the first of those.
    """

    root: Path
    paths: Mapping[str, Mapping[str, Path]]
    suffix: str
    passed_over: int = 0
    examples: tuple[str, ...] = field(default=())

    def having(self, image_ids: Iterable[str]) -> tuple[str, ...]:
        """Those of the images that have files, in the order given."""
        return tuple(image_id for image_id in image_ids if image_id in self.paths)


def list_maps(root: Path, image_ids: Iterable[str], class_names: tuple[str, ...]) -> Listing:
    """Find the files of each image in a folder and below.

    A file is called after its image: by the id, its last part, COCO's number alone, or with an
    ending such as ORANDNet's `_1`.

    Args:
        root: the folder.
        image_ids: of the data set.
        class_names: for PNGs, which may be called after classes.

    Raises:
        DataError: there is no such folder, nothing in it that is known, or nothing of these images.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    names = _Names(image_ids)
    files = sorted(_walk(root))
    by_suffix = {suffix: [name for name in files if name.endswith(suffix)] for suffix in SUFFIXES}
    suffix = max(SUFFIXES, key=lambda each: len(by_suffix[each]))
    if not by_suffix[suffix]:
        raise DataError(f"{root}: no {', '.join(SUFFIXES)} file in it or below")
    is_class = {name.lower() for name in class_names}.union({"background"}).__contains__
    paths: dict[str, dict[str, Path]] = {}
    exact: set[str] = set()
    others = []
    for relative in by_suffix[suffix]:
        stem = relative.removesuffix(suffix)
        if suffix == ".png":
            found = png_name(stem, names.find, lambda token: token.isdecimal() or is_class(token.lower()))
        else:
            image_id = names.find(stem)
            found = None if image_id is None else (image_id, "")
        if found is None:
            others.append(relative)
            continue
        image_id, token = found
        of_image = paths.setdefault(image_id, {})
        # `ID.npy` goes before `ID_1.npy`, in whatever order they are listed.
        if token not in of_image or (stem.endswith(image_id) and image_id not in exact):
            if token in of_image:
                others.append(str(of_image[token].relative_to(root)))
            of_image[token] = root / relative
            if stem.endswith(image_id):
                exact.add(image_id)
        else:
            others.append(relative)
    if not paths:
        raise DataError(
            f"{root}: none of its {len(others):,} {suffix} files is called after an image of the data set; "
            f"the first is {others[0]}, an image is called {names.example!r}"
        )
    return Listing(root, paths, suffix, len(others), tuple(others[:_LISTED]))


class _Names:
    """Image ids by whatever a file may call them."""

    def __init__(self, image_ids: Iterable[str]):
        self._ids = dict.fromkeys(image_ids)
        self._aliases: dict[str, str | None] = {}
        for image_id in self._ids:
            for alias in {image_id.rpartition("/")[2], *_COCO_NUMBER.findall(image_id)} - {image_id}:
                # An alias of two images is none.
                self._aliases[alias] = None if alias in self._aliases else image_id

    @property
    def example(self) -> str:
        return next(iter(self._ids), "")

    def find(self, name: str) -> str | None:
        for tried in (name, name.rpartition("/")[2]):
            found = self._known(tried) or self._known(_ENDING.sub("", tried))
            if found is not None:
                return found
        return None

    def _known(self, name: str) -> str | None:
        return name if name in self._ids else self._aliases.get(name)


def _walk(root: Path) -> Iterable[str]:
    for where, below, files in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        inside = os.path.relpath(where, root).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        yield from (prefix + name for name in files if name.endswith(SUFFIXES) and not name.startswith("."))
