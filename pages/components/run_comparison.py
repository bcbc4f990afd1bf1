"""Two runs side by side: where their recipes differ, and what they came to, paired over images."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from orandnet_core.datasets import Dataset
from orandnet_core.metrics import MASK_THRESHOLD, Bootstrap, Interval, difference
from orandnet_core.protocol import ProtocolCard
from orandnet_core.scoring import MaskSource, score
from pages.components.chart_style import METRIC_LABELS
from pages.components.scores import resampled, task_key
from pages.components.sources import further_sources, opened
from pages.components.tasks import Report
from train.jobs import read_json
from train.stages import flat_values
from train.workspace import cache_dir

__all__ = [
    "Contest",
    "Outcome",
    "config_differences",
    "contests",
    "outcome_table",
    "outcomes",
    "outcomes_key",
]

NOT_THERE = "–"


@dataclass(frozen=True)
class Contest:
    """Something that both runs have made masks for.

    Attributes:
        label: such as `Segmentation`.
        split: of which images.
        ours, theirs: the masks of the first and the second run.
    """

    label: str
    split: str
    ours: MaskSource
    theirs: MaskSource


@dataclass(frozen=True)
class Outcome:
    """How a contest went, by `iou`, `precision`, `recall`.

    Attributes:
        contest: what was scored.
        ours, theirs: each run's mean scores with intervals, over the images that it has.
        gain: the second minus the first, paired; empty where they were not scored on the same images.
        cards: both protocol cards.
    """

    contest: Contest
    ours: dict[str, Interval]
    theirs: dict[str, Interval]
    gain: dict[str, Interval]
    cards: tuple[ProtocolCard, ProtocolCard]


def config_differences(ours: Path, theirs: Path) -> list[tuple[str, str, str]]:
    """Fields of the recipes of two runs that differ: path, the first run's value, the second's.

    Args:
        ours, theirs: the runs' folders; a run that has not begun has no fields.
    """
    first, second = (flat_values(read_json(folder / "config.json") or {}) for folder in (ours, theirs))
    return [
        (path, _text(first, path), _text(second, path))
        for path in dict.fromkeys([*first, *second])
        if _text(first, path) != _text(second, path)
    ]


def contests(dataset: Dataset, ours: Path, theirs: Path) -> list[Contest]:
    """Pseudo-masks and predictions that both runs have, of every split with ground truth."""
    found = []
    for split, image_ids in dataset.splits.items():
        if not any(map(dataset.has_mask, image_ids)):
            continue
        first, second = (further_sources(folder, dataset, split) for folder in (ours, theirs))
        for key, source in first.items():
            if source.masks and key in second:
                pair = (opened(each, dataset, split) for each in (source, second[key]))
                found.append(Contest(source.label, split, *pair))
    return found


def outcomes_key(dataset: Dataset, found: Sequence[Contest]) -> str:
    """Changes with everything that `outcomes` depends on."""
    parts = [
        f"{each.label} {each.split} {each.ours.fingerprint} {each.theirs.fingerprint} "
        f"{dataset.fingerprint(each.split)}"
        for each in found
    ]
    return task_key("contests", str(dataset.root), *parts)


def outcomes(dataset: Dataset, found: Sequence[Contest], report: Report) -> list[Outcome]:
    """Score both runs; counts that are on disk already are read.

    Args:
        report: told of progress as (done, total), in images.

    Raises:
        DataError: none of the images of a contest can be scored.
    """
    total = 2 * sum(len(dataset.image_ids(contest.split)) for contest in found)
    before, made = 0, []
    for contest in found:
        resamples: list[Bootstrap] = []
        cards = []
        for source in (contest.ours, contest.theirs):

            def progress(done: int, _: int, before: int = before) -> None:
                report(before + done, total)

            scores = score(
                dataset, contest.split, source, cache_dir=cache_dir() / "scores", progress=progress
            )
            before += len(dataset.image_ids(contest.split))
            resamples.append(resampled(scores))
            cards.append(scores.card)
        ours, theirs = resamples
        scored = [
            {metric: each.interval(metric, MASK_THRESHOLD) for metric in METRIC_LABELS} for each in resamples
        ]
        gain = {}
        if ours.image_ids == theirs.image_ids:
            gain = {
                metric: difference(theirs, MASK_THRESHOLD, ours, MASK_THRESHOLD, metric)
                for metric in METRIC_LABELS
            }
        made.append(Outcome(contest, *scored, gain, tuple(cards)))
    return made


def outcome_table(made: Sequence[Outcome], ours: str, theirs: str) -> pa.Table:
    """A row a contest and score, percent and points, intervals as text; `ours`, `theirs` name the runs."""
    rows = []
    for outcome in made:
        for metric, label in METRIC_LABELS.items():
            first, second = outcome.ours[metric], outcome.theirs[metric]
            gain = outcome.gain.get(metric)
            rows.append(
                {
                    "what": f"{outcome.contest.label} · {outcome.contest.split}",
                    "score": label,
                    ours: 100 * first.value,
                    f"{ours}: 95%": _span(first),
                    theirs: 100 * second.value,
                    f"{theirs}: 95%": _span(second),
                    "difference": None if gain is None else 100 * gain.value,
                    "difference: 95%": "other images" if gain is None else _span(gain, "+.1f"),
                    "sure": bool(gain is not None and gain.excludes_zero),
                }
            )
    return pa.Table.from_pylist(rows)


def _span(found: Interval, form: str = ".1f") -> str:
    return "" if np.isnan(found.low) else f"{100 * found.low:{form}} to {100 * found.high:{form}}"


def _text(values: dict[str, object], path: str) -> str:
    if path not in values:
        return NOT_THERE
    value = values[path]
    return value if isinstance(value, str) and value else json.dumps(value)
