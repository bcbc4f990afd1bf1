"""The CAMs of a run's two networks, read together and fused."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from orandnet_core.errors import DataError, StoreError
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.store import STRIDE, CamStore
from train.config import FusionConfig
from train.workspace import cams_dir

SOURCES = ("cnn", "vit")


@dataclass(frozen=True)
class FusedCams:
    """What both networks find in an image, fused by some rules.

    Attributes:
        cams: by rule, (K, h, w) float32 in [0, 1].
        class_ids: (K,) int64, ascending, from 1.
        size_hw: height and width of the image in pixels.
    """

    cams: dict[str, np.ndarray]
    class_ids: np.ndarray
    size_hw: tuple[int, int]


class CamPairs:
    """Both networks' CAM stores of a run.

    Args:
        run_dir: holds `cams-cnn` and `cams-vit`.
        fusion: offsets, gammas and weights that each network's map goes through before any rule.
    """

    def __init__(self, run_dir: Path, fusion: FusionConfig):
        self.stores = tuple(CamStore(cams_dir(run_dir, source)) for source in SOURCES)
        self.fusion = fusion_of(fusion)

    def having(self, image_ids: Iterable[str]) -> tuple[str, ...]:
        """Those of the images that have CAMs of both networks, in the order given.

        Raises:
            DataError: none has.
        """
        image_ids = tuple(image_ids)
        found = tuple(image_id for image_id in image_ids if all(image_id in store for store in self.stores))
        if not found:
            folders = " and ".join(str(store.root) for store in self.stores)
            raise DataError(
                f"none of {len(image_ids)} images has CAMs in both {folders}: make them with "
                "`python -m train cams` first"
            )
        return found

    def read(self, image_id: str, rules: Sequence[str], *, cell_px: int = STRIDE) -> FusedCams:
        """Fuse an image's CAMs, each rule with the knobs of the fusion.

        Args:
            rules: keys of `fusion.RULES`.
            cell_px: pixels of the photo to a side of a cell; 4 is how CAMs are stored.

        Raises:
            DataError: a network has no readable CAMs of the image, or they are of other classes or sizes.
        """
        try:
            cnn, vit = (store.read(image_id) for store in self.stores)
        except StoreError as error:  # of one image, which must not stop a stage as a full disk does
            raise DataError(str(error)) from None
        if cnn.size_hw != vit.size_hw or not np.array_equal(cnn.class_ids, vit.class_ids):
            found = (
                f"{store.root.name} has classes {stored.class_ids.tolist()} at {stored.size_hw} px"
                for store, stored in zip(self.stores, (cnn, vit), strict=True)
            )
            raise DataError(f"{image_id}: {', '.join(found)}: make one of them anew")
        maps = [stored.in_cells(cell_px) for stored in (cnn, vit)]
        cams = {rule: fuse(*maps, by_rule(self.fusion, rule)) for rule in rules}
        return FusedCams(cams, cnn.class_ids, cnn.size_hw)

    def fingerprint_of(self, image_ids: Iterable[str], rules: Sequence[str]) -> str:
        """Twelve hex digits that change with what `read` gives for any of these images."""
        image_ids = tuple(image_ids)
        return self._digest([store.fingerprint_of(image_ids) for store in self.stores], rules)

    def made_by(self, rules: Sequence[str]) -> str:
        """Twelve hex digits that change with what makes the CAMs, but not with the images that there are."""
        return self._digest(
            [
                {name: value for name, value in store.card.items() if name not in ("splits", "recipe")}
                for store in self.stores
            ],
            rules,
        )

    def _digest(self, inputs: object, rules: Sequence[str]) -> str:
        parts = [inputs, [by_rule(self.fusion, rule).as_dict() for rule in rules]]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def fusion_of(config: FusionConfig) -> Fusion:
    """The fusion of a recipe, without its thresholds."""
    names = {field.name for field in fields(Fusion)} - {"clip"}
    return Fusion(**{name: getattr(config, name) for name in names})


def by_rule(fusion: Fusion, rule: str) -> Fusion:
    """Another rule with the same knobs; the weights of `noisy_or` are no knobs, but numbers of witnesses."""
    weights = {"weight_cnn": 1.0, "weight_vit": 1.0} if "noisy_or" in (fusion.rule, rule) else {}
    return fusion if rule == fusion.rule else replace(fusion, rule=rule, **weights)
