"""Open a data set of any layout."""

from collections.abc import Callable
from pathlib import Path

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
