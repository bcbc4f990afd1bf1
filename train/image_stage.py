"""What the stages that make labels or maps of each image share: their commands, their images, their cards."""

import argparse
import sys
from collections.abc import Callable, Iterable

from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError
from orandnet_core.mask_store import MaskStore
from train.config import Recipe
from train.open_run import add_run_arguments, open_run
from train.per_image import WHOLE, Made, add_shard_argument


def add_image_stage(subparsers: argparse._SubParsersAction, name: str, help: str) -> None:
    """The arguments of a stage's command; `run_image_stage` reads them."""
    parser = subparsers.add_parser(name, help=help)
    parser.add_argument("--split", nargs="+", default=(), help="splits; those of the recipe by default")
    add_shard_argument(parser)
    parser.add_argument("--anew", action="store_true", help="throw away what other settings made")
    add_run_arguments(parser)


def run_image_stage(args: argparse.Namespace, name: str, stage: Callable[..., Made], folder: str) -> int:
    """Run a stage as its command asks, and say what came of it.

    Args:
        name: of the command.
        stage: called as `stage(recipe, dataset, run_dir, splits=, shard=, anew=)`.
        folder: that it fills, in the run's.

    Returns:
        The exit code: 1 where an image failed.
    """
    if args.anew and args.shard != WHOLE:
        raise ConfigError("--anew with --shard would throw away what other shards make: delete it first")
    recipe, dataset, run_dir = open_run(args)
    made = stage(recipe, dataset, run_dir, splits=args.split, shard=args.shard, anew=args.anew)
    print(f"{name}: {made.summary} -> {run_dir / folder}", flush=True)
    for image_id, reason in made.reasons.items():
        print(f"  {image_id}: {reason}", file=sys.stderr)
    return 1 if made.reasons else 0


def ids_of(dataset: Dataset, splits: Iterable[str]) -> tuple[str, ...]:
    """The images of some splits, each once.

    Raises:
        DataError: there is no such split.
    """
    return tuple(dict.fromkeys(image_id for split in splits for image_id in dataset.image_ids(split)))


def card_of(recipe: Recipe, dataset: Dataset, splits: Iterable[str]) -> dict[str, object]:
    """What every store's card says; see `train.claim`."""
    return {
        "recipe": recipe.name,
        "dataset": dataset.name,
        "splits": {split: dataset.fingerprint(split) for split in splits},
    }


def labelled(store: MaskStore, dataset: Dataset, image_id: str) -> bool:
    """Whether the store has a readable mask of the classes that the image's labels name."""
    known = dataset.image_labels_by_id.get(image_id) is not None
    return known and store.validates(image_id, dataset.class_ids(image_id))
