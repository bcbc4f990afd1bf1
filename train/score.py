"""`python -m train score`: what a run's CAMs and their fusions are worth, with intervals."""

import argparse
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from orandnet_core.counts_cache import StoredCounts
from orandnet_core.datasets import Dataset
from orandnet_core.errors import DataError
from orandnet_core.fusion import RULES, Fusion
from orandnet_core.metrics import (
    Bootstrap,
    Counts,
    Interval,
    ThresholdChoice,
    difference,
    precision_at_recall_difference,
    thresholds,
)
from orandnet_core.scoring import Scores, score, score_pair, store_source
from orandnet_core.store import CamStore
from train.config import Recipe
from train.kept_command import kept_command
from train.open_run import add_measuring_arguments, open_run
from train.progress import Progress
from train.results import write_rows
from train.results_page import Row
from train.workspace import cache_dir, cam_stores, cams_dir

FUSED = ("mean", "or", "and", "max", "min", "geometric_mean")
AGAINST = ("cnn", "vit", "mean")
NETWORKS = ("cnn", "vit")
METRICS = {"miou": "iou", "precision": "precision", "recall": "recall"}
ANNOTATED = 50
RECALL = 0.7

log = logging.getLogger(__name__)


def score_run(
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    splits: Iterable[str],
    *,
    calibrate_on: str,
    command: str,
    fused: Iterable[str] = FUSED,
) -> list[Row]:
    """Score both networks, their fusions and what was made of them, at thresholds chosen in three ways.

    - `oracle`: the best on the images that are scored; an upper bound.
    - `calibrated`: the best on `ANNOTATED` images of `calibrate_on`, scored on all others.
    - `no_labels`: from the area that the two networks see.

    Args:
        run_dir: holds `cams-cnn` and `cams-vit`; every other `cams-<source>`, such as the refiner's,
            that has images of all splits is scored as well. Where one of the two is absent, as when
            a single source was imported, nothing is fused, and there is no `no_labels`.
        splits: what is scored.
        calibrate_on: the split whose masks may be seen to choose a threshold; a test split
            has no business here.
        command: what the rows say made them.
        fused: names of `fusion.RULES`.

    Returns:
        Rows for `docs/results.json`; scores are fractions, intervals are 95% over images.
    """
    splits = tuple(splits)
    needed = tuple(dict.fromkeys([calibrate_on, *splits]))
    further = _further_stores(dataset, needed, run_dir)
    scored = {split: _score_split(dataset, split, run_dir, fused, further) for split in needed}
    rows = []
    for split in splits:
        choices = _choices(scored[split], scored[calibrate_on])
        for rule, choice_of in choices.items():
            rows += _rows(scored[split], choice_of, rule, scored[calibrate_on])
        for row in rows:
            row.setdefault("command", command)
            row.setdefault("recipe", recipe.name)
    _add_classifiers(rows, run_dir)
    return rows


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("score", help="score a run's CAMs and their fusions")
    add_measuring_arguments(parser)
    parser.add_argument("--split", action="append", help="what to score; default: the recipe's CAM splits")
    parser.add_argument(
        "--calibrate-on", help="split whose masks may choose a threshold; default: the first scored"
    )
    parser.add_argument("--results", type=Path, help="merge the rows into this results.json, and its .md")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    recipe, dataset, run_dir = open_run(args, write=False)
    splits = args.split or list(recipe.data.cam_splits)
    calibrate_on = args.calibrate_on or splits[0]
    command = kept_command(args)
    rows = score_run(recipe, dataset, run_dir, splits, calibrate_on=calibrate_on, command=command)
    for row in rows:
        print(
            f"{row['split']:6} {row['source']:15} {row['threshold_rule']:11} t={row['threshold']:.3f}  "
            f"mIoU {_percent(row, 'miou')}  precision {_percent(row, 'precision')}  "
            f"recall {_percent(row, 'recall')}"
        )
    if args.results:
        write_rows(args.results, rows)
        print(f"{len(rows)} rows -> {args.results}")
    return 0


def _further_stores(dataset: Dataset, splits: Iterable[str], run_dir: Path) -> dict[str, CamStore]:
    """The run's stores beside those of both networks, by source, that have images of all splits."""
    found = {}
    for name, folder in cam_stores(run_dir).items():
        store = CamStore(folder)
        lacking = [
            split for split in splits if not any(image_id in store for image_id in dataset.image_ids(split))
        ]
        # The pair is scored together; whatever else is called like a rule would be taken for a fusion.
        if name in RULES and (name not in NETWORKS or _has_pair(run_dir)):
            continue
        if lacking:
            log.warning("%s is not scored: it has no image of %s", folder, ", ".join(lacking))
        else:
            found[name] = store
    return found


def _score_split(
    dataset: Dataset, split: str, run_dir: Path, fused: Iterable[str], further: Mapping[str, CamStore]
) -> dict[str, Scores]:
    options, scores, networks = {"cache_dir": cache_dir() / "scores"}, {}, None
    if _has_pair(run_dir):
        cnn, vit = networks = tuple(
            store_source(CamStore(cams_dir(run_dir, source)), source) for source in NETWORKS
        )
        with _telling(f"score-{split}", dataset, split, run_dir) as advance:
            # All rules while the maps are read: the pages then find nothing left to count.
            fusions = {name: Fusion(name) for name in RULES if name not in NETWORKS}
            found = score_pair(dataset, split, cnn, vit, fusions, progress=advance, **options).scores
            scores = {name: found[name] for name in (*NETWORKS, *fused)}
    for name, store in further.items():
        with _telling(f"score-{split}-{name}", dataset, split, run_dir) as advance:
            source = store_source(store, name)
            scores[name] = score(dataset, split, source, networks=networks, progress=advance, **options)
    if not scores:
        raise DataError(
            f"{run_dir} has no CAMs of all of the splits to score: make them with `python -m train cams`, or "
            "`python -m train import`"
        )
    return scores


