"""`python -m train segmentations`: trained networks side by side, seeds averaged, differences paired."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError, StoreError
from orandnet_core.mask_store import MaskStore
from orandnet_core.metrics import MASK_THRESHOLD, Bootstrap, difference
from train.kept_command import kept_command
from train.open_run import add_recipe_arguments, open_recipe_dataset, resolve
from train.predictions import METRICS, interval_columns, mean_of, score_columns, score_predictions
from train.results import write_rows
from train.results_page import Row, print_row


def compare_segmentations(
    dataset: Dataset, split: str, runs: Mapping[str, Sequence[Path]], suffix: str = ""
) -> list[Row]:
    """A row for every network, from the predictions of its runs, which differ in their seed alone.

    Args:
        split: must have been predicted in every run (`python -m train evaluate`).
        runs: folders of runs, by the name that their network gets.
        suffix: of the folders of predictions: `-single` for those at one scale.

    Returns:
        Rows for `docs/results.json`: the mean score over seeds with its 95% interval over images,
        `miou_by_seed`, and each network's differences to those before it, on the same resamples.

    Raises:
        StoreError: a run has no predictions, or two of one row were predicted in different ways.
        DataError: a run was not scored on the same images as the others.
    """
    rows: list[Row] = []
    resampled: dict[str, Bootstrap] = {}
    for name, folders in runs.items():
        stores = [MaskStore(folder / "evaluate" / f"{split}{suffix}") for folder in folders]
        rule = _rule(name, stores)
        each = [
            score_predictions(dataset, split, store, source=name, source_hash=_hash(stores), rule=rule)
            for store in stores
        ]
        by_seed = [predictions.resampled() for predictions in each]
        resampled[name] = mean_of(by_seed)
        row = each[0].card.as_dict() | score_columns(resampled[name])
        row |= {"seeds": len(folders), "miou_by_seed": [_miou(one) for one in by_seed]}
        row |= _training(folders)
        for other, theirs in resampled.items():
            if other != name:
                row |= _differences(resampled[name], theirs, other)
        rows.append(row)
    return rows


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "segmentations", help="compare segmentation networks: seeds averaged, differences paired"
    )
    parser.add_argument(
        "--row",
        action="append",
        required=True,
        metavar="NAME=RUN[,RUN...]",
        help="a network and its runs, one a seed; names start with `segment`; repeatable",
    )
    parser.add_argument("--split", default="val", help="what was predicted")
    parser.add_argument("--single", action="store_true", help="the predictions at one scale, not mirrored")
    parser.add_argument("--results", type=Path, help="merge the rows into this results.json, and its .md")
    add_recipe_arguments(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    runs: dict[str, list[Path]] = {}
    for text in args.row:
        name, equals, folders = text.partition("=")
        if not (equals and name and folders):
            raise ConfigError(
                f"--row {text!r}: expected NAME=RUN or NAME=RUN,RUN, such as segment=runs/a,runs/b"
            )
        runs[name] = [Path(folder) for folder in folders.split(",")]
    args.run_dir = next(iter(runs.values()))[0]  # its config names the data, unless --recipe does
    recipe = resolve(args)
    rows = compare_segmentations(
        open_recipe_dataset(recipe), args.split, runs, "-single" if args.single else ""
    )
    for row in rows:
        row |= {"command": kept_command(args), "recipe": recipe.name}
        print_row(row)
    if args.results:
        write_rows(args.results, rows)
        print(f"{len(rows)} rows -> {args.results}")
    return 0


def _rule(name: str, stores: Sequence[MaskStore]) -> str:
    """How the predictions of a row were made, in the words of `evaluate`."""
    rules = {store.card.get("rule", "") for store in stores}
    if len(rules) > 1:
        raise StoreError(f"{name}: its runs were predicted in different ways ({'; '.join(sorted(rules))})")
    return rules.pop()


def _hash(stores: Sequence[MaskStore]) -> str:
    return "+".join(str(store.card.get("weights_sha256", ""))[:12] for store in stores)


def _miou(resampled: Bootstrap) -> float:
    return float(resampled.at("iou", MASK_THRESHOLD)[0])


def _differences(ours: Bootstrap, theirs: Bootstrap, other: str) -> Row:
    row: Row = {}
    for column, metric in METRICS.items():
        gain = difference(ours, MASK_THRESHOLD, theirs, MASK_THRESHOLD, metric)
        row |= interval_columns(f"{column}_minus_{other}", gain)
    return row


def _training(folders: Sequence[Path]) -> Row:
    """What the runs' trainings have in common: images, pixels shown; and their mean time."""
    results = [json.loads((folder / "segment" / "result.json").read_text()) for folder in folders]
    return {
        "trained_on": results[0]["images"],
        "pixels": results[0]["pixels"],
        "training_s": float(np.mean([result["seconds"] for result in results])),
    }
