"""What the Compare page compares: every source at its threshold, with intervals, as rows and as files."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from orandnet_core.errors import DataError, OrandnetError
from orandnet_core.metrics import (
    MASK_THRESHOLD,
    THRESHOLD_RULES,
    THRESHOLDS,
    Bootstrap,
    Interval,
    Metrics,
    ThresholdChoice,
    difference,
    precision_at_recall_difference,
    thresholds,
)
from orandnet_core.metrics.thresholds import calibration
from orandnet_core.protocol import ProtocolCard
from orandnet_core.scoring import Scores
from pages.components.charts import Curve
from pages.components.scores import resampled, task_key
from pages.components.tasks import Report, result_or_progress

METRICS = ("iou", "precision", "recall")
AT_RECALL = 0.7  # precision is compared where sources find as much

# Of the table that is downloaded, in this order; fractions.
_SCORES = ("miou", "precision", "recall", "precision_at_recall_70")
_DIFFERENCES = ("miou_difference", "precision_at_recall_70_difference")
_COLUMNS = (
    "label",
    *(f"{name}{end}" for name in _SCORES for end in ("", "_low", "_high")),
    "compared_to",
    *(f"{name}{end}" for name in _DIFFERENCES for end in ("", "_low", "_high")),
    "regret_miou",
    "problem",
    *(field.name for field in fields(ProtocolCard)),
)


@dataclass(frozen=True)
class Candidate:
    """A source that can be compared.

    Attributes:
        key: names it in addresses: the source's key, with `@` and the run's name where that is not the
            sidebar's.
        label: its name on screen, with the run's where there are several.
        rule: its name in `chart_style.COLOURS`, for its colour.
        run: position of its run among those compared, for its dash.
        scores: on the split.
    """

    key: str
    label: str
    rule: str
    run: int
    scores: Scores = field(repr=False)


@dataclass(frozen=True)
class Row:
    """A source at the threshold that a rule chose for it.

    Attributes:
        candidate: the source.
        choice: the threshold; None where the rule has no answer, and `problem` says why.
        metrics: per class, at the threshold.
        card: of these numbers.
        resampled: the bootstrap over the images that were scored; None until it is made.
        regret: of `calibrated`, the mean loss against the oracle over draws, in mIoU.
        problem: why there is no threshold; empty where there is one.
    """

    candidate: Candidate
    choice: ThresholdChoice | None = None
    metrics: Metrics | None = None
    card: ProtocolCard | None = None
    resampled: Bootstrap | None = None
    regret: float | None = None
    problem: str = ""

    def interval(self, metric: str) -> Interval:
        """A mean score with its interval, which is not a number before there is a bootstrap."""
        if self.resampled is None:
            return Interval(float(self.metrics.mean(metric)), np.nan, np.nan)
        return self.resampled.interval(metric, self.choice.value)


def rows_of(candidates: Sequence[Candidate], rule: str, parameter: float | None) -> list[Row] | None:
    """Every source at the threshold that a rule chooses, without intervals yet.

    Args:
        candidates: what to compare.
        rule: a key of `THRESHOLD_RULES`.
        parameter: the threshold of `fixed`, the number of images of `calibrated`, the target of
            `precision_target`; None for the other rules.

    Returns:
        The rows; None while progress is drawn instead.
    """
    key = task_key("rows", rule, str(parameter), *map(identity_of, candidates))
    return result_or_progress(
        key, "Choosing thresholds", lambda report: _each(_row, candidates, report, rule, parameter)
    )


def with_intervals(rows: Sequence[Row]) -> list[Row] | None:
    """The rows with the bootstraps of their scores; None while progress is drawn instead."""
    identities = [f"{identity_of(row.candidate)} {row.choice}" for row in rows]
    key = task_key("intervals", *identities)
    return result_or_progress(key, "Intervals", lambda report: _each(_with_interval, rows, report))


def rows_of_some(rows: Sequence[Row], image_ids: Sequence[str], subset: str) -> list[Row] | None:
    """The rows with the scores of some of the images, at the thresholds that they have.

    Args:
        rows: of all images, which chose the thresholds.
        image_ids: of those to be scored.
        subset: which these are, in words.

    Returns:
        The rows of the sources that have any of these images, without intervals yet; None while
        progress is drawn instead.
    """
    identities = [f"{identity_of(row.candidate)} {row.choice}" for row in rows]
    key = task_key("rows of some", subset, *image_ids, *identities)
    wanted = set(image_ids)
    rows = [row for row in rows if not wanted.isdisjoint(row.candidate.scores.counts.image_ids)]
    return result_or_progress(
        key, "Adding up the images", lambda report: _each(row_of_some, rows, report, image_ids, subset)
    )


def paired(row: Row, reference: Row) -> bool:
    """Whether both have intervals, over the same images: only then is there a difference to give."""
    if None in (row.resampled, reference.resampled):
        return False
    return row.resampled.image_ids == reference.resampled.image_ids


def curve_of(row: Row) -> Curve:
    """The row as charts draw it."""
    metrics, candidate = row.candidate.scores.sweep.metrics, row.candidate
    return Curve(
        candidate.label,
        candidate.rule,
        metrics.mean_precision,
        metrics.mean_recall,
        metrics.mean_iou,
        row.choice.value if row.choice else None,
        candidate.run,
        flat=candidate.scores.of_masks,
    )


def table_of(rows: Sequence[Row], reference: Row | None) -> pa.Table:
    """The rows with intervals, differences to a reference, and their whole protocol cards.

    Fractions throughout; null where a rule has no threshold.
    """
    records = [_record(row, reference) for row in rows]
    # The reference has no difference, a row without threshold no score: every column is of some row.
    columns = sorted({name for record in records for name in record}, key=_COLUMNS.index)
    return pa.table({name: [record.get(name) for record in records] for name in columns})


def curves_table(candidates: Sequence[Candidate]) -> pa.Table:
    """Precision, recall and mIoU of every source at every threshold, one row each."""
    names = ("source", "threshold", "precision", "recall", "miou", "images", "subset")
    columns: dict[str, list] = {name: [] for name in names}
    for candidate in candidates:
        metrics = candidate.scores.sweep.metrics
        columns["source"] += [candidate.label] * len(THRESHOLDS)
        columns["threshold"] += THRESHOLDS.tolist()
        columns["precision"] += metrics.mean_precision.tolist()
        columns["recall"] += metrics.mean_recall.tolist()
        columns["miou"] += metrics.mean_iou.tolist()
        columns["images"] += [candidate.scores.card.images] * len(THRESHOLDS)
        columns["subset"] += [candidate.scores.card.subset] * len(THRESHOLDS)
    return pa.table(columns)


def spread(differences: np.ndarray, most: int) -> np.ndarray:
    """Images to show of many: evenly over the order of their differences, both extremes among them.

    Args:
        differences: (N,) of every image; NaN leaves it out.
        most: how many, at least two.

    Returns:
        Up to `most` positions in 0..N - 1, by ascending difference.
    """
    order = np.argsort(differences)
    order = order[~np.isnan(differences[order])]
    if len(order) <= most:
        return order
    return order[np.linspace(0, len(order) - 1, most).round().astype(int)]


def csv_bytes(table: pa.Table) -> bytes:
    """A table as CSV with a header."""
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(table, buffer)
    return buffer.getvalue()


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as Parquet."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


def _each(make: Callable, items: Sequence, report: Report, *options: object) -> list[Row]:
    rows = []
    for done, item in enumerate(items):
        report(done, len(items))
        rows.append(make(item, *options))
    return rows


def _row(candidate: Candidate, rule: str, parameter: float | None) -> Row:
    scores = candidate.scores
    try:
        choice = _choice(scores, rule, parameter)
    except OrandnetError as error:
        return Row(candidate, problem=str(error))
    regret = None
    if choice.rule == "calibrated" and not scores.of_masks:
        regret = float(calibration(scores.counts, int(parameter)).regret.mean())
    metrics, card = scores.at(choice)
    return Row(candidate, choice, metrics, card, regret=regret)


def row_of_some(row: Row, image_ids: Sequence[str], subset: str) -> Row:
    """One of `rows_of_some`, at once.

    Raises:
        DataError: the source was scored on none of the images.
    """
    scores = row.candidate.scores.only(image_ids, subset)
    candidate = replace(row.candidate, scores=scores)
    if row.choice is None:
        return replace(row, candidate=candidate)
    if row.choice.rule == "calibrated" and not row.choice.unseen(scores.counts.image_ids):
        return Row(candidate, problem="all of these images are among those that chose its threshold")
    metrics, card = scores.at(row.choice)
    return Row(candidate, row.choice, metrics, card)  # the regret was of all images


def _with_interval(row: Row) -> Row:
    if row.choice is None:
        return row
    return replace(row, resampled=resampled(row.candidate.scores, row.choice))


def _choice(scores: Scores, rule: str, parameter: float | None) -> ThresholdChoice:
    choose = THRESHOLD_RULES[rule].choose
    if scores.of_masks and rule != "calibrated":
        # Any does. A calibrated one leaves out the images that calibrate other sources.
        return thresholds.fixed(MASK_THRESHOLD)
    if rule == "no_labels" and scores.agreement is None:
        raise DataError("this rule needs the CAMs of both networks, and its run has none on this split")
    if rule == "fixed":
        return choose(parameter)
    if rule == "no_labels":
        return choose(scores.agreement)
    if rule == "calibrated":
        return choose(scores.counts, int(parameter))
    return choose(scores.counts) if parameter is None else choose(scores.counts, parameter)


def identity_of(candidate: Candidate) -> str:
    """Changes with the source, its images and its place on screen."""
    card = candidate.scores.card
    return f"{candidate.label} {candidate.run} {card.source_hash} {card.data_hash} {card.images}"


def _record(row: Row, reference: Row | None) -> dict[str, object]:
    record: dict[str, object] = {"label": row.candidate.label}
    if row.choice is None:
        return record | {"problem": row.problem} | row.candidate.scores.card.as_dict()
    for metric in METRICS:
        name = "miou" if metric == "iou" else metric
        record |= _columns(name, row.interval(metric))
    if row.resampled is not None:
        record |= _columns("precision_at_recall_70", row.resampled.precision_at_recall_interval(AT_RECALL))
    if reference is not None and reference is not row and paired(row, reference):
        record["compared_to"] = reference.candidate.label
        record |= _differences(row, reference)
    if row.regret is not None:
        record["regret_miou"] = row.regret
    return record | row.card.as_dict()


def _differences(row: Row, reference: Row) -> Mapping[str, float]:
    ours, theirs = row.resampled, reference.resampled
    miou = difference(ours, row.choice.value, theirs, reference.choice.value, "iou")
    at_recall = precision_at_recall_difference(ours, theirs, AT_RECALL)
    return _columns("miou_difference", miou) | _columns("precision_at_recall_70_difference", at_recall)


def _columns(name: str, interval: Interval) -> dict[str, float | None]:
    values = {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return {column: None if np.isnan(value) else float(value) for column, value in values.items()}
