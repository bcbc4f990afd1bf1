"""`python -m train evaluate`: what the segmentation network is worth, by VOC's protocol.

evaluate/result.json           every score, with its protocol card
evaluate/val/<image id>.png    predictions as palette PNGs, inferred as the config says
evaluate/val-single/...        at one scale, not mirrored, no CRF
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from orandnet_core.array_files import write_atomically
from orandnet_core.crf import crf_preset, crf_scores, require_crf
from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError, StoreError
from orandnet_core.mask_store import MaskStore
from orandnet_core.segmentation import Segmenter, class_scores, load_segmenter, segment
from train import together
from train.claim import claim
from train.config import EvaluateConfig, Recipe, to_dict
from train.kept_command import kept_command
from train.open_run import add_measuring_arguments, open_run
from train.per_image import WHOLE, Made, Shard, add_shard_argument, for_each_image
from train.predictions import score_predictions
from train.results import write_rows
from train.results_page import Row, print_row
from train.segment import network_path
from train.voc_submission import COMPETITIONS, write_submission

STAGE = "evaluate"
SOURCES = {
    "none": "segment",
    "scale": "segment+curriculum",
    "equal_compute": "segment+equal-compute",
}
# A class that wins nowhere and stays below this is kept from the CRF, whose cost grows with them.
LEAST_PROBABILITY = 0.05


@dataclass(frozen=True)
class Inference:
    """One way of predicting.

    Attributes:
        suffix: of the folders that the predictions go to; empty for what the config says.
        config: scales, mirroring and CRF; its splits do not matter.
    """

    suffix: str
    config: EvaluateConfig

    def store(self, run_dir: Path, split: str) -> MaskStore:
        """Where the predictions of a split lie."""
        return MaskStore(run_dir / STAGE / f"{split}{self.suffix}")

    @property
    def rule(self) -> str:
        """What protocol cards say in the place of a threshold rule."""
        config = self.config
        scales = " ".join(f"{scale:g}" for scale in config.scales)
        parts = ["one scale" if scales == "1" else f"scales {scales}"]
        parts += ["mirrored"] * config.flip + [f"CRF {config.crf}"] * bool(config.crf)
        return f"argmax, {', '.join(parts)}"


def inferences(config: EvaluateConfig) -> tuple[Inference, ...]:
    """What the config says and, where that is another, the plain way beside it."""
    plain = EvaluateConfig(splits=config.splits, scales=(1.0,), flip=False)
    return (Inference("", config), *(() if config == plain else (Inference("-single", plain),)))


def evaluate(
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    *,
    splits: Sequence[str] = (),
    shard: Shard = WHOLE,
    anew: bool = False,
) -> Made:
    """Predict splits with a run's segmentation network, and score those that have masks.

    Args:
        splits: those of the recipe by default.
        shard: (i, n): the i-th of n processes that share the images, from 1. A process that does
            not do all of them leaves the scores to one that does.
        anew: throw away predictions of another network or other settings.

    Returns:
        What became of the images, over all ways of predicting; the scores are in `result.json`.

    Raises:
        WeightsError: there is no trained network.
        ConfigError: it was trained for other classes, or the CRF is not installed.
        StoreError: there are predictions of another network or other settings, and not `anew`.
        DataError: there is no such split.
    """
    if recipe.evaluate.crf:
        crf_preset(recipe.evaluate.crf)
        require_crf()
    path = network_path(run_dir)
    segmenter = load_segmenter(path).to("cuda" if torch.cuda.is_available() else "cpu")
    if segmenter.network.class_names != dataset.class_names:
        raise ConfigError(
            f"{path} knows {len(segmenter.network.class_names)} classes, {dataset.name} has "
            f"{len(dataset.class_names)} or others: train on this data set first"
        )
    with path.open("rb") as file:
        weights_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    splits = tuple(splits) or recipe.evaluate.splits
    made = []
    for split in splits:
        for inference in inferences(recipe.evaluate):
            store = inference.store(run_dir, split)
            claim(store, _card(inference, dataset, split, weights_sha256), anew=anew)
            made.append(_predict(segmenter, dataset, split, store, inference.config, run_dir, shard))
    together.wait()
    found = ""
    if shard == WHOLE and together.is_main():
        found = _write_result(recipe, dataset, run_dir, splits, weights_sha256[:12])
    together.wait()
    return Made(
        made=sum(each.made for each in made),
        kept=sum(each.kept for each in made),
        reasons={image_id: reason for each in made for image_id, reason in each.reasons.items()},
        found=found,
    )


def result_rows(
    recipe: Recipe, run_dir: Path, splits: Sequence[str], command: str, source: str = ""
) -> list[Row]:
    """Rows for `docs/results.json` from the run's `evaluate/result.json`.

    Args:
        splits: those wanted of the scores there.
        command: what the rows say made them.
        source: the name to give, in place of that of how the network was trained.

    Raises:
        StoreError: there is no result yet.
    """
    path = run_dir / STAGE / "result.json"
    try:
        scores = [row for row in json.loads(path.read_text())["scores"] if row["split"] in splits]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: not readable ({error}); run `python -m train evaluate` first") from None
    training = json.loads(network_path(run_dir).with_name("result.json").read_text())
    known = {
        "command": command,
        "recipe": recipe.name,
        "seed": recipe.seed,
        "masks": recipe.segment.masks,
        "trained_on": training["images"],
        "steps": training["steps"],
        "pixels": training["pixels"],
        "training_s": training["seconds"],
    }
    named = {"source": source} if source else {}
    return [
        {name: value for name, value in row.items() if name != "per_class"} | named | known for row in scores
    ]


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("evaluate", help="predict and score with the segmentation network")
    parser.add_argument("--split", nargs="+", default=(), help="splits; those of the recipe by default")
    add_shard_argument(parser)
    parser.add_argument("--anew", action="store_true", help="throw away predictions of another network")
    parser.add_argument("--results", type=Path, help="merge the rows into this results.json, and its .md")
    parser.add_argument("--source", default="", help="what the rows call the network; default: segment, ...")
    parser.add_argument(
        "--submission", type=Path, metavar="TGZ", help="pack the predictions of one split for VOC's server"
    )
    parser.add_argument(
        "--competition",
        choices=COMPETITIONS,
        default="comp6",
        help="comp5 for networks that saw VOC's own training images alone; comp6 (the default) for those "
        "that started from pretrained weights or learned from SBD",
    )
    add_measuring_arguments(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    recipe, dataset, run_dir = open_run(args, write=False)
    splits = tuple(args.split) or recipe.evaluate.splits
    if args.submission and len(splits) != 1:
        raise ConfigError(f"--submission packs one split; say which of {', '.join(splits)} with --split")
    if args.anew and args.shard != WHOLE:
        raise ConfigError(
            "--anew with --shard would throw away what other shards make: delete the folder first"
        )
    made = evaluate(recipe, dataset, run_dir, splits=splits, shard=args.shard, anew=args.anew)
    print(f"evaluate: {made.summary} -> {run_dir / STAGE}", flush=True)
    for image_id, reason in made.reasons.items():
        print(f"  {image_id}: {reason}", file=sys.stderr)
    if args.shard == WHOLE and together.is_main():
        _report(result_rows(recipe, run_dir, splits, kept_command(args), args.source), args.results)
    if args.submission and together.is_main():
        store = Inference("", recipe.evaluate).store(run_dir, splits[0])
        count = write_submission(
            args.submission, store, dataset.image_ids(splits[0]), args.competition, splits[0]
        )
        print(f"{count} predictions -> {args.submission}")
    return 1 if made.reasons else 0


def _report(rows: list[Row], results: Path | None) -> None:
    for row in rows:
        print_row(row)
    if results:
        write_rows(results, rows)
        print(f"{len(rows)} rows -> {results}")


def _predict(
    segmenter: Segmenter,
    dataset: Dataset,
    split: str,
    store: MaskStore,
    config: EvaluateConfig,
    run_dir: Path,
    shard: Shard,
) -> Made:
    how = {"scales": config.scales, "flip": config.flip}
    class_ids = np.arange(1, dataset.num_classes)

    def make(image_id: str) -> None:
        photo = dataset.image(image_id)
        if config.crf:
            mask = _sharpened(photo, class_scores(segmenter, photo, **how), config.crf)
        else:
            mask = segment(segmenter, photo, **how)
        store.write(image_id, mask)

    return for_each_image(
        f"{STAGE}-{store.root.name}",
        dataset.image_ids(split),
        is_done=lambda image_id: store.validates(image_id, class_ids),
        make=make,
        run_dir=run_dir,
        shard=shard,
    )


def _sharpened(photo: np.ndarray, scores: np.ndarray, preset: str) -> np.ndarray:
    """(H, W) uint8: the likeliest class after the CRF over those that are likely anywhere."""
    likely = np.union1d(np.flatnonzero(scores.max(axis=(1, 2)) >= LEAST_PROBABILITY), scores.argmax(axis=0))
    refined = crf_scores(photo, scores[likely].clip(0, 1), crf_preset(preset))
    return likely[refined.argmax(axis=0)].astype(np.uint8)


def _card(inference: Inference, dataset: Dataset, split: str, weights_sha256: str) -> dict[str, object]:
    """What decides predictions, and how that is called."""
    return to_dict(inference.config) | {
        "rule": inference.rule,
        "dataset": dataset.name,
        "splits": {split: dataset.fingerprint(split)},
        "weights_sha256": weights_sha256,
    }


def _write_result(
    recipe: Recipe, dataset: Dataset, run_dir: Path, splits: Sequence[str], source_hash: str
) -> str:
    """Score what has masks, write `result.json`, and say the best of it in a few words.

    Scores of other splits stay there as long as they are of this network and these images.
    """
    scores = []
    for split in splits:
        if not any(map(dataset.has_mask, dataset.image_ids(split))):
            continue  # a test split
        for inference in inferences(recipe.evaluate):
            predictions = score_predictions(
                dataset,
                split,
                inference.store(run_dir, split),
                source=SOURCES[recipe.segment.curriculum.kind],
                source_hash=source_hash,
                rule=inference.rule,
            )
            scores.append(predictions.row())
    path = run_dir / STAGE / "result.json"
    before = json.loads(path.read_text()) if path.is_file() else {"scores": [], "splits": []}
    kept = [
        row
        for row in before["scores"]
        if row["split"] in dataset.splits.keys() - set(splits)
        and (row["source_hash"], row["data_hash"]) == (source_hash, dataset.fingerprint(row["split"]))
    ]
    known = [split for split in before["splits"] if any(row["split"] == split for row in kept)]
    content = json.dumps({"scores": kept + scores, "splits": [*known, *splits]}, indent=2)
    write_atomically(path, content.encode())
    return ", ".join(
        f"{row['split']} mIoU {100 * row['miou']:.1f}"
        for row in scores
        if row["threshold_rule"] == inferences(recipe.evaluate)[0].rule
    )
