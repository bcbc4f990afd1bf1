"""The masks that a segmentation network learns from, whoever made them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orandnet_core.datasets import Dataset
from orandnet_core.datasets.images import read_mask
from orandnet_core.mask_store import MaskStore

RUN_MASKS, TRUTH = "masks", "truth"


@dataclass(frozen=True)
class Masks:
    """What a segmentation network learns from: the data set's own masks, or a folder of PNGs.

    Attributes:
        dataset: whose own masks they are where `store` is None.
        store: the folder.
    """

    dataset: Dataset
    store: MaskStore | None

    @classmethod
    def of(cls, masks: str, dataset: Dataset, run_dir: Path) -> "Masks":
        """What `SegmentConfig.masks` names."""
        if masks == TRUTH:
            return cls(dataset, None)
        return cls(dataset, MaskStore(run_dir / RUN_MASKS if masks == RUN_MASKS else Path(masks)))

    @property
    def where(self) -> str:
        """For messages."""
        return str(self.store.root) if self.store else f"{self.dataset.name}'s own masks"

    def path(self, image_id: str) -> Path:
        return self.store.path_of(image_id) if self.store else self.dataset.mask_path_of(image_id)

    def has(self, image_id: str) -> bool:
        return self.path(image_id).is_file()

    def __call__(self, image_id: str) -> np.ndarray:
        """(H, W) uint8.

        Raises:
            DataError: there is none, or it cannot be read.
        """
        if self.store is None and self.dataset.has_mask(image_id):
            return self.dataset.mask(image_id)
        return read_mask(self.path(image_id))

    def fingerprint(self, image_ids: tuple[str, ...]) -> str:
        """Sixteen hex digits that change with any of these masks."""
        digest = hashlib.sha256()
        drawn = self.store is None and self.dataset.mask_reader is not None  # no file an image
        for image_id in image_ids:
            content = self(image_id).tobytes() if drawn else self.path(image_id).read_bytes()
            digest.update(f"{image_id}\n".encode() + hashlib.sha256(content).digest())
        return digest.hexdigest()[:16]
