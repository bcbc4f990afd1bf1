"""Look at every file of a data set and say what is there, what is wrong, and what to do about it."""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from orandnet_core.datasets.base import Dataset
from orandnet_core.datasets.folder import id_of_file, list_images
from orandnet_core.datasets.image_ids import composed
from orandnet_core.datasets.images import opened, orientation
from orandnet_core.datasets.opening import open_dataset
from orandnet_core.datasets.problems import Problem, ProblemLog
from orandnet_core.errors import DataError
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX, class_name

_BATCH = 16
_ODD_MODES = {
    "L": "greyscale",
    "LA": "greyscale",
    "1": "black and white",
    "CMYK": "CMYK",
    "P": "a palette image",
}


@dataclass(frozen=True)
class SplitCounts:
    """What a split holds.

    Attributes:
        images: ids in the split.
        usable: of them, those whose image can be read and that have labels.
        masks: of them, those with a mask that fits.
        images_by_class: (C,) int64, images a class by their image-level labels.
    """

    name: str
    images: int
    usable: int
    masks: int
    images_by_class: np.ndarray


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        splits: counts, in the data set's order.
        problems: errors and notes; its `counts` has all, iterating gives those kept.
        images: image ids looked at; `usable`: those with a readable image and labels.
        unlisted: images on disk that are in no split.
        seconds: how long it took.
    """

    name: str
    root: Path
    class_names: tuple[str, ...]
    splits: tuple[SplitCounts, ...]
    problems: ProblemLog
    images: int
    usable: int
    unlisted: int
    seconds: float

    @property
    def ok(self) -> bool:
        """No errors; notes are allowed."""
        return self.problems.error_count == 0


@dataclass(frozen=True)
class _Finding:
    image_id: str
    readable: bool
    mask_fits: bool
    class_ids: np.ndarray | None
    problems: tuple[Problem, ...]


def check(
    dataset: Dataset | Path | str,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> Report:
    """Decode every image and mask of every split and hold them against each other and the labels.

    A file that cannot be used is listed and passed over. No more than a few images are in memory at a time.

    Args:
        dataset: a data set, or the root of one, whose layout is then recognised.
        progress: called with (done, total) images, from the caller's thread.
        workers: threads; by default one a core, at most eight.

    Raises:
        DataError: the data set cannot be opened at all.
    """
    began_s = time.monotonic()
    dataset = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    image_ids = tuple(dict.fromkeys(image_id for ids in dataset.splits.values() for image_id in ids))
    problems = ProblemLog()
    usable, masked = set(), set()
    present: dict[str, np.ndarray] = {}
    # Set once for all threads: switching warnings off and on is not thread-safe.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for done, finding in enumerate(_look_at_all(dataset, image_ids, workers), start=1):
            problems.extend(finding.problems)
            if finding.mask_fits:
                masked.add(finding.image_id)
            if finding.class_ids is not None:
                present[finding.image_id] = finding.class_ids
                if finding.readable:
                    usable.add(finding.image_id)
            if progress and (done % _BATCH == 0 or done == len(image_ids)):
                progress(done, len(image_ids))
    unlisted = _look_at_folders(dataset, problems)
    _look_at_splits(dataset, problems)
    problems.merge(dataset.problems)
    splits = tuple(
        _count(name, ids, usable, masked, present, dataset) for name, ids in dataset.splits.items()
    )
    return Report(
        name=dataset.name,
        root=dataset.root,
        class_names=dataset.class_names,
        splits=splits,
        problems=problems,
        images=len(image_ids),
        usable=len(usable),
        unlisted=unlisted,
        seconds=time.monotonic() - began_s,
    )


def _look_at_all(dataset: Dataset, image_ids: tuple[str, ...], workers: int | None) -> Iterator[_Finding]:
    """Findings in any order; no more than a few batches are under way at a time."""
    workers = workers or min(os.cpu_count() or 1, 8)
    batches = iter(image_ids[start : start + _BATCH] for start in range(0, len(image_ids), _BATCH))

    def look(batch: tuple[str, ...]) -> list[_Finding]:
        return [_look_at(dataset, image_id) for image_id in batch]

    with ThreadPoolExecutor(workers) as pool:
        waiting: set[Future] = {pool.submit(look, batch) for batch in islice(batches, 2 * workers)}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            waiting |= {pool.submit(look, batch) for batch in islice(batches, len(done))}
            for future in done:
                yield from future.result()


def _look_at(dataset: Dataset, image_id: str) -> _Finding:
    found: list[Problem] = []
    labels = dataset.image_labels_by_id.get(image_id)
    class_ids = None if labels is None else np.flatnonzero(labels) + 1
    if class_ids is None:
        found.append(
            Problem(
                "image without labels",
                image_id,
                "no image-level labels",
                "add them, or take it out of its split",
            )
        )
    size_hw = _look_at_image(dataset, image_id, found)
    mask_fits = _look_at_mask(dataset, image_id, size_hw, class_ids, found)
    return _Finding(image_id, size_hw is not None, mask_fits, class_ids, tuple(found))


def _look_at_image(dataset: Dataset, image_id: str, found: list[Problem]) -> tuple[int, int] | None:
    path = dataset.image_path_of(image_id)
    name = _shown(dataset, path)
    try:
        with opened(path) as image:
            width, height = image.size
            mode, turned = image.mode, orientation(image)
            if mode in ("I", "F"):
                found.append(
                    Problem(
                        "image unreadable", name, f"samples of 32 bits (mode {mode})", "save it with 8 bits"
                    )
                )
                return None
            # All of the file is read, but a JPEG is only put together at an eighth of its size.
            image.draft(None, (max(width // 8, 1), max(height // 8, 1)))
            image.load()
    except DataError as error:
        if not path.is_file():
            found.append(
                Problem(
                    "image missing",
                    name,
                    f"{image_id} is in a split, its image is not there",
                    "add the image, or take the id out of the split",
                )
            )
        else:
            remedy = "copy or download it again, or take it out of the split"
            found.append(Problem("image unreadable", name, _reason(error, path), remedy))
        return None
    if mode in _ODD_MODES or mode.startswith("I;16"):
        what = f"is {_ODD_MODES.get(mode, 'greyscale of 16 bits')}; it is read as RGB"
        found.append(Problem("image not RGB", name, what, "nothing to do", is_error=False))
    if turned != 1:
        what = f"EXIF orientation {turned}; it is read upright, and its mask must be upright"
        found.append(Problem("image turned by EXIF", name, what, "nothing to do", is_error=False))
    return (width, height) if turned >= 5 else (height, width)


def _look_at_mask(
    dataset: Dataset,
    image_id: str,
    size_hw: tuple[int, int] | None,
    class_ids: np.ndarray | None,
    found: list[Problem],
) -> bool:
    path = dataset.mask_path_of(image_id)
    name = _shown(dataset, path)
    if not dataset.has_mask(image_id):
        what = f"{image_id} has no mask, so it is trained on, never scored"
        found.append(Problem("image without mask", name, what, "add one to have it scored", is_error=False))
        return False
    try:
        mask = dataset.mask(image_id)
    except DataError as error:
        found.append(
            Problem("mask unreadable", name, _reason(error, path), "save it as an 8-bit PNG of class numbers")
        )
        return False
    pixels = np.bincount(mask.ravel(), minlength=IGNORE_INDEX + 1)
    shown = np.flatnonzero(pixels)
    known = len(dataset.class_names)
    strange = shown[(shown > known) & (shown != IGNORE_INDEX)]
    fits = True
    if size_hw is not None and mask.shape != size_hw:
        (high, wide), (image_high, image_wide) = mask.shape, size_hw
        what = f"{wide} x {high} px, its image {image_wide} x {image_high}"
        remedy = "make it again at the size of the upright image (nearest neighbour, no smoothing)"
        found.append(Problem("sizes differ", name, what, remedy))
        fits = False
    if strange.size:
        values = ", ".join(map(str, strange[:6])) + (", ..." if strange.size > 6 else "")
        what = f"{int(pixels[strange].sum()):,} pixels of value {values}; it may hold 0 to {known} and 255"
        found.append(
            Problem("values out of range", name, what, "renumber the classes, or extend classes.txt")
        )
        fits = False
    if fits and class_ids is not None:
        _compare(
            dataset, name, shown[(shown != BACKGROUND) & (shown != IGNORE_INDEX)], class_ids, pixels, found
        )
    return fits


def _compare(
    dataset: Dataset,
    name: str,
    shown: np.ndarray,
    class_ids: np.ndarray,
    pixels: np.ndarray,
    found: list[Problem],
) -> None:
    if not shown.size and class_ids.size and pixels[IGNORE_INDEX]:
        what = "shows only 0 and 255, and 255 means ignored, not foreground"
        found.append(
            Problem("labels and mask disagree", name, what, "write class numbers from 1", is_error=False)
        )
        return
    only_mask, only_labels = np.setdiff1d(shown, class_ids), np.setdiff1d(class_ids, shown)
    parts = [
        f"{where} only: {', '.join(class_name(dataset.class_names, int(label)) for label in labels)}"
        for where, labels in (("in the mask", only_mask), ("in the labels", only_labels))
        if labels.size
    ]
    if parts:
        what = "; ".join(parts)
        found.append(
            Problem("labels and mask disagree", name, what, "mend whichever is wrong", is_error=False)
        )


def _look_at_folders(dataset: Dataset, problems: ProblemLog) -> int:
    """List masks without image; returns how many images are in no split."""
    on_disk = {
        composed(id_of_file(name)) for image_dir in dataset.image_dirs for name in list_images(image_dir)
    }
    for mask_dir in dataset.mask_dirs:
        for name in list_images(mask_dir):
            if composed(id_of_file(name)) not in on_disk:
                what = "no image has this id"
                problems.add(
                    Problem(
                        "mask without image",
                        _shown(dataset, mask_dir / name),
                        what,
                        "add the image, or remove it",
                    )
                )
    return len(on_disk.difference(*(map(composed, ids) for ids in dataset.splits.values())))


def _look_at_splits(dataset: Dataset, problems: ProblemLog) -> None:
    for split, ids in dataset.splits.items():
        if len(set(ids)) < len(ids):
            what = f"{len(ids) - len(set(ids))} ids are there more than once"
            problems.add(
                Problem("ids repeated", f"split {split}", what, "leave each id once", is_error=False)
            )
    held_out = {
        image_id: name for name, ids in dataset.splits.items() if name in ("val", "test") for image_id in ids
    }
    for split, ids in dataset.splits.items():
        if split == "train" or split.startswith("train_"):
            for image_id in held_out.keys() & set(ids):
                where = held_out[image_id]
                what = f"in {split} and in {where}, so figures on {where} come out too high"
                problems.add(
                    Problem("split overlap", image_id, what, "leave it in one of them", is_error=False)
                )


def _count(
    name: str,
    ids: tuple[str, ...],
    usable: set[str],
    masked: set[str],
    present: dict[str, np.ndarray],
    dataset: Dataset,
) -> SplitCounts:
    by_class = np.zeros(len(dataset.class_names), np.int64)
    for image_id in ids:
        if image_id in present:
            by_class[present[image_id] - 1] += 1
    return SplitCounts(
        name=name,
        images=len(ids),
        usable=sum(image_id in usable for image_id in ids),
        masks=sum(image_id in masked for image_id in ids),
        images_by_class=by_class,
    )


def _shown(dataset: Dataset, path: Path) -> str:
    return path.relative_to(dataset.root).as_posix() if path.is_relative_to(dataset.root) else str(path)


def _reason(error: DataError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")
