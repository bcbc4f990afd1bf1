"""One image after the other from a foreign folder into a CAM store."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orandnet_core.datasets import Dataset, image_size_hw
from orandnet_core.errors import DataError
from orandnet_core.interchange.families import read_raw
from orandnet_core.interchange.listing import Listing
from orandnet_core.interchange.reading import Reading, maps_of_labels
from orandnet_core.store import CamStore, resize_maps, stored_hw

__all__ = ["MapImport", "coverage"]


@dataclass(frozen=True)
class MapImport:
    """Foreign maps of a data set; it can be sent to other processes.

    Attributes:
        listing: the folder's files.
        dataset: whose images they belong to.
        reading: what the files mean.
    """

    listing: Listing
    dataset: Dataset
    reading: Reading

    def maps(self, image_id: str) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        """An image's maps.

        Returns:
            (K, h, w) float32 in [0, 1] of whatever size the files have; class ids (K,) as the labels
            have them; the photo's size.

        Raises:
            DataError: a file cannot be read, or does not fit the reading; the message names the
                option that decides.
        """
        paths = self.listing.paths.get(image_id)
        if paths is None:
            raise DataError(f"{self.listing.root}: no file of {image_id}")
        name = _name(paths)
        labels = self.dataset.class_ids(image_id)
        photo_hw = image_size_hw(self.dataset.image_path_of(image_id))
        names = self.dataset.class_names
        raw = read_raw(paths, self.reading.format, self.reading.field, len(names), name)
        return maps_of_labels(raw, self.reading, labels, names, photo_hw, name), labels, photo_hw

    def write(self, store_root: Path, image_id: str) -> None:
        """Put an image's maps into the store in a folder, at the store's resolution.

        Raises:
            DataError: as `maps`.
            StoreError: the disk refuses.
        """
        maps, class_ids, photo_hw = self.maps(image_id)
        CamStore(store_root).write(image_id, resize_maps(maps, stored_hw(photo_hw)), class_ids, photo_hw)

    def is_written(self, store: CamStore, image_id: str) -> bool:
        """Whether a store has a readable CAM of the image and its classes."""
        known = self.dataset.image_labels_by_id.get(image_id) is not None
        return known and store.validates(image_id, self.dataset.class_ids(image_id))

    def card(self, source: str) -> dict[str, object]:
        """What the store's card says."""
        reading = {name: value for name, value in vars(self.reading).items() if value}
        splits = {
            split: self.dataset.fingerprint(split)
            for split, ids in self.dataset.splits.items()
            if any(image_id in self.listing.paths for image_id in ids)
        }
        return {
            "source": source,
            "method": "imported",
            "dataset": self.dataset.name,
            "splits": splits,
            "imported_from": str(self.listing.root.resolve()),
            "reading": reading,
        }


def coverage(listing: Listing, dataset: Dataset) -> dict[str, tuple[int, int]]:
    """How many images of each split have files, and how many there are."""
    return {split: (len(listing.having(ids)), len(ids)) for split, ids in dataset.splits.items()}


def _name(paths: Mapping[str, Path]) -> str:
    first = next(iter(paths.values()))
    return str(first) if len(paths) == 1 else str(first.parent)