def _has_pair(run_dir: Path) -> bool:
    return cam_stores(run_dir).keys() >= set(NETWORKS)


@contextmanager
def _telling(stage: str, dataset: Dataset, split: str, run_dir: Path) -> Iterator[Callable[[int, int], None]]:
    """Progress over a split, as a callback that gets how many images are done."""
    with Progress(stage, len(dataset.image_ids(split)), run_dir=run_dir) as progress:
        yield lambda done, _: progress.advance(done - progress.done)


def _choices(
    scored: Mapping[str, Scores], annotated: Mapping[str, Scores]
) -> dict[str, dict[str, ThresholdChoice]]:
    choices = {
        "oracle": {name: thresholds.oracle(scores.counts) for name, scores in scored.items()},
        "calibrated": {
            name: thresholds.calibrated(annotated[name].counts, k=_annotated(annotated[name].counts))
            for name in scored
        },
    }
    if all(scores.agreement is not None for scores in scored.values()):
        choices["no_labels"] = {name: thresholds.no_labels(each.agreement) for name, each in scored.items()}
    return choices


def _rows(
    scored: Mapping[str, Scores],
    choice_of: Mapping[str, ThresholdChoice],
    rule: str,
    annotated: Mapping[str, Scores],
) -> list[Row]:
    """A row for every source, all at the same rule."""
    counts_of = {name: scores.counts for name, scores in scored.items()}
    if rule == "calibrated":
        counts_of = {name: counts.without(choice_of[name].seen_ids) for name, counts in counts_of.items()}
    resampled = {name: counts.bootstrap() for name, counts in counts_of.items()}
    return [
        _row(name, scores, choice_of, rule, resampled, counts_of)
        | (_regret(annotated[name].counts) if rule == "calibrated" else {})
        for name, scores in scored.items()
    ]


def _row(
    name: str,
    scores: Scores,
    choice_of: Mapping[str, ThresholdChoice],
    rule: str,
    resampled: Mapping[str, Bootstrap],
    counts_of: Mapping[str, StoredCounts],
) -> Row:
    choice, ours = choice_of[name], resampled[name]
    _, card = scores.at(choice)
    row: Row = {
        "dataset": card.dataset,
        "split": card.split,
        "images": card.images,
        "skipped": card.skipped,
        "num_classes": card.num_classes,
        "source": name,
        "threshold_rule": card.threshold_rule,
        "threshold": choice.value,
        "chosen_on": card.chosen_on,
    }
    for column, metric in METRICS.items():
        row |= _columns(column, ours.interval(metric, choice.value))
    row |= _columns("precision_at_recall_70", ours.precision_at_recall_interval(RECALL))
    for other in AGAINST:
        if other == name or other not in resampled:
            continue
        mine, theirs = resampled[name], resampled[other]
        if mine.image_ids != theirs.image_ids:
            common = set(mine.image_ids) & set(theirs.image_ids)
            if not common:
                continue
            mine, theirs = (
                counts.without(set(counts.image_ids) - common).bootstrap()
                for counts in (counts_of[name], counts_of[other])
            )
        for column, metric in METRICS.items():
            gain = difference(mine, choice.value, theirs, choice_of[other].value, metric)
            row |= _columns(f"{column}_minus_{other}", gain)
        gain = precision_at_recall_difference(mine, theirs, RECALL)
        row |= _columns(f"precision_at_recall_70_minus_{other}", gain)
    return row | {"source_hash": card.source_hash, "data_hash": card.data_hash, "ignored": card.ignored}


def _regret(counts: Counts) -> Row:
    """What choosing on few images costs in mIoU against the oracle on the rest, over 100 draws."""
    calibration = thresholds.calibration(counts, k=_annotated(counts))
    low, high = np.quantile(calibration.regret, (0.025, 0.975))
    return {
        "annotated": _annotated(counts),
        "regret": float(calibration.regret.mean()),
        "regret_low": float(low),
        "regret_high": float(high),
    }


def _annotated(counts: Counts) -> int:
    return min(ANNOTATED, len(counts.image_ids) // 2)


def _columns(name: str, interval: Interval) -> Row:
    return {
        name: float(interval.value),
        f"{name}_low": float(interval.low),
        f"{name}_high": float(interval.high),
    }


def _add_classifiers(rows: list[Row], run_dir: Path) -> None:
    """The networks' own rows on their evaluation split also say how well they classify."""
    for row in rows:
        path = run_dir / f"classify-{row['source']}" / "result.json"
        if path.is_file():
            result = json.loads(path.read_text())
            if result["eval_split"] == row["split"]:
                row["map"] = result["map"]


def _percent(row: Row, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{100 * row[name]:5.1f} [{100 * low:.1f}, {100 * high:.1f}]"
