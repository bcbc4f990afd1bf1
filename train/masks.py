"""`python -m train masks`: the pseudo-masks that the segmentation network learns from, as palette PNGs."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from orandnet_core.crf import crf_labels, crf_preset, require_crf
from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.mask_store import MaskStore
from orandnet_core.pseudo_mask import pseudo_mask, undecided
from train.claim import claim
from train.config import MaskConfig, Recipe
from train.image_stage import add_image_stage, card_of, ids_of, labelled, run_image_stage
from train.per_image import WHOLE, Made, Shard, for_each_image
from train.sources import CamSource, open_source

STAGE = "masks"


def masks(
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    *,
    splits: Sequence[str] = (),
    shard: Shard = WHOLE,
    anew: bool = False,
) -> Made:
    """Make the folder `masks` of a run, or go on with it, or find it done.

    Args:
        splits: which images; the first of the recipe's CAM splits by default, which is what trains.
        shard: (i, n): the i-th of n commands that share the work, from 1.
        anew: throw away what another source or other settings made.

    Raises:
        ConfigError: the run lacks the source, there is no threshold, or `pydensecrf2` is not installed.
        DataError: there is no such split, or no image has maps.
        StoreError: the folder holds masks of another source or other settings.
    """
    config = recipe.masks
    threshold = config.background_threshold
    if threshold is None:
        threshold = recipe.fusion.background_threshold
    if threshold is None:
        raise ConfigError(
            "masks.background_threshold and fusion.background_threshold are both empty: set one, such as "
            "--set masks.background_threshold=0.25"
        )
    if config.crf:
        require_crf()
    source = open_source(config.source, recipe, run_dir)
    splits = tuple(splits) or recipe.data.cam_splits[:1]
    store = MaskStore(run_dir / STAGE)
    card = card_of(recipe, dataset, splits) | {
        "maps": config.source,
        "maps_made_by": source.made_by(),
        "background_threshold": threshold,
        "margin": config.margin,
        "crf": config.crf,
    }
    claim(store, card, anew=anew)
    return for_each_image(
        STAGE,
        source.having(ids_of(dataset, splits)),
        is_done=partial(labelled, store, dataset),
        make=partial(make_mask, dataset, source, store, config, threshold),
        run_dir=run_dir,
        shard=shard,
        workers=config.workers,
    )


def make_mask(
    dataset: Dataset,
    source: CamSource,
    store: MaskStore,
    config: MaskConfig,
    threshold: float,
    image_id: str,
) -> None:
    """Write one image's pseudo-mask; the margin ignores by the score, whatever the CRF makes of it."""
    class_ids = dataset.class_ids(image_id)
    cam = source.read(image_id, class_ids)
    mask = pseudo_mask(cam, class_ids, threshold)
    if config.crf:
        mask = crf_labels(dataset.image(image_id), mask, class_ids, crf_preset(config.crf))
    mask[undecided(cam, threshold, config.margin)] = IGNORE_INDEX
    store.write(image_id, mask)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    add_image_stage(subparsers, STAGE, "make the pseudo-masks that train the segmentation network")


def main(args: argparse.Namespace) -> int:
    return run_image_stage(args, STAGE, masks, STAGE)
