"""Score maps that later stages read: a CAM store of the run, or what a rule fuses both networks' into."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from orandnet_core.errors import ConfigError, DataError, StoreError
from orandnet_core.fusion import RULES
from orandnet_core.store import CamStore
from train.cam_pairs import SOURCES, CamPairs
from train.config import FusionConfig, Recipe
from train.workspace import cam_stores, cams_dir

FUSION = "fusion"
_MADE_BY_STAGES = ("refine", "crf", "walk")


@dataclass(frozen=True)
class CamSource:
    """One source of a run, at the size of the images. It can be sent to other processes.

    Attributes:
        name: `cnn`, `vit`, `refine` or any other CAM store of the run; a fusion rule such as `and`;
            or `fusion`, the recipe's own rule.
        run_dir: the run's folder.
        fusion: the knobs that each network's map goes through before any rule.
    """

    name: str
    run_dir: Path
    fusion: FusionConfig

    @property
    def rule(self) -> str | None:
        """The rule that fuses both networks' maps; None where one store has the maps."""
        return self.fusion.rule if self.name == FUSION else self.name if self.name in _fused_rules() else None

    def read(self, image_id: str, class_ids: np.ndarray, *, cell_px: int = 1) -> np.ndarray:
        """(K, h, w) float32 in [0, 1]; with `cell_px` 1 the size of the image.

        Args:
            class_ids: (K,) ascending, that the image's labels name.
            cell_px: pixels of the image to a side of a cell; 4 is how CAMs are stored.

        Raises:
            DataError: there are no readable maps of the image, or they are of other classes.
        """
        if self.rule:
            found = _pairs(self.run_dir, self.fusion).read(image_id, [self.rule], cell_px=cell_px)
            cam, found_ids = found.cams[self.rule], found.class_ids
        else:
            try:
                stored = _store(self.run_dir, self.name).read(image_id)
            except StoreError as error:  # of one image, which must not stop a stage as a full disk does
                raise DataError(str(error)) from None
            cam, found_ids = stored.in_cells(cell_px), stored.class_ids
        if not np.array_equal(found_ids, class_ids):
            raise DataError(
                f"{image_id}: {self.name} has maps of classes {found_ids.tolist()}, its labels name "
                f"{np.asarray(class_ids).tolist()}: make the maps anew"
            )
        return cam

    def having(self, image_ids: Iterable[str]) -> tuple[str, ...]:
        """Those of the images that have maps, in the order given.

        Raises:
            DataError: none has.
        """
        if self.rule:
            return _pairs(self.run_dir, self.fusion).having(image_ids)
        store, image_ids = _store(self.run_dir, self.name), tuple(image_ids)
        found = tuple(image_id for image_id in image_ids if image_id in store)
        if not found:
            raise DataError(f"{store.root}: has CAMs of none of {len(image_ids)} images: make them first")
        return found

    def made_by(self) -> str:
        """Twelve hex digits that change with what makes the maps, but not with the images that there are."""
        if self.rule:
            return _pairs(self.run_dir, self.fusion).made_by([self.rule])
        card = _store(self.run_dir, self.name).card
        decisive = {name: value for name, value in card.items() if name not in ("splits", "recipe")}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


def open_source(name: str, recipe: Recipe, run_dir: Path) -> CamSource:
    """A source of a run by its name.

    Raises:
        ConfigError: the run has no such source; the message says what it has.
    """
    check_source(name, run_dir)
    return CamSource(name, run_dir, recipe.fusion)


def check_source(name: str, run_dir: Path) -> None:
    """See that a run has a source: its store, or those of both networks for a fusion.

    Raises:
        ConfigError: it has not; the message says what it has, and what makes the source.
    """
    there = cam_stores(run_dir)
    for needed in SOURCES if name == FUSION or name in _fused_rules() else (name,):
        if needed not in there:
            stage = "cams" if needed in SOURCES else needed
            made = f"make them with `python -m train {stage}`, or " * (needed in (*SOURCES, *_MADE_BY_STAGES))
            fused = f"a fusion of {' and '.join(SOURCES)}: {FUSION}, {', '.join(_fused_rules())}"
            raise ConfigError(
                f"source {name!r}: {run_dir} has CAMs of {', '.join(there) or 'nothing yet'}, not of "
                f"{needed!r}: {made}choose another, such as {fused}"
            )


def stages_read(name: str) -> tuple[str, ...]:
    """The stages whose outputs a source is made from; none for a store that was imported."""
    if name in _MADE_BY_STAGES:
        return (name,)
    if name in SOURCES:
        return (f"cams-{name}",)
    return tuple(f"cams-{each}" for each in SOURCES) if name == FUSION or name in _fused_rules() else ()


def _fused_rules() -> tuple[str, ...]:
    return tuple(rule for rule in RULES if rule not in SOURCES)


# Opened once in a process: a worker reads many images of the same source.
@lru_cache(maxsize=8)
def _store(run_dir: Path, name: str) -> CamStore:
    return CamStore(cams_dir(run_dir, name))


@lru_cache(maxsize=8)
def _pairs(run_dir: Path, fusion: FusionConfig) -> CamPairs:
    return CamPairs(run_dir, fusion)
