"""Counts of a scoring pass, block by block, on disk or in memory.

A pass counts a split in blocks of images. Each kind of counts has a shelf of finished
blocks; on disk it is a folder, named by everything that the counts depend on:

    <key>/00000.npz      the counts of the first block of images
    <key>/00000.json     those of them that were passed over, {"image_id": "reason"}
    <key>/total.npz      the sum of all blocks
    <key>/<name>.npz     what was worked out from them, such as their bootstrap

so that a stopped pass goes on with its next block, and a finished one is answered in
milliseconds.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orandnet_core.array_files import read_record, write_atomically, write_record
from orandnet_core.errors import DataError, StoreError
from orandnet_core.metrics import (
    Bootstrap,
    ImageCounts,
    ImageTraits,
    PerImage,
    Sweep,
    bootstrap,
    image_traits,
    per_image,
)
from orandnet_core.metrics.levels import threshold_index

__all__ = ["DiskShelf", "MemoryShelf", "StoredCounts"]


class MemoryShelf:
    """Blocks of one kind of counts, gone with the process."""

    def __init__(self):
        self._blocks: dict[int, tuple[object, dict[str, str]]] = {}
        self._kept: dict[str, Any] = {}

    def has(self, block: int) -> bool:
        return block in self._blocks

    def put(self, block: int, counts: object, skipped: dict[str, str]) -> None:
        self._blocks[block] = counts, skipped

    def counts(self) -> Iterator:
        """The counts of all blocks, in order."""
        return (self._blocks[block][0] for block in sorted(self._blocks))

    def skipped(self) -> dict[str, str]:
        """Why images of the blocks were passed over, by image id."""
        return {
            image_id: reason for _, skipped in self._blocks.values() for image_id, reason in skipped.items()
        }

    @property
    def is_there(self) -> bool:
        """Whether the blocks are where they were put: a folder may be deleted."""
        return True

    def kept(self, name: str, kind: type, make: Callable[[], Any]) -> Any:
        """What was worked out from the counts, made once; `name` says what it is and from what."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def total(self, total_of: Callable[[Iterable], object]) -> object:
        return total_of(self.counts())


@dataclass(frozen=True)
class DiskShelf:
    """Blocks of one kind of counts in a folder. As `MemoryShelf`, and kept.

    Attributes:
        folder: of these counts alone; made when the first block comes.
        kind, total_kind: the dataclasses of a block's counts and of their sum.
    """

    folder: Path
    kind: type
    total_kind: type

    def has(self, block: int) -> bool:
        return self._path(block).is_file()

    def put(self, block: int, counts: object, skipped: dict[str, str]) -> None:
        write_atomically(self._path(block).with_suffix(".json"), json.dumps(skipped).encode())
        write_record(self._path(block), counts)  # last: it says that the block is done

    def counts(self) -> Iterator:
        return map(self._read, _block_paths(self.folder))

    def skipped(self) -> dict[str, str]:
        skipped: dict[str, str] = {}
        for path in _block_paths(self.folder):
            try:
                skipped |= json.loads(path.with_suffix(".json").read_text())
            except (OSError, ValueError) as error:
                path.unlink(missing_ok=True)
                raise StoreError(f"{path.with_suffix('.json')}: {error}; score again") from None
        return skipped

    @property
    def is_there(self) -> bool:
        return self.has(0)

    def kept(self, name: str, kind: type, make: Callable[[], Any]) -> Any:
        path = self.folder / f"{name}.npz"
        try:
            return read_record(path, kind)
        except StoreError:  # not there yet, or damaged: the blocks have it all
            made = make()
            write_record(path, made)
            return made

    def total(self, total_of: Callable[[Iterable], object]) -> object:
        return self.kept("total", self.total_kind, lambda: total_of(self.counts()))

    def _read(self, path: Path) -> object:
        try:
            return read_record(path, self.kind)
        except StoreError as error:
            path.unlink(missing_ok=True)  # the next pass then counts this block anew
            raise StoreError(f"{error}; it was removed: score again") from None

    def _path(self, block: int) -> Path:
        return self.folder / f"{block:05d}.npz"


@dataclass(frozen=True)
class StoredCounts:
    """Per-image counts that stay on disk: only a block at a time is in memory.

    Attributes:
        shelf: where the blocks are.
        num_classes: with background.
        image_ids: N names of the images counted.
        left_out: images of the blocks that do not count here.
    """

    shelf: DiskShelf | MemoryShelf
    num_classes: int
    image_ids: tuple[str, ...] = field(repr=False)
    left_out: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def is_there(self) -> bool:
        """Whether the counts are where they were put: a cache may be deleted."""
        return self.shelf.is_there

    def blocks(self) -> Iterator[ImageCounts]:
        """All images in order, a block at a time; StoreError if a file is gone or damaged."""
        for block in self.shelf.counts():
            if self.left_out.isdisjoint(block.image_ids):
                yield block
            else:
                yield block.select(each for each in block.image_ids if each not in self.left_out)

    def select(self, image_ids: Iterable[str]) -> ImageCounts:
        """The counts of a few images, in memory, in the order given; DataError for an unknown id."""
        image_ids = tuple(image_ids)
        wanted = set(image_ids)
        if unknown := wanted.difference(self.image_ids):
            raise DataError(f"{min(unknown)!r} is not among the {len(self.image_ids)} images counted")
        parts = [block.select(filter(wanted.__contains__, block.image_ids)) for block in self.blocks()]
        return ImageCounts.merged(parts, self.num_classes).select(image_ids)

    def without(self, image_ids: Iterable[str]) -> "StoredCounts":
        """The counts of all images but some, which stay on disk as well."""
        left_out = self.left_out.union(set(image_ids).intersection(self.image_ids))
        counted = tuple(image_id for image_id in self.image_ids if image_id not in left_out)
        return replace(self, image_ids=counted, left_out=left_out)

    def total(self) -> Sweep:
        """The data set's counts."""
        whole = self.shelf.total(Sweep.sum_of)
        if not self.left_out:
            return whole
        return (
            whole
            - replace(self, image_ids=tuple(self.left_out), left_out=frozenset())
            .select(self.left_out)
            .total()
        )

    def kept(self, name: str, kind: type, make: Callable[[], Any]) -> Any:
        """What was worked out from these images' counts, made once; see `DiskShelf.kept`."""
        return self.shelf.kept(self._named(name), kind, make)

    def bootstrap(self) -> Bootstrap:
        """`metrics.bootstrap` of the images, made once and kept."""
        return self.kept("bootstrap", Bootstrap, lambda: bootstrap(self))

    def per_image(self, threshold: float) -> PerImage:
        """`metrics.per_image` at a threshold, made once and kept."""
        name = f"images-{threshold_index(threshold)}"
        return self.kept(name, PerImage, lambda: per_image(self, threshold))

    def image_traits(self) -> ImageTraits:
        """`metrics.image_traits` of the images, made once and kept."""
        return self.kept("traits", ImageTraits, lambda: image_traits(self))

    def _named(self, what: str) -> str:
        if not self.left_out:
            return what
        digest = hashlib.sha256("\n".join(sorted(self.left_out)).encode())
        return f"{what}-{digest.hexdigest()[:16]}"


def _block_paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.npz"))
