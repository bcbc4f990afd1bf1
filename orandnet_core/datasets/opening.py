"""Open a data set of any layout."""

from collections.abc import Callable
from pathlib import Path

from orandnet_core.array_files import file_stamp
from orandnet_core.datasets.base import Dataset
from orandnet_core.datasets.coco import coco, is_coco
from orandnet_core.datasets.folder import folder
from orandnet_core.datasets.sample import scenes
from orandnet_core.datasets.voc import find_devkit, voc12
from orandnet_core.errors import DataError
from orandnet_core.scenes import is_sample

BUILDERS: dict[str, Callable[[Path], Dataset]] = {
    "voc12": voc12,
    "coco": coco,
    "folder": folder,
    "scenes": scenes,
}

# What the layouts are opened from, below the devkit of VOC where there is one.
_FILES_AND_FOLDERS = (
    "labels.csv",
    "classes.txt",
    "cls_labels.npy",
    "../cls_labels.npy",
    "cls_labels_coco.npy",
    "images",
    "masks",
    "JPEGImages",
    "Annotations",
    "ImageSets/Segmentation",
    "SegmentationClass",
    "SegmentationClassAug",
)
_SPLIT_FILES = ("ImageSets/Segmentation/*.txt", "annotations/instances_*.json")


def open_dataset(root: Path | str, kind: str = "auto") -> Dataset:
    """Open a data set; its layout is recognised unless `kind` says it.

    Args:
        root: its folder.
        kind: `auto`, or one of `BUILDERS`: `voc12` (VOC devkit layout), `coco` (annotations/
            and train2014/), `folder` (images/ and labels.csv) or `scenes` (the built-in sample, which
            is drawn where it is absent).

    Raises:
        DataError: no such folder or kind, no layout that is known, or an unusable part.
    """
    root = Path(root)
    if kind == "auto":
        kind = recognise(root)
    if kind not in BUILDERS:
        raise DataError(f"data set kind {kind!r}: choose auto, {', '.join(BUILDERS)}")
    return BUILDERS[kind](root)


def recognise(root: Path) -> str:
    """Which of `BUILDERS` opens a folder, by what lies in it.

    Raises:
        DataError: no such folder, or nothing in it is known; the message says what was looked for.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    if is_sample(root):
        return "scenes"
    if find_devkit(root):
        return "voc12"
    if is_coco(root):
        return "coco"
    if (root / "images").is_dir():
        return "folder"
    there = sorted(path.name for path in root.iterdir())
    listed = ", ".join(there[:8]) + (", ..." if len(there) > 8 else "") if there else "nothing"
    raise DataError(
        f"{root}: no layout that is known. It holds {listed}; looked for images/ with labels.csv "
        "(a folder of one's own), for JPEGImages with ImageSets/Segmentation (VOC), and for "
        "annotations/instances_*.json (COCO)"
    )


def dataset_stamp(root: Path | str) -> str:
    """Changes once a data set's labels, classes or splits do, or files come or go in its folders.

    It looks at a few dozen files and folders, however many images there are. What it does not see is a
    file inside a folder that is overwritten, and what comes or goes in a sub-folder.
    """
    root = Path(root)
    place = find_devkit(root) or root
    paths = [place / name for name in _FILES_AND_FOLDERS]
    paths += [path for pattern in _SPLIT_FILES for path in sorted(place.glob(pattern))]
    return "\n".join(f"{path} {file_stamp(path)}" for path in paths)
