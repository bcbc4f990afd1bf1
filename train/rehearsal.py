"""A rehearsal: a run's stages on a few images, to know how long the run will take, and that it can."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from orandnet_core.datasets import Dataset
from train.config import Recipe, override
from train.plan import Step
from train.run import run
from train.stages import STAGES
from train.workspace import cache_dir, cam_stores

TRAINING_IMAGES = 6
STEPS = 4
MOST_EVALUATED = 8


def rehearse(
    recipe: Recipe, dataset: Dataset, run_dir: Path, last: str = "", announce: Callable[[Step], None] = print
) -> None:
    """Run all stages up to `last` on a few images and for a few steps, in a folder that is then deleted.

    Each leaves its pace (`train.pace`).

    Args:
        run_dir: of the run itself, whose imported CAMs are used.
        last: name of a stage; empty is the last of all.
        announce: called before each stage.

    Raises:
        OrandnetError: what would stop the run as well.
    """
    cache_dir().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-", dir=cache_dir()))
    try:
        made = {name for stage in STAGES.values() for name in (stage.name, *stage.stores)}
        for store in cam_stores(run_dir).values():
            if store.name not in made:
                (folder / store.name).symlink_to(store.resolve(), target_is_directory=True)
        for _ in run(_short(recipe), few_images(recipe, dataset), folder, last=last, announce=announce):
            pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def few_images(recipe: Recipe, dataset: Dataset) -> Dataset:
    """The data set with a few images of each split, evenly spread.

    A classifier is evaluated after every epoch, which is one step here: so there are as many images
    to evaluate on as come to a step of the real training.
    """
    training = {recipe.data.train_split, recipe.data.cam_splits[0]}
    trained = len(dataset.image_ids(recipe.data.train_split))
    evaluated = round(
        recipe.cnn.batch_size * len(dataset.image_ids(recipe.data.eval_split)) / max(1, trained)
    )
    splits = {}
    for split, image_ids in dataset.splits.items():
        count = TRAINING_IMAGES if split in training else max(1, min(MOST_EVALUATED, evaluated))
        splits[split] = image_ids[:: max(1, len(image_ids) // count)][:count]
    return replace(dataset, splits=splits)


def _short(recipe: Recipe) -> Recipe:
    lengths = {f"{stage.training}.epochs": STEPS for stage in STAGES.values() if stage.training}
    return override(recipe, lengths)
