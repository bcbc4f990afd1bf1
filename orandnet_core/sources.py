"""What can be scored on a data set: whatever gives score maps of an image, or a mask.

Shapes: K present classes, H x W pixels, C classes with background.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from orandnet_core.errors import DataError
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.mask_store import MaskStore
from orandnet_core.metrics.levels import BestLevels
from orandnet_core.metrics.masks import mask_levels
from orandnet_core.store import CamStore

__all__ = ["MaskSource", "Source", "fused_source", "mask_source", "read_both", "store_source"]

Array = np.ndarray


@dataclass(frozen=True)
class Source:
    """Whatever gives a score map per present class.

    Attributes:
        name: "cnn", "vit", "or", ..., or what the user called it.
        fingerprint: changes with the maps; part of the cache's key.
        cam_of: image_id -> cam (K, H, W) in [0, 1] at the image's full size, and class_ids (K,)
            ascending. Called from several threads.
    """

    name: str
    fingerprint: str
    cam_of: Callable[[str], tuple[Array, Array]]

    def best_of(self, image_id: str, num_classes: int) -> BestLevels:
        """The level of the best map at every pixel; errors are those of `cam_of` and `BestLevels.of`."""
        return BestLevels.of(*self.cam_of(image_id), num_classes)

    def counted_classes(self, num_classes: int) -> int:
        """How many classes its counts are of: those of the data set."""
        return num_classes


@dataclass(frozen=True)
class MaskSource:
    """Whatever gives a mask per image: labels without scores, the same at every threshold.

    What a mask leaves undecided (255) counts as found by no class: it lowers recall, and precision is
    that of the decided pixels. In the counts it is one more class, which no ground truth shows.

    Attributes:
        name, fingerprint: as of a `Source`.
        mask_of: image_id -> (H, W) uint8: 0, 1..C - 1, 255. Called from several threads.
        threshold: the background threshold that decided the masks; None where none did.
        threshold_rule: how that was chosen, or what decided in its place, for the protocol card.
        chosen_on: on which images.
    """

    name: str
    fingerprint: str
    mask_of: Callable[[str], Array]
    threshold: float | None = None
    threshold_rule: str = "masks as they are"
    chosen_on: str = "no images"

    def best_of(self, image_id: str, num_classes: int) -> BestLevels:
        """As of a `Source`: foreground, and what is undecided, scores 1.

        Raises:
            DataError: there is no mask, or it has a label that the data set does not have.
        """
        mask = self.mask_of(image_id)
        stray = mask[(mask >= num_classes) & (mask != IGNORE_INDEX)]
        if stray.size:
            raise DataError(
                f"{image_id}: the mask of {self.name} has label {stray.max()}; this data set has "
                f"0..{num_classes - 1}, and {IGNORE_INDEX} for undecided"
            )
        return mask_levels(np.where(mask == IGNORE_INDEX, np.uint8(num_classes), mask))

    def counted_classes(self, num_classes: int) -> int:
        """How many classes its counts are of: those of the data set, and what is undecided."""
        return num_classes + 1


def store_source(store: CamStore, name: str | None = None) -> Source:
    """The source of a store's CAMs, called as its card's `source` says unless a name is given."""

    def cam_of(image_id: str) -> tuple[Array, Array]:
        stored = store.read(image_id)
        return stored.full_size(), stored.class_ids

    return Source(name or store.card.get("source", store.root.name), store.fingerprint, cam_of)


def mask_source(store: MaskStore, image_ids: Iterable[str], name: str) -> MaskSource:
    """The source of a store's masks of some images; its card says how they were decided.

    Raises:
        StoreError: the store has no card.
    """
    card = store.card
    decided = {}
    if "rule" in card:
        decided["threshold_rule"] = card["rule"]
    elif card.get("background_threshold") is not None:
        threshold = float(card["background_threshold"])
        decided |= {"threshold": threshold, "threshold_rule": "fixed", "chosen_on": "no images (the recipe)"}
    return MaskSource(name, store.fingerprint_of(image_ids), store.read, **decided)


def fused_source(name: str, cnn: Source, vit: Source, fusion: Fusion) -> Source:
    """The source that fuses two others; a class that one of them lacks counts as 0 there."""

    def cam_of(image_id: str) -> tuple[Array, Array]:
        cnn_cam, vit_cam, class_ids = read_both(cnn, vit, image_id)
        return fuse(cnn_cam, vit_cam, fusion), class_ids

    parts = (cnn.fingerprint, vit.fingerprint, fusion.fingerprint)
    return Source(name, hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12], cam_of)


def read_both(cnn: Source, vit: Source, image_id: str) -> tuple[Array, Array, Array]:
    """Both networks' maps (K, H, W) in the order of the classes (K,) that either has.

    Raises:
        DataError: they differ in size.
    """
    cnn_cam, cnn_ids = cnn.cam_of(image_id)
    vit_cam, vit_ids = vit.cam_of(image_id)
    if np.array_equal(cnn_ids, vit_ids):
        return cnn_cam, vit_cam, cnn_ids
    if cnn_cam.shape[1:] != vit_cam.shape[1:]:
        raise DataError(
            f"{image_id}: {cnn.name}'s maps are {cnn_cam.shape[1:]} and {vit.name}'s {vit_cam.shape[1:]}; "
            "make one of them anew"
        )
    class_ids = np.union1d(cnn_ids, vit_ids)
    return _spread(cnn_cam, cnn_ids, class_ids), _spread(vit_cam, vit_ids, class_ids), class_ids


def _spread(cam: Array, own_ids: Array, class_ids: Array) -> Array:
    spread = np.zeros((len(class_ids), *cam.shape[1:]), np.float32)
    spread[np.searchsorted(class_ids, own_ids)] = cam
    return spread
