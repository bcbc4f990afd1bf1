"""PASCAL VOC 2012 in the devkit's layout, with SBD's masks where they are."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from orandnet_core.datasets.base import Dataset
from orandnet_core.datasets.class_names import read_class_names
from orandnet_core.datasets.image_labels import ImageLabels, classes_in_mask
from orandnet_core.datasets.images import IMAGE_SUFFIXES, read_mask
from orandnet_core.datasets.labels_csv import read_labels_csv
from orandnet_core.datasets.problems import Problem, ProblemLog
from orandnet_core.errors import DataError
from orandnet_core.labels import VOC_CLASSES
from orandnet_core.restricted_pickle import load_pickled_npy


def voc12(
    root: Path | str,
    *,
    name: str = "voc12",
    class_names: tuple[str, ...] | None = None,
    labels_path: Path | str | None = None,
) -> Dataset:
    """Open a data set in VOC devkit layout.

    Image-level labels come from the first of these that knows an image: `cls_labels.npy` as PSA
    ships it, `labels.csv`, the XML annotation, the mask. Annotations and masks are read when an
    image's labels are first asked for.

    Args:
        root: the folder that holds `JPEGImages`, `ImageSets/Segmentation` and
            `SegmentationClass` (or a folder that holds `VOC2012`). Masks of SBD in
            `SegmentationClassAug` serve where `SegmentationClass` has none.
        name: how the data set is called on screen and in files.
        class_names: the C foreground classes; by default those of `classes.txt` in the root,
            and VOC's where there is none.
        labels_path: `cls_labels.npy`; by default it is looked for in the root and beside it, where one
            that does not fit is listed and passed over, as it may belong to another data set.

    Raises:
        DataError: the layout is not there, or a file that speaks for all images is unusable.
    """
    root = _devkit_root(Path(root))
    if class_names is None:
        own = root / "classes.txt"
        class_names = read_class_names(own) if own.is_file() else VOC_CLASSES
    split_files = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
    if not split_files:
        raise DataError(f"{root}/ImageSets/Segmentation: no split files (train.txt, val.txt, ...)")
    splits = {path.stem: _read_ids(path) for path in split_files}
    files = VocFiles(root)
    reader = _LabelReader(files, class_names, labels_path)
    image_ids = dict.fromkeys(image_id for ids in splits.values() for image_id in ids)
    return Dataset(
        name=name,
        root=root,
        class_names=class_names,
        splits=splits,
        image_labels_by_id=ImageLabels(image_ids, len(class_names), reader.class_ids),
        image_path_of=files.image_path,
        mask_path_of=files.mask_path,
        image_dirs=(files.image_dir,),
        mask_dirs=(files.mask_dir, files.sbd_mask_dir),
        problems=reader.problems,
    )


class VocFiles:
    """Where a devkit keeps the files of an image id."""

    def __init__(self, root: Path):
        self.root = root
        self.image_dir = root / "JPEGImages"
        self.mask_dir, self.sbd_mask_dir = root / "SegmentationClass", root / "SegmentationClassAug"

    def image_path(self, image_id: str) -> Path:
        usual = self.image_dir / f"{image_id}.jpg"
        if usual.is_file():
            return usual
        others = (self.image_dir / f"{image_id}{suffix}" for suffix in IMAGE_SUFFIXES)
        return next((path for path in others if path.is_file()), usual)

    def mask_path(self, image_id: str) -> Path:
        own, sbd = (folder / f"{image_id}.png" for folder in (self.mask_dir, self.sbd_mask_dir))
        return sbd if sbd.is_file() and not own.is_file() else own


class _LabelReader:
    """Image-level labels from the first of four places that knows an image."""

    def __init__(self, files: VocFiles, class_names: tuple[str, ...], labels_path: Path | str | None):
        self.files, self.class_names = files, class_names
        self.number = {name: at for at, name in enumerate(class_names, start=1)}
        self.problems = ProblemLog()
        self.table_path, self.table = self._find_table(labels_path)
        csv_path = files.root / "labels.csv"
        self.csv_rows: dict[str, tuple[int, ...]] = {}
        if csv_path.is_file():
            csv_table = read_labels_csv(csv_path, class_names)
            self.csv_rows = csv_table.class_ids_by_id
            self.problems.merge(csv_table.problems)

    def _find_table(self, labels_path: Path | str | None) -> tuple[Path | None, dict]:
        inside, beside = (place / "cls_labels.npy" for place in (self.files.root, self.files.root.parent))
        if labels_path or inside.is_file():
            path = Path(labels_path or inside)
            return path, self._read_table(path)
        if not beside.is_file():
            return None, {}
        try:
            return beside, self._read_table(beside)
        except DataError as error:
            what = str(error).removeprefix(f"{beside}: ")
            remedy = "nothing to do if it belongs to another data set"
            self.problems.add(Problem("table passed over", str(beside), what, remedy, is_error=False))
            return None, {}

    def _read_table(self, path: Path) -> dict:
        table = load_pickled_npy(path)
        if not isinstance(table, dict):
            raise DataError(f"{path}: holds a {type(table).__name__}; expected a dict of rows by image id")
        shape = np.shape(next(iter(table.values()), np.zeros(len(self.class_names))))
        if shape != (len(self.class_names),):
            raise DataError(
                f"{path}: rows of shape {shape} for {len(self.class_names)} classes; "
                "take the table that belongs to these classes"
            )
        return table

    def class_ids(self, image_id: str) -> Sequence[int] | None:
        if image_id in self.table and (row := self._from_table(image_id)) is not None:
            return row
        if image_id in self.csv_rows:
            return self.csv_rows[image_id]
        annotation = self.files.root / "Annotations" / f"{image_id}.xml"
        if annotation.is_file() and (row := self._from_xml(annotation)) is not None:
            return row
        try:
            return classes_in_mask(read_mask(self.files.mask_path(image_id)), len(self.class_names))
        except DataError:
            return None

    def _from_table(self, image_id: str) -> tuple[int, ...] | None:
        row = np.asarray(self.table[image_id])
        if row.shape == (len(self.class_names),) and row.dtype.kind in "buif":
            return tuple((np.flatnonzero(row > 0) + 1).tolist())
        what = f"{image_id}: {row.dtype} of shape {row.shape}, expected ({len(self.class_names)},) numbers"
        self.problems.add(
            Problem("labels passed over", str(self.table_path), what, "mend or remove the entry")
        )
        return None

    def _from_xml(self, path: Path) -> tuple[int, ...] | None:
        try:
            names = {
                (node.text or "").strip()
                for node in ElementTree.parse(path).getroot().iterfind("object/name")
            }
        except (ElementTree.ParseError, OSError, ValueError) as error:
            what = f"not readable XML ({error})"
            self.problems.add(
                Problem("labels passed over", f"Annotations/{path.name}", what, "mend or remove the file")
            )
            return None
        for name in sorted(names - self.number.keys()):
            what = f"names {name!r}, which is no class of this data set"
            self.problems.add(
                Problem(
                    "unknown class",
                    f"Annotations/{path.name}",
                    what,
                    "mend the name, or add it to classes.txt",
                    False,
                )
            )
        return tuple(sorted(self.number[name] for name in names & self.number.keys()))


def _devkit_root(root: Path) -> Path:
    found = find_devkit(root)
    if found is None:
        raise DataError(
            f"{root}: no VOC devkit layout here (looked for ImageSets/Segmentation). "
            "Give the folder that holds JPEGImages, ImageSets and SegmentationClass"
        )
    return found


def find_devkit(root: Path) -> Path | None:
    """The folder with `ImageSets/Segmentation`: root itself, or where archives unpack it below."""
    places = (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012")
    return next((place for place in places if (place / "ImageSets" / "Segmentation").is_dir()), None)


def _read_ids(path: Path) -> tuple[str, ...]:
    """Ids of a split file; SBD-style lines ("/JPEGImages/ID.jpg /SegmentationClassAug/ID.png") too."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as UTF-8 text ({error})") from None
    lines = (line.split() for line in text.splitlines())
    return tuple(Path(words[0]).stem if "/" in words[0] else words[0] for words in lines if words)
