"""One pass over the images of a split, for any number of tallies at once.

A tally is one kind of counts of one source. A pass reads every image once and hands it to each
tally that has not counted its block yet.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orandnet_core.array_files import file_stamp
from orandnet_core.counts_cache import DiskShelf, MemoryShelf
from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError

__all__ = ["BLOCK", "WORKERS", "Progress", "Tally", "cache_key", "run_pass", "shelf_for"]

Progress = Callable[[int, int], None]
Shelf = DiskShelf | MemoryShelf

# Part of every cache key: raise it when the counts or their files change.
_FORMAT = 2
# Images a block: what a stopped pass loses at most, and what is in memory at a time.
BLOCK = 256
# Threads of a pass: numpy, zlib and OpenCV let others in while they work on an image.
WORKERS = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
# Images whose counts wait to be merged.
_GROUP = 16


@dataclass(frozen=True)
class Tally:
    """One kind of counts, and where its blocks are kept.

    Attributes:
        shelf: finished blocks.
        count: an image, as the pass reads it -> its counts.
        merged: counts of a block's images, perhaps none -> counts of the block.
    """

    shelf: Shelf
    count: Callable[[Any], Any]
    merged: Callable[[Sequence[Any]], Any]


def shelf_for(cache_dir: Path | None, key: str, kind: type, total_kind: type) -> Shelf:
    """A folder under `cache_dir` for the key, or memory without one."""
    return DiskShelf(Path(cache_dir) / key, kind, total_kind) if cache_dir else MemoryShelf()


def cache_key(dataset: Dataset, split: str, image_ids: Sequence[str], *parts: str) -> str:
    """A name for counts: changes with the images, their labels and masks, and every part given.

    Masks are known by size and time of change: reading them would cost as much as the pass.
    """
    digest = hashlib.sha256(
        json.dumps([_FORMAT, BLOCK, dataset.fingerprint(split), dataset.num_classes, *parts]).encode()
    )
    for image_id in image_ids:
        digest.update(f"\n{image_id}\t{file_stamp(dataset.mask_path_of(image_id))}".encode())
    return digest.hexdigest()[:24]


def run_pass(
    image_ids: Sequence[str],
    read: Callable[[str], Any],
    tallies: Sequence[Tally],
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> None:
    """Read every image that a tally still lacks, count it, and shelve the counts by block.

    An image that cannot be read or counted, for a reason of this package's own errors, is noted
    with its reason and counted by no tally of its block.

    Args:
        image_ids: of the split, in order; the blocks follow from it.
        read: image_id -> whatever the tallies count; called from `workers` threads.
        tallies: what is counted.
        progress: called as progress(done, total) after every image. What it raises ends the
            pass; finished blocks stay.
        workers: threads, by default one a core; 1 does everything in the caller's.
    """
    with _mapper(workers) as map_in_order:
        for block, start in enumerate(range(0, len(image_ids), BLOCK)):
            lacking = [tally for tally in tallies if not tally.shelf.has(block)]
            if not lacking:
                continue
            ids = image_ids[start : start + BLOCK]
            outcomes = map_in_order(partial(_counted, read=read, tallies=lacking), ids)
            parts: list[list] = [[] for _ in lacking]
            skipped: dict[str, str] = {}
            for done, (image_id, outcome) in enumerate(zip(ids, outcomes, strict=True), start=start + 1):
                if isinstance(outcome, str):
                    skipped[image_id] = outcome
                else:
                    _collect(outcome, parts, lacking)
                if progress:
                    progress(done, len(image_ids))
            for tally, counts in zip(lacking, parts, strict=True):
                tally.shelf.put(block, tally.merged(counts), skipped)


def _counted(image_id: str, read: Callable[[str], Any], tallies: Sequence[Tally]) -> list[Any] | str:
    """The image's counts, one for each tally, or why there are none."""
    try:
        image = read(image_id)
        return [tally.count(image) for tally in tallies]
    except OrandnetError as error:
        return str(error)


def _collect(counts: Sequence[Any], parts: Sequence[list], tallies: Sequence[Tally]) -> None:
    """Add an image's counts to those of its block, merging now and then: grids are large."""
    for tally, count, waiting in zip(tallies, counts, parts, strict=True):
        waiting.append(count)
        if len(waiting) == _GROUP:
            waiting[:] = [tally.merged(waiting)]


@contextmanager
def _mapper(workers: int) -> Iterator[Callable]:
    """`map`, in threads if there are several; leaving it early drops what has not begun."""
    if workers == 1:
        yield map
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="scoring")
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
