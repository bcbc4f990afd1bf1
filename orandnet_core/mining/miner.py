"""Mine a source's errors on a split: every image once, counts kept on disk."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from orandnet_core.array_files import read_record, write_record
from orandnet_core.counts_cache import DiskShelf, MemoryShelf
from orandnet_core.datasets import Dataset
from orandnet_core.errors import DataError, OrandnetError, StoreError
from orandnet_core.metrics import Metrics, ThresholdChoice, metrics_of
from orandnet_core.metrics.levels import Truth
from orandnet_core.mining.backgrounds import Backgrounds, background_cells, learn_backgrounds
from orandnet_core.mining.counts import ErrorCounts, PixelErrors, pixel_errors
from orandnet_core.protocol import ProtocolCard
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.scoring import Source, card_of, split_ids, true_mask
from orandnet_core.scoring_pass import WORKERS, Progress, Tally, cache_key, run_pass, shelf_for

__all__ = ["Mined", "backgrounds_of", "errors_of_image", "mine"]

# Part of every key: raise it when kinds, features, columns or facets change.
_FORMAT = "errors 1"
# Photos that the backgrounds are learnt from, evenly over the split.
_LEARNT_FROM = 300


@dataclass(frozen=True)
class Mined:
    """A source's errors on a split, at one threshold.

    Attributes:
        card: the protocol card.
        num_classes: with background.
        backgrounds: of the data set.
        skipped: why images were passed over, by image id.
        shelf: the counts of the images, a block at a time.
    """

    card: ProtocolCard
    num_classes: int
    backgrounds: Backgrounds
    skipped: Mapping[str, str]
    shelf: DiskShelf | MemoryShelf

    def blocks(self) -> Iterator[ErrorCounts]:
        """All images in order, some at a time; StoreError if a file is gone or damaged."""
        return self.shelf.counts()

    def kept(self, name: str, kind: type, make: Callable[[], Any]) -> Any:
        """What was worked out from the counts, made once; see `DiskShelf.kept`."""
        return self.shelf.kept(name, kind, make)

    def confusion(self) -> np.ndarray:
        """(C, C) int64, [target, prediction], of all images."""
        return self.kept("confusion", _Confusion, self._added_up).pixels

    def _added_up(self) -> "_Confusion":
        return _Confusion(sum(block.confusion(self.num_classes) for block in self.blocks()))

    def metrics(self) -> Metrics:
        """The scores: (C,) per class, () means."""
        return metrics_of(self.confusion())


@dataclass(frozen=True)
class _Confusion:
    pixels: np.ndarray


def backgrounds_of(
    dataset: Dataset, split: str, cache_dir: Path | None = None, progress: Progress | None = None
) -> Backgrounds:
    """The backgrounds of a data set, learnt from up to 300 images of a split, and kept.

    Args:
        progress: called as progress(done, total) after every image.

    Raises:
        DataError: no image has a readable photo, a mask and background.
    """
    ids = [image_id for image_id in dataset.image_ids(split) if dataset.has_mask(image_id)]
    if len(ids) > _LEARNT_FROM:
        ids = [ids[index] for index in np.linspace(0, len(ids) - 1, _LEARNT_FROM).astype(int)]
    path = (
        Path(cache_dir) / f"{cache_key(dataset, split, ids, _FORMAT)}-backgrounds.npz" if cache_dir else None
    )
    if path is not None:
        try:
            return read_record(path, Backgrounds)
        except StoreError:  # not there yet, or damaged
            pass
    cells = []
    for done, image_id in enumerate(ids, start=1):
        try:
            photo, target = _photo_and_target(dataset, image_id)
        except OrandnetError:
            pass  # the pass over the errors lists it with its reason
        else:
            cells.append(background_cells(photo, target))
        if progress:
            progress(done, len(ids))
    found = learn_backgrounds(cells)
    if path is not None:
        write_record(path, found)
    return found


def mine(
    dataset: Dataset,
    split: str,
    source: Source,
    choice: ThresholdChoice,
    backgrounds: Backgrounds,
    *,
    image_ids: Iterable[str] | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> Mined:
    """Sort every wrong pixel of a source into its kind, and count.

    Args:
        dataset, split: images with masks; those without are passed over and listed.
        source: gives the maps.
        choice: the background threshold, and how it was chosen. Images whose masks a `calibrated`
            one has seen are left out.
        backgrounds: of the data set.
        image_ids: a subset of the split (default: all of it).
        cache_dir, progress, workers: as in `scoring.score`.

    Raises:
        DataError: no image could be scored; the message gives one of the reasons.
    """
    ids = split_ids(dataset, split, image_ids)
    if choice.rule == "calibrated":
        ids = choice.unseen(ids)
    known_by = (str(float(choice.value)), backgrounds.centres.tobytes().hex(), _FORMAT)
    tally = Tally(
        shelf=shelf_for(
            cache_dir, cache_key(dataset, split, ids, source.fingerprint, *known_by), ErrorCounts, ErrorCounts
        ),
        count=lambda errors: ErrorCounts.of(*errors),
        merged=partial(ErrorCounts.merged, backgrounds=len(backgrounds.centres)),
    )

    def read(image_id: str) -> tuple[PixelErrors, str]:
        return errors_of_image(dataset, source, choice.value, backgrounds, image_id), image_id

    run_pass(ids, read, [tally], progress, workers)
    skipped = tally.shelf.skipped()
    card = card_of(dataset, split, ids, skipped, source.name, source.fingerprint)
    scored = [image_id for image_id in ids if image_id not in skipped]
    return Mined(card.with_threshold(choice, scored), dataset.num_classes, backgrounds, skipped, tally.shelf)


def errors_of_image(
    dataset: Dataset, source: Source, threshold: float, backgrounds: Backgrounds, image_id: str
) -> PixelErrors:
    """What is wrong with a source's mask of one image.

    Raises:
        DataError: photo, ground truth or maps cannot be read, or are of different sizes.
    """
    photo, target = _photo_and_target(dataset, image_id)
    cam, class_ids = source.cam_of(image_id)
    if cam.shape[1:] != target.shape:
        raise DataError(
            f"{image_id}: the mask is {target.shape} and the maps are {cam.shape[1:]} (height, width); "
            "one of the two belongs to another version of the image"
        )
    return pixel_errors(photo, target, pseudo_mask(cam, class_ids, threshold), backgrounds)


def _photo_and_target(dataset: Dataset, image_id: str) -> tuple[np.ndarray, np.ndarray]:
    target = true_mask(dataset, image_id)
    Truth.of(target, dataset.num_classes, image_id)  # its labels are the data set's
    photo = dataset.image(image_id)
    if photo.shape[:2] != target.shape:
        raise DataError(
            f"{dataset.mask_path_of(image_id)}: the mask is {target.shape} and the photo {photo.shape[:2]} "
            "(height, width); one of the two belongs to another version of the image"
        )
    return photo, target
