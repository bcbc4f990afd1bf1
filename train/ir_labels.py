"""`python -m train ir-labels`: what the affinity network learns from, as palette PNGs."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from orandnet_core.crf import crf_preset, require_crf
from orandnet_core.datasets import Dataset
from orandnet_core.ir_labels import ir_label
from orandnet_core.mask_store import MaskStore
from orandnet_core.pseudo_mask import pseudo_mask
from train.claim import claim
from train.config import FusionConfig, IrLabelConfig, Recipe
from train.image_stage import add_image_stage, card_of, ids_of, labelled, run_image_stage
from train.per_image import WHOLE, Made, Shard, for_each_image
from train.sources import CamSource, open_source

STAGE = "ir-labels"
TRIMAP = "trimap"


def ir_labels(
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    *,
    splits: Sequence[str] = (),
    shard: Shard = WHOLE,
    anew: bool = False,
) -> Made:
    """Make the folder `ir-labels` of a run, or go on with it, or find it done; see `orandnet_core.ir_labels`.

    Args:
        splits: which images; the first of the recipe's CAM splits by default, which is what trains.
        shard: (i, n): the i-th of n commands that share the work, from 1.
        anew: throw away what another source or other settings made.

    Raises:
        ConfigError: the run lacks the source, or `pydensecrf2` is not installed.
        DataError: there is no such split, or no image has maps.
        StoreError: the folder holds labels of another source or other settings.
    """
    config = recipe.ir_labels
    if config.crf:
        require_crf()
    confident, possible = _sources(recipe, run_dir)
    splits = tuple(splits) or recipe.data.cam_splits[:1]
    store = MaskStore(run_dir / STAGE)
    card = card_of(recipe, dataset, splits) | {
        "maps": config.source,
        "maps_made_by": [confident.made_by(), possible.made_by()],
        "foreground_threshold": config.foreground_threshold,
        "background_threshold": config.background_threshold,
        "crf": config.crf,
    }
    claim(store, card, anew=anew)
    return for_each_image(
        STAGE,
        confident.having(ids_of(dataset, splits)),
        is_done=partial(labelled, store, dataset),
        make=partial(make_ir_label, dataset, confident, possible, store, config),
        run_dir=run_dir,
        shard=shard,
        workers=config.workers,
    )


def make_ir_label(
    dataset: Dataset,
    confident: CamSource,
    possible: CamSource,
    store: MaskStore,
    config: IrLabelConfig,
    image_id: str,
) -> None:
    """Write one image's IR label.

    Args:
        confident, possible: whose maps say what is surely foreground, and what may be.
    """
    class_ids = dataset.class_ids(image_id)
    cam = confident.read(image_id, class_ids)
    wide = cam if possible == confident else possible.read(image_id, class_ids)
    label = ir_label(
        dataset.image(image_id),
        pseudo_mask(cam, class_ids, config.foreground_threshold),
        pseudo_mask(wide, class_ids, config.background_threshold),
        class_ids,
        crf_preset(config.crf) if config.crf else None,
    )
    store.write(image_id, label)


def _sources(recipe: Recipe, run_dir: Path) -> tuple[CamSource, CamSource]:
    """Whose maps say what is surely foreground, and what may be."""
    if recipe.ir_labels.source != TRIMAP:
        source = open_source(recipe.ir_labels.source, recipe, run_dir)
        return source, source
    plain = replace(recipe, fusion=FusionConfig())
    return open_source("and", plain, run_dir), open_source("or", plain, run_dir)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    add_image_stage(subparsers, STAGE, "make the labels that train the affinity network")


def main(args: argparse.Namespace) -> int:
    return run_image_stage(args, STAGE, ir_labels, STAGE)
