"""A folder of one's own: images, a table of labels, masks if there are any."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orandnet_core.datasets.base import Dataset
from orandnet_core.datasets.class_names import read_class_names
from orandnet_core.datasets.image_ids import composed, is_image_id
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
      Files are found whatever the case of their suffix, and however their accents are composed.
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
        class_names, image_ids = given, dict.fromkeys(map(id_of_file, files.image_names))
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
    """Where the files of image ids lie; `images/` and `masks/` are listed once."""

    def __init__(self, root: Path):
        self.image_dir, self.mask_dir = root / "images", root / "masks"
        self.problems = ProblemLog()
        if not self.image_dir.is_dir():
            raise DataError(f"{root}: no folder `images` in it; put the photographs there")
        self._images = self._by_id("images", list_images(self.image_dir, self.problems))
        if not self._images:
            raise DataError(f"{self.image_dir}: no image in it (looked for {', '.join(IMAGE_SUFFIXES)})")
        pngs = [name for name in list_images(self.mask_dir, self.problems) if name.lower().endswith(".png")]
        self._masks = self._by_id("masks", reversed(pngs))  # so that x.png goes before x.PNG

    @property
    def image_names(self) -> tuple[str, ...]:
        """The images' files, relative to `images/`, each of an id of its own."""
        return tuple(self._images.values())

    def image_path(self, image_id: str) -> Path:
        return self.image_dir / self._images.get(composed(image_id), f"{image_id}.jpg")

    def mask_path(self, image_id: str) -> Path:
        return self.mask_dir / self._masks.get(composed(image_id), f"{image_id}.png")

    def _by_id(self, kind: str, names: Iterable[str]) -> dict[str, str]:
        """Files by composed id; the first of each."""
        found: dict[str, str] = {}
        for name in names:
            taken = found.setdefault(composed(id_of_file(name)), name)
            if taken != name:
                what = f"has the same id as {taken}, which is taken"
                self.problems.add(Problem(f"two {kind} of one id", name, what, "rename one of them"))
        return found


def id_of_file(name: str) -> str:
    """The image id of a file: its path in `images/` or `masks/` without suffix."""
    return name[: name.rindex(".")]


def list_images(folder_path: Path, problems: ProblemLog | None = None) -> list[str]:
    """Image files in a folder and below, sorted, relative to it with forward slashes; no hidden ones.

    Args:
        problems: told of the files that are left out because their names are not UTF-8.
    """
    names = []
    for where, below, files in os.walk(folder_path):
        below[:] = [name for name in below if not name.startswith(".")]
        inside = os.path.relpath(where, folder_path).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        for file in files:
            name = prefix + file
            if file.startswith(".") or os.path.splitext(file)[1].lower() not in IMAGE_SUFFIXES:
                continue
            if is_image_id(name):
                names.append(name)
            elif problems is not None:
                shown = os.fsencode(f"{folder_path.name}/{name}").decode(errors="backslashreplace")
                what = "its name is not UTF-8, so it can be no image id"
                problems.add(Problem("name not UTF-8", shown, what, "rename it"))
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
    listed = set(map(composed, table.class_ids_by_id))
    for name in files.image_names:
        if composed(id_of_file(name)) not in listed:
            what = "has no row in labels.csv, so it is in no split"
            files.problems.add(
                Problem("image not in labels.csv", name, what, "add a row for it", is_error=False)
            )
