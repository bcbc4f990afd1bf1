"""COCO as it is downloaded: annotations, images by split; masks drawn from the outlines."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orandnet_core.datasets.base import Dataset
from orandnet_core.datasets.coco_annotations import CocoFile, CocoImage, draw_mask, read_coco_file
from orandnet_core.datasets.image_ids import is_image_id
from orandnet_core.datasets.image_labels import ImageLabels
from orandnet_core.datasets.images import read_mask
from orandnet_core.datasets.problems import Problem, ProblemLog
from orandnet_core.errors import DataError
from orandnet_core.restricted_pickle import load_pickled_npy

__all__ = ["coco", "is_coco"]

_FILES = "instances_*.json"
_YEAR = re.compile(r"\d{4}$")
_NUMBER = re.compile(r"(\d{12})$")
_LABEL_TABLES = ("cls_labels_coco.npy", "cls_labels.npy")


def is_coco(root: Path) -> bool:
    """Whether a folder has COCO's layout."""
    return any((root / "annotations").glob(_FILES))


def coco(root: Path | str, *, name: str = "coco") -> Dataset:
    """Open COCO 2014, or whatever has its layout.

    ```
    root/
      annotations/instances_train2014.json, instances_val2014.json
      train2014/COCO_train2014_000000000009.jpg    or images/train2014/...
      SegmentationClass/COCO_train2014_000000000009.png   optional, also by number alone or by split
      cls_labels_coco.npy                          optional: image-level labels by image
    ```

    Splits are called after the files without their year: `train`, `val`; with it where two years lie
    together: `train2014`, `train2017`. An image's id is its file's name without suffix; one whose name
    leads out of its folder is listed and passed over. Classes are the categories in the order of
    their numbers, so that COCO's 80 are 1..80. Image-level labels are the table's where it knows an
    image, and else what is annotated. A mask is the PNG where there is one, and else drawn from the
    outlines, the smaller on top; it has no 255.

    Raises:
        DataError: no annotations, an unreadable file, one without any image to take, or splits with
            different categories.
    """
    root = Path(root)
    paths = sorted((root / "annotations").glob(_FILES))
    if not paths:
        raise DataError(
            f"{root}: no annotations/{_FILES}; give the folder that holds annotations and train2014"
        )
    splits: dict[str, tuple[str, ...]] = {}
    entries: dict[str, _Entry] = {}
    categories: Mapping[int, str] = {}
    problems = ProblemLog()
    folders = [path.stem.removeprefix("instances_") for path in paths]
    called = Counter(_YEAR.sub("", folder) for folder in folders)
    for path, folder in zip(paths, folders, strict=True):
        file = read_coco_file(path)
        if categories and file.categories != categories:
            raise DataError(
                f"{path}: other categories than {paths[0].name}; keep files of one data set together"
            )
        categories = file.categories
        found = _images_by_id(file, problems)
        image_dir = _image_dir(root, folder, next(iter(found.values())).file_name)
        split = _YEAR.sub("", folder)
        splits[split if called[split] == 1 else folder] = tuple(found)
        entries |= {image_id: _Entry(file, image, image_dir) for image_id, image in found.items()}
    files = _Files(root, entries, {category: at for at, category in enumerate(categories, 1)}, problems)
    return Dataset(
        name=name,
        root=root,
        class_names=tuple(categories.values()),
        splits=splits,
        image_labels_by_id=ImageLabels(entries, len(categories), files.class_ids),
        image_path_of=files.image_path,
        mask_path_of=files.mask_path,
        mask_reader=files.mask,
        image_dirs=tuple(dict.fromkeys(entry.image_dir for entry in entries.values())),
        mask_dirs=(),
        problems=problems,
    )


@dataclass(frozen=True)
class _Entry:
    file: CocoFile
    image: CocoImage
    image_dir: Path


class _Files:
    """Where the files of an image id lie, and what is said about it."""

    def __init__(
        self, root: Path, entries: Mapping[str, _Entry], class_of: Mapping[int, int], problems: ProblemLog
    ):
        self._root, self._entries, self._class_of = root, entries, dict(class_of)
        self._problems = problems
        self._table_path, self._table = self._read_table()

    def image_path(self, image_id: str) -> Path:
        entry = self._entries.get(image_id)
        return entry.image_dir / entry.image.file_name if entry else self._root / f"{image_id}.jpg"

    def mask_path(self, image_id: str) -> Path:
        """The PNG, or the annotations that a mask is drawn from."""
        masks = self._root / "SegmentationClass"
        usual = masks / f"{image_id}.png"
        entry = self._entries.get(image_id)
        if entry is None:
            return usual
        names = dict.fromkeys([image_id, *_NUMBER.findall(image_id)])
        places = [masks, masks / entry.image_dir.name]
        candidates = [place / f"{name}.png" for place in places for name in names]
        return next((path for path in candidates if path.is_file()), entry.file.path)

    def mask(self, image_id: str) -> np.ndarray:
        path = self.mask_path(image_id)
        if path.suffix == ".png":
            return read_mask(path)
        entry = self._entries[image_id]
        return draw_mask(entry.file, entry.image, self._class_of)

    def class_ids(self, image_id: str) -> Sequence[int] | None:
        if (row := self._from_table(image_id)) is not None:
            return row
        entry = self._entries.get(image_id)
        return entry and tuple(sorted(self._class_of[category] for category in entry.image.category_ids))

    def _read_table(self) -> tuple[Path, Mapping]:
        path = next((self._root / name for name in _LABEL_TABLES if (self._root / name).is_file()), None)
        if path is None:
            return self._root, {}
        table = load_pickled_npy(path)
        if not isinstance(table, dict):
            raise DataError(f"{path}: holds a {type(table).__name__}; expected a dict of rows by image id")
        return path, table

    def _from_table(self, image_id: str) -> tuple[int, ...] | None:
        """Rows are called by the id, by its number, or by the number as text."""
        number = _NUMBER.search(image_id)
        names = [image_id, *([int(number[1]), number[1], str(int(number[1]))] if number else [])]
        row = next((self._table[name] for name in names if name in self._table), None)
        if row is None:
            return None
        row = np.asarray(row)
        if row.shape == (len(self._class_of),) and row.dtype.kind in "buif":
            return tuple((np.flatnonzero(row > 0) + 1).tolist())
        what = f"{image_id}: {row.dtype} of shape {row.shape}, expected ({len(self._class_of)},) numbers"
        self._problems.add(
            Problem("labels passed over", str(self._table_path), what, "mend or remove the entry")
        )
        return None


def _images_by_id(file: CocoFile, problems: ProblemLog) -> dict[str, CocoImage]:
    """The images of a file by id: the name without suffix."""
    found: dict[str, CocoImage] = {}
    for number, image in file.images.items():
        if is_image_id(image.file_name):
            found[Path(image.file_name).with_suffix("").as_posix()] = image
        else:
            what = f"image {number} is called {image.file_name!r}, which names no file below the image folder"
            problems.add(Problem("image passed over", file.path.name, what, "mend its file_name"))
    if not found:
        raise DataError(f"{file.path}: none of its images is called by a path below the image folder")
    return found


def _image_dir(root: Path, folder: str, first: str) -> Path:
    """The folder that the first image of a file lies in; the usual one where it is nowhere."""
    places = (root / folder, root / "images" / folder, root / "images", root)
    return next((place for place in places if (place / first).is_file()), places[0])
