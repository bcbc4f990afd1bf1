"""`python -m train adopt`: released networks in place of a run's training; the run goes on from them."""

import argparse
import json
import shutil
import time
from pathlib import Path

import numpy as np

from orandnet_core.array_files import replacing
from orandnet_core.backbones import load_classifier
from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError
from train.classify import (
    average_precisions,
    classifier_path,
    classifier_result,
    evaluation_ids,
    training_identity,
)
from train.config import Recipe
from train.noting import note_stage
from train.open_run import add_run_arguments, open_run
from train.release import SOURCES, released_path
from train.stages import stage
from train.training import write_result
from train.workspace import ROOT


def adopt(recipe: Recipe, source: str, dataset: Dataset, run_dir: Path, folder: Path) -> dict[str, object]:
    """Put a released classifier where the run's own would be, and measure it on the held-out split.

    Args:
        source: `cnn` or `vit`.
        folder: holds `<recipe>_<source>.safetensors`, as `release` wrote it.

    Returns:
        What `classify` returns of its own, with no `seconds`: nothing was trained here.

    Raises:
        WeightsError: the network is not there or not readable.
        ConfigError: it is another network than the recipe's, or knows other classes than the data set.
        DataError: no image of the evaluation split has a label.
        StoreError: the disk refuses.
    """
    began_s = time.time()
    released = released_path(folder, recipe.name, source)
    classifier, config = load_classifier(released), recipe.classifier(source)
    if classifier.network.model != config.model:
        raise ConfigError(
            f"{released} is {classifier.network.model}, the recipe's {source} is {config.model}"
        )
    if classifier.network.class_names != dataset.class_names:
        raise ConfigError(
            f"{released} knows {len(classifier.network.class_names)} classes, {dataset.name} has "
            f"{len(dataset.class_names)} or others: train on this data set with `python -m train classify`"
        )
    eval_ids = evaluation_ids(dataset, recipe.data.eval_split)
    scores = average_precisions(classifier, dataset, eval_ids, config.eval_px)
    path = classifier_path(run_dir, source)
    if path.parent.is_symlink():  # to what another run made, which stays as it is
        path.parent.unlink()
    with replacing(path) as partial:
        shutil.copyfile(released, partial)
    result = classifier_result(recipe, dataset, scores, training_identity(recipe, source, dataset, run_dir))
    write_result(path.parent, result)
    summary = f"mAP {100 * float(np.nanmean(scores)):.1f}; the released network, not trained here"
    note_stage(stage(f"classify-{source}"), recipe, dataset, run_dir, began_s, summary)
    return result


def is_adopted(run_dir: Path, source: str) -> bool:
    """Whether a run's classifier is a released one, not trained in the run."""
    path = run_dir / f"classify-{source}" / "result.json"
    return path.is_file() and "seconds" not in json.loads(path.read_text())


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("adopt", help="go on from released networks in place of training")
    parser.add_argument("--source", choices=SOURCES, action="append", help="default: both")
    parser.add_argument("--released", type=Path, default=ROOT / "assets" / "weights", metavar="FOLDER")
    add_run_arguments(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    recipe, dataset, run_dir = open_run(args)
    for source in SOURCES if not args.source else tuple(args.source):
        result = adopt(recipe, source, dataset, run_dir, args.released)
        score = f"mAP {100 * result['map']:.1f} on {result['images']} images of {result['eval_split']}"
        print(f"{source}: {score} -> {classifier_path(run_dir, source)}", flush=True)
    return 0
