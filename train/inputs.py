"""What a run takes in that none of its stages made, each by an identity that changes with it.

Imported maps and masks to learn from are known by what they hold, photographs by the sizes of their
files: what reads them trains for hours, and a copy of a data set makes nothing anew. The ground truth of an
evaluation is known by the size and time of its files, since a needless pass over the images costs no more
than reading them.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from orandnet_core.array_files import file_stamp
from orandnet_core.datasets import Dataset
from orandnet_core.store import CamStore
from train.config import Recipe
from train.sources import stages_read
from train.training_masks import RUN_MASKS, Masks
from train.workspace import cams_dir

UNKNOWN = "unknown"


def photographs(dataset: Dataset, split: str) -> str:
    """Of a split, twelve hex digits that change with the size in bytes of any photograph."""
    stamps = _stamps(dataset.image_ids(split), dataset.image_path_of)
    return _hash((image_id, stamp.partition("-")[0]) for image_id, stamp in stamps)  # the size alone


def imported_maps(source: str, run_dir: Path) -> dict[str, str]:
    """The store of a source that no stage makes; nothing for others."""
    return {} if stages_read(source) else stores_in([cams_dir(run_dir, source)])


def stores_in(folders: Iterable[Path]) -> dict[str, str]:
    """What the CAM stores among some folders hold, by their names."""
    return {
        folder.name: CamStore(folder).fingerprint if (folder / "card.json").is_file() else UNKNOWN
        for folder in folders
        if folder.name.startswith("cams-")
    }


def masks_to_learn_from(recipe: Recipe, dataset: Dataset, run_dir: Path) -> dict[str, str]:
    """The masks that `segment.masks` names where the run does not make them itself.

    Raises:
        DataError: one cannot be read.
    """
    if recipe.segment.masks == RUN_MASKS:
        return {}
    masks = Masks.of(recipe.segment.masks, dataset, run_dir)
    image_ids = tuple(filter(masks.has, dataset.image_ids(recipe.data.cam_splits[0])))
    return {"masks to learn from": masks.fingerprint(image_ids)}


def ground_truth(recipe: Recipe, dataset: Dataset, run_dir: Path) -> dict[str, str]:
    """The masks of each split that is evaluated."""
    return {
        f"masks of {split}": _hash(_stamps(dataset.image_ids(split), dataset.mask_path_of))
        for split in recipe.evaluate.splits
    }


def _stamps(image_ids: Iterable[str], path_of: Callable[[str], Path]) -> Iterator[tuple[str, str]]:
    return ((image_id, file_stamp(path_of(image_id))) for image_id in image_ids)


def _hash(known: Iterable[tuple[str, str]]) -> str:
    """Twelve hex digits that change with image ids and what each is known by."""
    digest = hashlib.sha256()
    for image_id, known_by in known:
        digest.update(f"{image_id}\t{known_by}\n".encode())
    return digest.hexdigest()[:12]
