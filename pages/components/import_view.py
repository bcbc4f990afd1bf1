"""What the Import page shows and does: recognising, pictures, the import itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError, DataError, StoreError
from orandnet_core.interchange import MapImport, Recognised, coverage, list_maps, recognise_maps
from orandnet_core.render import colour_map, overlay, quantised
from orandnet_core.store import CamStore, resize_maps
from pages.components import catalog, loaders
from pages.components.scores import task_key
from pages.components.selection import DatasetRef
from pages.components.tasks import Report
from train.claim import claim
from train.import_maps import previewed, recipe_of_run, target_of
from train.open_run import write_config
from train.workspace import cams_dir

__all__ = [
    "Imported",
    "Target",
    "coverage_table",
    "pictures_of",
    "recognised",
    "run_import",
    "runs_to_import_into",
    "target",
    "task_of",
]

_SHOWN_PX = 320
_MOST_CLASSES = 3


@dataclass(frozen=True)
class Target:
    """Where maps go.

    Attributes:
        run, source: names; the store is `cams-<source>` of the run.
        folder: the run's.
        data: root of the data set.
        anew: replace what the store holds.
    """

    run: str
    source: str
    folder: Path
    data: Path
    anew: bool = False

    @property
    def store(self) -> CamStore:
        return loaders.store_cached(cams_dir(self.folder, self.source))


@dataclass(frozen=True)
class Imported:
    """What became of an import.

    Attributes:
        written: images that are in the store.
        reasons: why the others are not, by image id.
        command: what scores the run in a shell.
        fingerprint: of the store, when all was in it.
    """

    target: Target
    written: int
    reasons: Mapping[str, str]
    command: str
    fingerprint: str

    @property
    def is_there(self) -> bool:
        """Whether the store holds it still: not if it was deleted since, or something else took its place."""
        try:
            return self.target.store.fingerprint == self.fingerprint
        except StoreError:
            return False


Answers = tuple[tuple[str, str], ...]
Picture = tuple[str, np.ndarray]


@st.cache_resource(
    max_entries=8, ttl="1min", show_spinner="Looking at the files", hash_funcs=loaders.by_stamp
)
def recognised(ref: DatasetRef, folder: Path, answers: Answers) -> tuple[MapImport, Recognised]:
    """A folder's files and how they are read.

    Args:
        ref: whose images they belong to.
        answers: what was decided, as pairs.

    Raises:
        OrandnetError: nothing in it can be read; in words.
    """
    dataset = loaders.open_dataset_cached(ref)
    image_ids = dict.fromkeys(image_id for ids in dataset.splits.values() for image_id in ids)
    listing = list_maps(folder, image_ids, dataset.class_names)
    found = recognise_maps(listing, dataset, dict(answers))
    return MapImport(listing, dataset, found.reading), found


def coverage_table(maps: MapImport) -> dict[str, list[str]]:
    """Splits and how many of their images have maps, as columns."""
    rows = coverage(maps.listing, maps.dataset)
    return {
        "Split": list(rows),
        "Images": [f"{total:,}" for _, total in rows.values()],
        "With maps": [f"{there:,}" for there, _ in rows.values()],
    }


def pictures_of(maps: MapImport, found: Recognised) -> Iterator[tuple[str, list[Picture], str]]:
    """Some images: id, captioned pictures (h, w, 3) uint8, and what is wrong where there are none."""
    for image_id in previewed(maps, found):
        try:
            cam, class_ids, _ = maps.maps(image_id)
            photo = maps.dataset.image(image_id)
        except DataError as error:
            yield image_id, [], str(error)
            continue
        factor = _SHOWN_PX / max(photo.shape[:2])
        size_hw = max(1, round(photo.shape[0] * factor)), max(1, round(photo.shape[1] * factor))
        photo = cv2.resize(photo, size_hw[::-1], interpolation=cv2.INTER_AREA)
        layers = resize_maps(cam[:_MOST_CLASSES], size_hw)
        pictures = [(image_id, photo)]
        for class_id, layer in zip(class_ids.tolist(), layers, strict=False):
            drawn = overlay(photo, quantised(layer), colour_map(), 0.75)
            pictures.append((maps.dataset.class_names[class_id - 1], drawn))
        yield image_id, pictures, ""


def runs_to_import_into(ref: DatasetRef) -> list[str]:
    """The runs that were made on a data set."""
    return [run.name for run in catalog.runs_on(ref)]


def target(run: str, source: str, dataset: Dataset, anew: bool = False) -> Target:
    """Check the names.

    Raises:
        ConfigError: a name that makes no folder, or a run of another data set.
    """
    if "/" in run or run.startswith("."):
        raise ConfigError(f"run {run!r}: take letters, digits, '.', '_' or '-', a letter or digit first")
    folder, source = target_of(f"{run}/{source}")
    recipe_of_run(folder, dataset.root)
    return Target(run, source, folder, dataset.root, anew)


def task_of(maps: MapImport, to: Target) -> str:
    """The key of the task that imports these maps."""
    return task_key(
        "import", repr(maps.reading), str(maps.listing.root), str(len(maps.listing.paths)), repr(to)
    )


def run_import(maps: MapImport, to: Target, report: Report) -> Imported:
    """Import all that there is; an image that fails is noted and passed over.

    Raises:
        StoreError: the store holds something else, or the disk refuses.
    """
    config = recipe_of_run(to.folder, to.data)
    store = to.store
    claim(store, maps.card(to.source), anew=to.anew)
    if not (to.folder / "config.json").is_file():
        write_config(config, to.folder)
    reasons: dict[str, str] = {}
    image_ids = tuple(maps.listing.paths)
    for done, image_id in enumerate(image_ids, 1):
        try:
            if to.anew or not maps.is_written(store, image_id):
                maps.write(store.root, image_id)
        except (DataError, ValueError) as error:
            reasons[image_id] = str(error)
        report(done, len(image_ids))
    catalog.forget()
    command = f"python -m train score --run-dir {to.folder}"
    return Imported(to, len(image_ids) - len(reasons), reasons, command, store.fingerprint)
