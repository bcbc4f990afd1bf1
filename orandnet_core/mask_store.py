"""Masks of a whole data set as palette PNGs, `<image id>.png`, with a card that says what made them."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orandnet_core.array_files import file_stamp, write_atomically
from orandnet_core.datasets.image_ids import path_below
from orandnet_core.datasets.images import read_mask
from orandnet_core.errors import DataError, StoreError
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX
from orandnet_core.render import mask_png_bytes

__all__ = ["MaskStore"]


@dataclass(frozen=True)
class MaskStore:
    """The masks of one making; any number of processes may fill it.

    Attributes:
        root: the folder; it is made by the first write.
    """

    root: Path

    def path_of(self, image_id: str) -> Path:
        """Where an image's mask lies; an id with slashes has folders of its own.

        Raises:
            DataError: the id would leave the store's folder.
        """
        return path_below(self.root, image_id, ".png")

    @property
    def card(self) -> dict[str, Any]:
        """What made these masks, from card.json.

        Raises:
            StoreError: there is no card, or it cannot be read.
        """
        path = self.root / "card.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise StoreError(f"{path}: not readable ({error}); delete the folder and make it anew") from None

    def write_card(self, card: dict[str, Any]) -> None:
        """Replace card.json, atomically; StoreError where the disk refuses."""
        write_atomically(self.root / "card.json", json.dumps(card, indent=2, sort_keys=True).encode())

    def write(self, image_id: str, mask: np.ndarray) -> None:
        """Store an image's mask, in place of the one it may have had.

        Args:
            mask: (H, W) uint8: 0, 1..C, 255.

        Raises:
            DataError: the id makes no file name.
            StoreError: the disk refuses.
        """
        write_atomically(self.path_of(image_id), mask_png_bytes(mask))

    def read(self, image_id: str) -> np.ndarray:
        """(H, W) uint8.

        Raises:
            DataError: there is no such mask, or it is damaged.
        """
        return read_mask(self.path_of(image_id))

    def __contains__(self, image_id: object) -> bool:
        """Whether there is a file of an image's mask, readable or not."""
        return isinstance(image_id, str) and self.path_of(image_id).is_file()

    def fingerprint_of(self, image_ids: Iterable[str]) -> str:
        """Twelve hex digits that change with the card, or with the file of any of these images' masks.

        Files are known by size and time of change: reading them would cost as much as using them.

        Raises:
            StoreError: there is no card.
        """
        digest = hashlib.sha256(json.dumps(self.card, sort_keys=True).encode())
        for image_id in image_ids:
            digest.update(f"\n{image_id}\t{file_stamp(self.path_of(image_id))}".encode())
        return digest.hexdigest()[:12]

    def validates(self, image_id: str, class_ids: np.ndarray) -> bool:
        """Whether an image's mask is there, readable, and of no classes but these.

        A resumed job skips what validates.
        """
        try:
            labels = np.unique(self.read(image_id))
        except DataError:
            return False
        return bool(np.isin(labels, [BACKGROUND, *class_ids, IGNORE_INDEX]).all())
