"""The paper's claim on the runs at hand: what pseudo-masks are worth, against the network that they train.

Gathered from what runs keep on disk: the masks and their card, the recipe, `evaluate/result.json`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pyarrow as pa

from orandnet_core.datasets import Dataset
from orandnet_core.metrics import MASK_THRESHOLD, Interval
from orandnet_core.metrics.rank_correlation import RankCorrelation, rank_correlation
from orandnet_core.protocol import ProtocolCard
from orandnet_core.scoring import MaskSource, score
from pages.components import catalog
from pages.components.chart_style import COLOURS, METRIC_LABELS, NEUTRAL, Panels
from pages.components.scores import resampled, task_key
from pages.components.selection import DatasetRef
from pages.components.sources import MASKS, RunSource, opened, store_label
from pages.components.tasks import Report
from train.jobs import read_json
from train.predictions import METRICS
from train.records import read_record
from train.workspace import cache_dir

__all__ = [
    "Mark",
    "Trained",
    "correlations",
    "mask_sources",
    "mark_table",
    "marks_key",
    "marks_of",
    "thesis_chart",
    "trained_runs",
]

_CURRICULA = {"none": "no curriculum", "scale": "curriculum", "equal_compute": "equal compute"}
_SYMBOLS = {"none": "circle", "scale": "diamond", "equal_compute": "square"}


@dataclass(frozen=True)
class Trained:
    """A run whose segmentation network learned from its pseudo-masks and was evaluated.

    Attributes:
        run: its name.
        masks: its pseudo-masks.
        masks_split: the split that they were made of.
        maps: what they come from, as `masks.source` names it.
        curriculum: its kind.
        seed: of the recipe.
        scores: rows of `evaluate/result.json`.
    """

    run: str
    masks: RunSource
    masks_split: str
    maps: str
    curriculum: str
    seed: int
    scores: tuple[Mapping[str, Any], ...] = field(repr=False)

    def score_on(self, split: str, plain: bool) -> Mapping[str, Any] | None:
        """How the network scores on a split: predicted as the recipe has it, or the plain way beside it."""
        rows = [row for row in self.scores if row["split"] == split]
        return rows[-1 if plain else 0] if rows else None


@dataclass(frozen=True)
class Mark:
    """A run on the charts.

    Attributes:
        trained: the run.
        masks: precision, recall and mIoU (`iou`) of its pseudo-masks, with their intervals.
        masks_card: their protocol card.
        segmentation: the same of its network.
        segmentation_card: their protocol card.
    """

    trained: Trained
    masks: Mapping[str, Interval]
    masks_card: ProtocolCard
    segmentation: Mapping[str, Interval]
    segmentation_card: ProtocolCard

    @property
    def group(self) -> str:
        return f"{store_label(self.trained.maps)}, {_CURRICULA[self.trained.curriculum]}"


def trained_runs(ref: DatasetRef, dataset: Dataset) -> tuple[list[Trained], dict[str, str]]:
    """The runs of a data set that have both, and why the others are left out, by run."""
    found, left_out = [], {}
    for run in catalog.runs_on(ref):
        trained = _trained(run.name, run.folder, dataset)
        if isinstance(trained, str):
            left_out[run.name] = trained
        else:
            found.append(trained)
    return found, left_out


def marks_of(
    dataset: Dataset, trained: Sequence[Trained], sources: Sequence[MaskSource], split: str, plain: bool,
    report: Report,
) -> list[Mark]:  # fmt: skip
    """Score the pseudo-masks of runs; counts that are on disk already are read.

    Args:
        sources: the pseudo-masks, one a run.
        split, plain: of the networks' scores, as `Trained.score_on` takes them; every run has them.
        report: told of progress as (done, total).

    Raises:
        DataError: no mask of a run can be scored.
    """
    total = sum(len(dataset.image_ids(run.masks_split)) for run in trained)
    marks, before = [], 0
    for run, source in zip(trained, sources, strict=True):

        def progress(done: int, _: int, before: int = before) -> None:
            report(before + done, total)

        scores = score(dataset, run.masks_split, source, cache_dir=cache_dir() / "scores", progress=progress)
        again = resampled(scores)
        masks = {metric: again.interval(metric, MASK_THRESHOLD) for metric in METRICS.values()}
        row = run.score_on(split, plain)
        network = {metric: _interval(row, column) for column, metric in METRICS.items()}
        marks.append(Mark(run, masks, scores.card, network, _card(row)))
        before += len(dataset.image_ids(run.masks_split))
    return marks


def marks_key(
    dataset: Dataset, trained: Sequence[Trained], sources: Sequence[MaskSource], split: str, plain: bool
) -> str:
    """Changes with everything that `marks_of` depends on."""
    parts = [f"{run.run} {run.maps} {json.dumps(run.score_on(split, plain))}" for run in trained]
    parts += [source.fingerprint for source in sources]
    return task_key("thesis", dataset.fingerprint(split), split, *parts)


def mask_sources(dataset: Dataset, trained: Sequence[Trained]) -> list[MaskSource]:
    """The pseudo-masks of runs as they are scored.

    Raises:
        StoreError: a store has just lost its card.
    """
    return [opened(run.masks, dataset, run.masks_split) for run in trained]


def correlations(marks: Sequence[Mark]) -> dict[str, RankCorrelation]:
    """Of each figure of the pseudo-masks with the networks' mIoU, over the runs."""
    network = np.array([mark.segmentation["iou"].value for mark in marks])
    return {
        metric: rank_correlation(np.array([mark.masks[metric].value for mark in marks]), network)
        for metric in METRIC_LABELS
    }


