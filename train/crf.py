"""`python -m train crf`: a source's maps after a dense CRF, as a CAM source of their own."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from orandnet_core.crf import crf_cam, crf_preset, require_crf
from orandnet_core.datasets import Dataset
from orandnet_core.store import CamStore
from train.claim import claim, in_order
from train.config import CrfConfig, Recipe
from train.image_stage import add_image_stage, card_of, ids_of, run_image_stage
from train.per_image import WHOLE, Made, Shard, for_each_image
from train.sources import CamSource, open_source
from train.workspace import cams_dir

STAGE = "crf"


def crf(
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    *,
    splits: Sequence[str] = (),
    shard: Shard = WHOLE,
    anew: bool = False,
) -> Made:
    """Make the store `cams-crf` of a run, or go on with it, or find it done.

    Background scores (1 - best class)^power (Ahn and Kwak, CVPR 2018, equation 2); the CRF knows
    background and the classes present; each class is then divided by its maximum, as CAMs are. The
    store keeps a quarter of the resolution, as of every source: the CRF's edges come back within
    two pixels.

    Args:
        splits: which images; those of the recipe by default.
        shard: (i, n): the i-th of n commands that share the work, from 1.
        anew: throw away what another source or other settings made.

    Raises:
        ConfigError: the run lacks the source, or `pydensecrf2` is not installed.
        DataError: there is no such split, or no image has maps.
        StoreError: the store holds maps of another source or other settings.
    """
    config = recipe.crf
    require_crf()
    source = open_source(config.source, recipe, run_dir)
    splits = tuple(splits) or recipe.data.cam_splits
    store = CamStore(cams_dir(run_dir, STAGE))
    card = card_of(recipe, dataset, splits) | {
        "source": STAGE,
        "maps": config.source,
        "maps_made_by": source.made_by(),
        "method": f"dense CRF ({config.preset})",
        "background_power": config.background_power,
    }
    claim(store, card, anew=anew)
    return for_each_image(
        STAGE,
        source.having(ids_of(dataset, splits)),
        is_done=partial(in_order, store, dataset),
        make=partial(make_crf_cam, dataset, source, store.root, config),
        run_dir=run_dir,
        shard=shard,
        workers=config.workers,
    )


def make_crf_cam(dataset: Dataset, source: CamSource, root: Path, config: CrfConfig, image_id: str) -> None:
    """Write one image's CAMs after the CRF into the store at `root`."""
    photo, class_ids = dataset.image(image_id), dataset.class_ids(image_id)
    cam = crf_cam(photo, source.read(image_id, class_ids), config.background_power, crf_preset(config.preset))
    CamStore(root).write(image_id, cam, class_ids, photo.shape[:2])


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    add_image_stage(subparsers, STAGE, "sharpen a source's maps with a dense CRF, as a source of its own")


def main(args: argparse.Namespace) -> int:
    return run_image_stage(args, STAGE, crf, cams_dir(Path(), STAGE).name)
