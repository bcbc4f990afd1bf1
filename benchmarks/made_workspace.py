"""A workspace of any size to measure on: a folder of small pictures, and a run with CAMs of two sources.

Pictures repeat every `KINDS` images, names do not: files, index lines and rows of labels.csv are as many as
those of a real data set of that size, and come in a couple of minutes. As `KINDS` images are also a block
of a scoring pass, the counts of one block are those of all (`counted`), which saves hours, not a file.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.scoring_pass import BLOCK, Tally, run_pass
from orandnet_core.store import CamStore, stored_hw
from train.config import override, to_dict
from train.recipes import recipe

DATASET, RUN = "made", "made"
SIZE_HW = (48, 64)
KINDS = BLOCK  # different pictures
SHOWN = 2  # classes an image
_CHUNK = 500


@dataclass(frozen=True)
class _Picture:
    """What is written of one kind of image: files as bytes, and both sources' maps."""

    photo: bytes
    mask: bytes
    class_ids: np.ndarray
    cams: dict[str, np.ndarray]


def make_workspace(
    workspace: Path,
    images: int,
    classes: int = 20,
    processes: int = 2,
    size_hw: tuple[int, int] = SIZE_HW,
) -> None:
    """Write `data/made`, `datasets.json` and `runs/made` with its two CAM stores into a new workspace.

    Args:
        workspace: its folder; it is made.
        images: N; their ids are `0000000` on, and the last ones, a fifth at least, are `val`.
        classes: C. Masks show those below 255 alone, which is what 8 bits have room for.
        processes: that write.
        size_hw: of the images, in pixels.
    """
    root, run_dir = workspace / "data" / DATASET, workspace / "runs" / RUN
    for folder in (root / "images", root / "masks", run_dir):
        folder.mkdir(parents=True)
    pictures = [_picture(number, classes, size_hw) for number in range(min(KINDS, images))]
    (root / "classes.txt").write_text("\n".join(_names(classes)), encoding="utf-8")
    with (root / "labels.csv").open("w", encoding="utf-8") as table:
        table.write("image,classes,split\n")
        for number in range(images):
            names = ";".join(f"class {k}" for k in pictures[number % KINDS].class_ids)
            table.write(f"{_id(number)},{names},{'train' if number < in_train(images) else 'val'}\n")
    (workspace / "datasets.json").write_text(
        json.dumps([{"name": DATASET, "kind": "folder", "root": str(root)}])
    )
    config = override(recipe("voc12_cpu"), {"data.kind": "folder", "data.root": str(root)})
    (run_dir / "config.json").write_text(json.dumps(to_dict(config)))
    for source in ("cnn", "vit"):
        CamStore(run_dir / f"cams-{source}").write_card(
            {"source": source, "dataset": DATASET, "network": {"model": f"net-{source}"}, "method": "cam"}
        )
    chunks = [range(start, min(start + _CHUNK, images)) for start in range(0, images, _CHUNK)]
    write = partial(_write, root, run_dir, classes, size_hw)
    if processes == 1 or len(chunks) == 1:
        for chunk in chunks:
            write(chunk)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(write, chunks))


def in_train(images: int) -> int:
    """How many of the images are in `train`: about four in five, and whole blocks where there are any."""
    share = images * 4 // 5
    return share // BLOCK * BLOCK or share


@contextmanager
def one_block_read() -> Iterator[None]:
    """While this lasts, every pass reads the first block of images alone and shelves it for all the others.

    Of a workspace that was made here that changes no count, but those that hang on folds of the images.
    """
    one_pass = run_pass
    modules = [each for each in list(sys.modules.values()) if getattr(each, "run_pass", None) is one_pass]

    def repeated(
        image_ids: Sequence[str], read: Callable, tallies: Sequence[Tally], *options: object
    ) -> None:
        one_pass(image_ids[:BLOCK], read, tallies, *options)
        for shelf in (tally.shelf for tally in tallies):
            first = next(shelf.counts())
            for block in range(1, -(-len(image_ids) // BLOCK)):
                ids = tuple(image_ids[block * BLOCK : (block + 1) * BLOCK])
                if shelf.has(block):
                    continue
                if hasattr(first, "image_ids"):
                    shelf.put(block, replace(first, image_ids=ids), {})
                else:  # a sum, which packing anew would not change
                    for suffix in (".json", ".npz"):
                        shutil.copy(shelf.folder / f"00000{suffix}", shelf.folder / f"{block:05d}{suffix}")

    for module in modules:
        module.run_pass = repeated
    try:
        yield
    finally:
        for module in modules:
            module.run_pass = one_pass


def _write(root: Path, run_dir: Path, classes: int, size_hw: tuple[int, int], numbers: Iterable[int]) -> None:
    made: dict[int, _Picture] = {}
    stores = {source: CamStore(run_dir / f"cams-{source}") for source in ("cnn", "vit")}
    for number in numbers:
        kind = number % KINDS
        picture = made.get(kind) or made.setdefault(kind, _picture(kind, classes, size_hw))
        image_id = _id(number)
        (root / "images" / f"{image_id}.jpg").write_bytes(picture.photo)
        (root / "masks" / f"{image_id}.png").write_bytes(picture.mask)
        for source, store in stores.items():
            store.write(image_id, picture.cams[source], picture.class_ids, size_hw)


def _picture(number: int, classes: int, size_hw: tuple[int, int]) -> _Picture:
    """Smooth blobs of the classes, and maps that half know them."""
    rng = np.random.default_rng(number)
    class_ids = np.sort(rng.choice(np.arange(1, classes + 1), min(SHOWN, classes), replace=False))
    blobs = _smooth(rng, len(class_ids), 4, size_hw)
    truth = np.where(blobs.max(axis=0) > 0.6, class_ids[blobs.argmax(axis=0)], 0)
    mask = np.where(truth < IGNORE_INDEX, truth, 0).astype(np.uint8)
    photo = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), size_hw[::-1])
    hw = stored_hw(size_hw)
    small = np.stack([cv2.resize(blob, hw[::-1], interpolation=cv2.INTER_AREA) for blob in blobs])
    cams = {}
    for source, cells in (("cnn", 3), ("vit", 6)):
        cam = 0.6 * small + 0.4 * _smooth(rng, len(class_ids), cells, hw)
        cams[source] = (cam / cam.max(axis=(1, 2), keepdims=True)).astype(np.float32)
    return _Picture(_encoded(".jpg", photo), _encoded(".png", mask), class_ids, cams)


def _smooth(rng: np.random.Generator, count: int, cells: int, size_hw: tuple[int, int]) -> np.ndarray:
    """(count, H, W) float32 in [0, 1]."""
    grids = rng.random((count, cells, cells + 1), np.float32)
    return np.stack([cv2.resize(grid, size_hw[::-1], interpolation=cv2.INTER_LINEAR) for grid in grids])


def _encoded(suffix: str, picture: np.ndarray) -> bytes:
    return cv2.imencode(suffix, picture)[1].tobytes()


def _names(classes: int) -> list[str]:
    return [f"class {k}" for k in range(1, classes + 1)]


def _id(number: int) -> str:
    return f"{number:07d}"