def thesis_chart(marks: Sequence[Mark], height: int = 400) -> go.Figure:
    """Precision, recall and mIoU of pseudo-masks, a panel each, against the networks' mIoU.

    Colour says what the masks come from, the marker which curriculum trained on them.
    """
    panels = Panels(list(METRIC_LABELS.values()), share_y=True)
    groups = {mark.group: [other for other in marks if other.group == mark.group] for mark in marks}
    for panel, metric in enumerate(METRIC_LABELS):
        for name, members in groups.items():
            x = [mark.masks[metric] for mark in members]
            y = [mark.segmentation["iou"] for mark in members]
            colour = COLOURS.get(members[0].trained.maps, NEUTRAL)
            panels.scatter(
                panel,
                x=[found.value for found in x],
                y=[found.value for found in y],
                error_x=_bars(x, colour),
                error_y=_bars(y, colour),
                mode="markers",
                text=[mark.trained.run for mark in members],  # under the pointer
                marker={"size": 11, "color": colour, "symbol": _SYMBOLS[members[0].trained.curriculum]},
                name=name,
                legendgroup=name,
                showlegend=panel == 0,
                hovertemplate=f"{METRIC_LABELS[metric]} of masks %{{x:.1%}}<br>mIoU of the network %{{y:.1%}}"
                "<extra>%{text}</extra>",
            )
    return panels.figure(
        height,
        x={"tickformat": "~%", "title": {"text": "of the pseudo-masks"}},
        y={"tickformat": "~%", "title": {"text": "segmentation mIoU"}},
        hovermode="closest",
        top=64,
    )


def mark_table(marks: Sequence[Mark]) -> pa.Table:
    """A row a run: what trained it, all scores with their intervals, and both protocol cards; fractions."""
    records = []
    for mark in marks:
        run = mark.trained
        record: dict[str, object] = {
            "run": run.run, "masks_from": run.maps, "curriculum": run.curriculum, "seed": run.seed,
        }  # fmt: skip
        for part, scores in (("masks", mark.masks), ("segmentation", mark.segmentation)):
            for column, metric in METRICS.items():
                found = scores[metric]
                ends = {"": found.value, "_low": found.low, "_high": found.high}
                record |= {f"{part}_{column}{end}": float(value) for end, value in ends.items()}
        for part, card in (("masks", mark.masks_card), ("segmentation", mark.segmentation_card)):
            record |= {f"{part}_{name}": value for name, value in card.as_dict().items()}
        records.append(record)
    return pa.Table.from_pylist(records)


def _trained(run: str, folder: Path, dataset: Dataset) -> Trained | str:
    """The run, or why it has not both."""
    result, card = read_json(folder / "evaluate" / "result.json"), read_json(folder / MASKS / "card.json")
    config = read_json(folder / "config.json") or {}
    segment = config.get("segment", {})
    if card is None:
        return "no pseudo-masks yet"
    if segment.get("masks", MASKS) != MASKS:
        return f"trained on {segment['masks']}, not on its pseudo-masks"
    if result is None or not result.get("scores"):
        return "its segmentation network is not evaluated yet"
    if _is_outdated(folder, MASKS, "segment"):
        return "its pseudo-masks were made anew after the training"
    if _is_outdated(folder, "segment", "evaluate"):
        return "its network was trained anew after the evaluation"
    split = next((name for name in card.get("splits", {}) if _has_truth(dataset, name)), None)
    if split is None:
        return "its pseudo-masks are of images without ground truth"
    return Trained(
        run,
        RunSource(MASKS, "Pseudo-masks", folder / MASKS, masks=True),
        split,
        str(card.get("maps", "")),
        segment.get("curriculum", {}).get("kind", "none"),
        int(config.get("seed", 0)),
        tuple(result["scores"]),
    )


def _is_outdated(folder: Path, read: str, reader: str) -> bool:
    """Whether a stage is made anew since another read it; no where records say nothing."""
    made, used = read_record(folder, read), read_record(folder, reader)
    if made is None or used is None:
        return False
    return made.finished_s is None or used.inputs.get(read, made.identity) != made.identity


def _has_truth(dataset: Dataset, split: str) -> bool:
    return split in dataset.splits and any(map(dataset.has_mask, dataset.image_ids(split)))


def _interval(row: Mapping[str, Any], column: str) -> Interval:
    return Interval(*(float(row[f"{column}{end}"]) for end in ("", "_low", "_high")))


def _card(row: Mapping[str, Any]) -> ProtocolCard:
    return ProtocolCard(**{each.name: row[each.name] for each in fields(ProtocolCard) if each.name in row})


def _bars(found: Sequence[Interval], colour: str) -> dict[str, object]:
    return {
        "array": [each.high - each.value for each in found],
        "arrayminus": [each.value - each.low for each in found],
        "color": colour,
        "thickness": 1,
        "width": 3,
    }
