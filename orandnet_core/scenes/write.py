"""Write the sample to disk as a VOC devkit: all of it, or nothing."""

import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from orandnet_core.errors import DataError, RangeError
from orandnet_core.labels import voc_palette
from orandnet_core.scenes.draw import draw_scene
from orandnet_core.scenes.settings import SCENE_CLASSES

MARKER = "scenes.json"
_VAL_EVERY = 4
_LARGEST_SAMPLE = 100_000


def make_scenes(
    root: Path | str,
    images: int = 240,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
) -> Path:
    """Draw a sample data set and write it in VOC devkit layout.

    `JPEGImages/ID.jpg`, `SegmentationClass/ID.png` (VOC palette), `ImageSets/Segmentation/train.txt`
    and `val.txt` (every fourth image), `classes.txt`, `labels.csv`, and `scenes.json` with the
    arguments. Everything is written beside `root` and renamed at the end, so an interrupted call
    leaves nothing behind at `root`. The same arguments give the same files, whatever `workers` is.

    Args:
        root: the folder to make; if it already holds this very sample, nothing is done.
        images: how many, at least 4.
        seed: any integer from 0.
        progress: called with (done, total) after every image.
        workers: processes to draw with; above 1 the caller's main module must be importable.

    Returns:
        `root`.

    Raises:
        RangeError: `images` or `seed` is out of range.
        DataError: `root` holds something else, or cannot be written.
    """
    root = Path(root)
    if not _VAL_EVERY <= images <= _LARGEST_SAMPLE:
        raise RangeError(f"images is {images}; choose from {_VAL_EVERY} to {_LARGEST_SAMPLE:,}")
    if seed < 0:
        raise RangeError(f"seed is {seed}; choose 0 or more")
    card = {"images": images, "seed": seed, "classes": list(SCENE_CLASSES)}
    if _holds(root, card):
        return root
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"{root}: holds something else than this sample; remove it or choose another folder")
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with _beside(root) as partial_dir:
            _write_all(partial_dir, images, seed, progress, workers)
            (partial_dir / MARKER).write_text(json.dumps(card, indent=2) + "\n")
            _publish(partial_dir, root, card)
    except OSError as error:
        raise DataError(f"{root}: the sample cannot be written ({error})") from error
    return root


def is_sample(root: Path) -> bool:
    """Whether a folder holds a sample that `make_scenes` wrote."""
    return (root / MARKER).is_file()


def _holds(root: Path, card: dict) -> bool:
    try:
        return json.loads((root / MARKER).read_text()) == card
    except (OSError, ValueError):
        return False


@contextmanager
def _beside(root: Path) -> Iterator[Path]:
    partial_dir = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        partial_dir.chmod(0o755)
        yield partial_dir
    finally:
        shutil.rmtree(partial_dir, ignore_errors=True)


def _publish(partial_dir: Path, root: Path, card: dict) -> None:
    try:
        os.replace(partial_dir, root)
    except OSError:
        if not _holds(root, card):  # else another process made the same sample meanwhile
            raise


def _write_all(
    root: Path, images: int, seed: int, progress: Callable[[int, int], None] | None, workers: int
) -> None:
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    image_ids = [f"scene_{number:04d}" for number in range(images)]
    label_rows = ["image_id,classes"]
    for number, present in enumerate(_drawn(root, seed, images, workers)):
        names = ";".join(SCENE_CLASSES[label - 1] for label in present)
        label_rows.append(f"{image_ids[number]},{names}")
        if progress:
            progress(number + 1, images)
    (root / "labels.csv").write_text("\n".join(label_rows) + "\n")
    (root / "classes.txt").write_text("\n".join(SCENE_CLASSES) + "\n")
    val = image_ids[_VAL_EVERY - 1 :: _VAL_EVERY]
    for split, ids in (("train", [i for i in image_ids if i not in set(val)]), ("val", val)):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(ids) + "\n")


def _drawn(root: Path, seed: int, images: int, workers: int) -> Iterator[list[int]]:
    write = partial(_write_scene, str(root), seed)
    if workers <= 1:
        yield from map(write, range(images))
        return
    # Fresh processes: a fork of a process that runs threads (the app, torch) may deadlock.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(write, range(images), chunksize=4)


def _write_scene(root: str, seed: int, number: int) -> list[int]:
    """Write one image and its mask; returns the labels in the mask."""
    image, mask = draw_scene(seed, number)
    name = f"scene_{number:04d}"
    Image.fromarray(image).save(Path(root, "JPEGImages", f"{name}.jpg"), quality=93)
    picture = Image.fromarray(mask, mode="P")
    picture.putpalette(voc_palette().tobytes())
    picture.save(Path(root, "SegmentationClass", f"{name}.png"), optimize=False)
    return [int(label) for label in np.flatnonzero(np.bincount(mask.ravel())) if label]
