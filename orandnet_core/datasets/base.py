"""One data set type for every layout: builders fill it, everything else only reads it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from orandnet_core.datasets.images import read_image, read_mask
from orandnet_core.datasets.problems import ProblemLog
from orandnet_core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images with image-level labels and, for some, masks.

    Attributes:
        name: short name used in files and on screen ("voc12", "scenes", a folder's name).
        root: the folder it was opened from.
        class_names: C foreground names; label k in a mask is `class_names[k - 1]`.
        splits: image ids by split, in the order of the split's file.
        image_labels_by_id: (C,) uint8 multi-hot by image id, background excluded.
        image_path_of, mask_path_of: where the files of an image id lie; both give a path whether
            or not the file exists.
        image_dirs, mask_dirs: the folders that hold all images, and those that hold masks alone.
        mask_reader: reads the mask of an image, where `mask_path_of` is not simply its picture.
        problems: what was passed over on opening; it grows while labels are read.
    """

    name: str
    root: Path
    class_names: tuple[str, ...]
    splits: Mapping[str, tuple[str, ...]]
    image_labels_by_id: Mapping[str, np.ndarray]
    image_path_of: Callable[[str], Path]
    mask_path_of: Callable[[str], Path]
    image_dirs: tuple[Path, ...]
    mask_dirs: tuple[Path, ...]
    mask_reader: Callable[[str], np.ndarray] | None = None
    problems: ProblemLog = field(default_factory=ProblemLog)

    @property
    def num_classes(self) -> int:
        """Classes with background: VOC 21, COCO 81."""
        return len(self.class_names) + 1

    def image_ids(self, split: str) -> tuple[str, ...]:
        """The ids of a split.

        Raises:
            DataError: there is no such split; the message lists those there are.
        """
        try:
            return self.splits[split]
        except KeyError:
            known = ", ".join(self.splits) or "none"
            raise DataError(f"{self.name} has no split {split!r}; it has {known}") from None

    def image(self, image_id: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB, upright.

        Raises:
            DataError: the image is missing, damaged or none.
        """
        return read_image(self.image_path_of(image_id))

    def has_mask(self, image_id: str) -> bool:
        return self.mask_path_of(image_id).is_file()

    def mask(self, image_id: str) -> np.ndarray | None:
        """(H, W) uint8 with 0, 1..C and 255, or None where the image has no mask.

        Raises:
            DataError: there is one, and it cannot be read as labels.
        """
        if not self.has_mask(image_id):
            return None
        return self.mask_reader(image_id) if self.mask_reader else read_mask(self.mask_path_of(image_id))

    def image_labels(self, image_id: str) -> np.ndarray:
        """(C,) uint8 multi-hot.

        Raises:
            DataError: the image has no image-level labels.
        """
        try:
            return self.image_labels_by_id[image_id]
        except KeyError:
            raise DataError(f"{self.name}: no image-level labels for {image_id!r}") from None

    def class_ids(self, image_id: str) -> np.ndarray:
        """(K,) int64 in 1..C, ascending: the classes present in the image.

        Raises:
            DataError: the image has no image-level labels.
        """
        return np.flatnonzero(self.image_labels(image_id)) + 1

    def fingerprint(self, split: str) -> str:
        """Twelve hex digits that change with the split's ids, labels or classes."""
        if split not in self._fingerprints:
            self._fingerprints[split] = self._hash(split)
        return self._fingerprints[split]

    @cached_property
    def _fingerprints(self) -> dict[str, str]:
        return {}

    def _hash(self, split: str) -> str:
        digest = hashlib.sha256("\n".join(self.class_names).encode())
        for image_id in self.image_ids(split):
            labels = self.image_labels_by_id.get(image_id)
            digest.update(image_id.encode())
            digest.update(b"unlabelled" if labels is None else labels.tobytes())
        return digest.hexdigest()[:12]
