"""A folder of one's own: images, a table of labels, masks if there are any."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from orandnet_core.datasets.base import Dataset
from orandnet_core.datasets.class_names import read_class_names
from orandnet_core.datasets.image_labels import ImageLabels, classes_in_mask
from orandnet_core.datasets.images import IMAGE_SUFFIXES, read_mask
from orandnet_core.datasets.labels_csv import LabelTable, read_labels_csv
from orandnet_core.datasets.problems import Problem, ProblemLog
from orandnet_core.errors import DataError

VAL_SHARE = 0.2


def folder(root: Path | str, *, name: str | None = None) -> Dataset:
    """Open a folder with `images/` and `labels.csv`, or with `images/`, `masks/` and `classes.txt`.

    - `images/`: photographs, also in sub-folders; an image's id is its path there without suffix.
    - `labels.csv`: image-level labels (see `orandnet_core.datasets.labels_csv`). Without it they
      are taken from the masks.
    - `masks/` (optional): `ID.png`, palette or greyscale, 0 background, 1..C, 255 ignored.
    - `classes.txt` (optional beside labels.csv): class names, one a line; the first is 1 in masks.

    Splits come from the table's column `split`; rows that leave it empty are in none. Without
    that column one image in five, by a hash of its id, is `val` and the others are `train`: an
    image keeps its place when others come.

    Args:
        root: the folder.
        name: what the data set is called; the folder's name by default.

    Raises:
        DataError: a part is missing or unreadable, or there are labels from nowhere.
    """
    root = Path(root)
    files = FolderFiles(root)
    classes_path, table_path = root / "classes.txt", root / "labels.csv"
    given = read_class_names(classes_path) if classes_path.is_file() else None
    if table_path.is_file():
        table = read_labels_csv(table_path, given)
        image_ids, class_names = table.class_ids_by_id, table.class_names
        labels = ImageLabels(image_ids, len(class_names), table.class_ids_by_id.get)
        splits = _splits_of(table)
        files.problems.merge(table.problems)
        _list_unlabelled(files, table)
    elif files.mask_dir.is_dir() and given:
        class_names, image_ids = given, files.names
        labels = ImageLabels(image_ids, len(class_names), _MaskLabels(files, len(class_names)))
        splits = _drawn_splits(sorted(image_ids))
    else:
        raise DataError(
            f"{root}: no labels: add labels.csv (image_id,classes), or masks/ with classes.txt beside images/"
        )
    if not class_names:
        raise DataError(f"{table_path}: names no class; write class names into the column `classes`")
    return Dataset(
        name=name or root.resolve().name,
        root=root,
        class_names=class_names,
        splits=splits,
        image_labels_by_id=labels,
        image_path_of=files.image_path,
        mask_path_of=files.mask_path,
        image_dirs=(files.image_dir,),
        mask_dirs=(files.mask_dir,),
        problems=files.problems,
    )


class FolderFiles:
    """Where the files of image ids lie; `images/` is listed once."""

    def __init__(self, root: Path):
        self.image_dir, self.mask_dir = root / "images", root / "masks"
        self.problems = ProblemLog()
        if not self.image_dir.is_dir():
            raise DataError(f"{root}: no folder `images` in it; put the photographs there")
        self.names = self._listed()
        if not self.names:
            raise DataError(f"{self.image_dir}: no image in it (looked for {', '.join(IMAGE_SUFFIXES)})")

    def image_path(self, image_id: str) -> Path:
        return self.image_dir / self.names.get(image_id, f"{image_id}.jpg")

    def mask_path(self, image_id: str) -> Path:
        return self.mask_dir / f"{image_id}.png"

    def _listed(self) -> dict[str, str]:
        names: dict[str, str] = {}
        for name in list_images(self.image_dir):
            image_id = name[: name.rindex(".")]
            if image_id in names:
                what = f"has the same id as {names[image_id]}, which is taken"
                self.problems.add(Problem("two images of one id", name, what, "rename one of them"))
            else:
                names[image_id] = name
        return names


def list_images(folder_path: Path) -> list[str]:
    """Image files in a folder and below, sorted, relative to it with forward slashes; no hidden ones."""
    names = []
    for where, below, files in os.walk(folder_path):
        below[:] = [name for name in below if not name.startswith(".")]
        inside = os.path.relpath(where, folder_path).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        names.extend(
            prefix + name
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
        )
    return sorted(names)


class _MaskLabels:
    def __init__(self, files: FolderFiles, class_count: int):
        self._files, self._class_count = files, class_count

    def __call__(self, image_id: str) -> Sequence[int] | None:
        try:
            return classes_in_mask(read_mask(self._files.mask_path(image_id)), self._class_count)
        except DataError:
            return None


def _splits_of(table: LabelTable) -> Mapping[str, tuple[str, ...]]:
    if table.split_by_id is None:
        return _drawn_splits(list(table.class_ids_by_id))
    splits: dict[str, list[str]] = {}
    for image_id, split in table.split_by_id.items():
        splits.setdefault(split, []).append(image_id)
    if not splits:
        raise DataError(
            "labels.csv: its column `split` is empty; write train or val, or leave the column out"
        )
    return {split: tuple(ids) for split, ids in splits.items()}


def _drawn_splits(image_ids: list[str]) -> Mapping[str, tuple[str, ...]]:
    drawn = {
        image_id: hashlib.sha256(image_id.encode()).digest()[0] < VAL_SHARE * 256 for image_id in image_ids
    }
    return {
        "train": tuple(image_id for image_id in image_ids if not drawn[image_id]),
        "val": tuple(image_id for image_id in image_ids if drawn[image_id]),
    }


def _list_unlabelled(files: FolderFiles, table: LabelTable) -> None:
    for image_id, name in files.names.items():
        if image_id not in table.class_ids_by_id:
            what = "has no row in labels.csv, so it is in no split"
            files.problems.add(
                Problem("image not in labels.csv", name, what, "add a row for it", is_error=False)
            )
