"""`python -m train report`: a comparison as one HTML file that loads nothing, and its tables as Parquet."""

import argparse
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from orandnet_core.array_files import write_atomically
from orandnet_core.labels import class_name
from orandnet_core.metrics import THRESHOLDS, Bootstrap, Metrics, ThresholdChoice
from orandnet_core.metrics.paired import Paired, paired
from orandnet_core.protocol import ProtocolCard
from orandnet_core.scoring import Scores
from train.errors import RULES_AT, choice_at, error_rows, mine_run
from train.map_sources import scores_of
from train.open_run import add_measuring_arguments, open_run
from train.results_page import Row, slice_tables

__all__ = ["Entry", "report_html", "report_tables"]

SOURCES = ("cnn", "vit", "mean", "or", "and")
METRICS = {"iou": "mIoU", "precision": "Precision", "recall": "Recall"}
# Okabe and Ito's, told apart by everybody; lines also differ in their dashes.
_COLOURS = ("#0077BB", "#D9631E", "#7F7F7F", "#CC3344", "#009988", "#C2549D", "#8C6BB1", "#A67C00")
_DASHES = ("-", "--", "-.", ":")
_CURVES_CAPTION = (
    "Precision against recall, and mIoU against the threshold; each source's own threshold is marked."
)
_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1040px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .55rem; text-align: right; border-bottom: 1px solid #8884 }
th:first-child, td:first-child { text-align: left } th { font-weight: 600 } th[colspan] { text-align: center }
small, figcaption { opacity: .75 } figure { margin: 1rem 0; background: #fff; border-radius: 6px }
figcaption { padding: 0 1rem .6rem; color: #333 } svg { max-width: 100%; height: auto }
.wide { overflow-x: auto } td { white-space: nowrap } #protocol + .wide td { white-space: normal }
"""


@dataclass(frozen=True)
class Entry:
    """A source of a comparison at its threshold.

    Attributes:
        label: its name.
        scores: on the split.
        choice: its threshold.
        metrics: (C,) per class there.
        card: of these numbers.
        resampled: over the images that were scored.
    """

    label: str
    scores: Scores
    choice: ThresholdChoice
    metrics: Metrics
    card: ProtocolCard
    resampled: Bootstrap


def report_html(entries: Sequence[Entry], class_names: Sequence[str], slices: Sequence[Row] = ()) -> str:
    """The comparison as a page of its own: no script, no address outside, charts as inline SVG.

    Args:
        entries: what is compared; differences are to the first.
        class_names: the data set's, without background.
        slices: rows of errors, as `train.errors.error_rows` makes them.
    """
    first = entries[0].card
    title = f"{first.dataset} {first.split}: {', '.join(entry.label for entry in entries)}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(first.extent)}, {first.num_classes} classes with background; {escape(first.ignored)}; "
        f"means {escape(first.means)}. Intervals hold 95% of 1,000 resamples of the images.</p>",
        "<h2>Scores</h2>", _html_table(_score_rows(entries)),
        _figure(_curves_svg(entries), _CURVES_CAPTION),
        "<h2>Per class</h2>", _class_table(entries, class_names),
    ]  # fmt: skip
    tests = [(entry, _tested(entry, entries[0])) for entry in entries[1:]]
    if tests:
        parts += [
            f"<h2>Differences to {escape(entries[0].label)}</h2>",
            _html_table([_test_row(entry, test) for entry, test in tests if test is not None]),
            "<p><small>p: two-sided, from 5,000 permutations of the images' results. Classes that differ are "
            "those below 0.05 after Holm's correction.</small></p>",
        ]
    for source in dict.fromkeys(row["source"] for row in slices):
        mine = [row for row in slices if row["source"] == source]
        parts += [f"<h2>Errors of {escape(source)}</h2>", _slices(mine)]
    parts += ["<h2 id=protocol>Protocol</h2>", _html_table(_card_rows(entries))]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def report_tables(entries: Sequence[Entry], class_names: Sequence[str]) -> dict[str, pa.Table]:
    """The tables behind the page, fractions, with protocol cards: `scores`, `classes` and `curves`."""
    scores, classes, curves = [], [], []
    for entry in entries:
        record: dict[str, object] = {"label": entry.label}
        for name in METRICS:
            interval = entry.resampled.interval(name, entry.choice.value)
            record |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
        scores.append(record | entry.card.as_dict())
        for label in range(entry.card.num_classes):
            values = {name: float(getattr(entry.metrics, name)[label]) for name in METRICS}
            classes.append({"label": entry.label, "class": class_name(tuple(class_names), label)} | values)
        means = {name: entry.scores.sweep.metrics.mean(name) for name in METRICS}
        curves += [
            {"label": entry.label, "threshold": float(threshold)}
            | {name: float(means[name][index]) for name in METRICS}
            for index, threshold in enumerate(THRESHOLDS)
        ]
    return {
        name: pa.Table.from_pylist(rows)
        for name, rows in (("scores", scores), ("classes", classes), ("curves", curves))
    }


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("report", help="a comparison as one HTML file, and its tables as Parquet")
    add_measuring_arguments(parser)
    parser.add_argument(
        "--source", action="append", help=f"what is compared, the first is what others are held against; "
        f"default: {', '.join(SOURCES)}",
    )  # fmt: skip
    parser.add_argument("--split", default="train", help="images with ground truth")
    parser.add_argument("--at", default="no_labels", help=f"thresholds: a number, or {', '.join(RULES_AT)}")
    parser.add_argument("--out", type=Path, default=Path("report"), help="the folder to write into")
    parser.add_argument("--no-errors", action="store_true", help="leave the slices of errors out")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    _, dataset, run_dir = open_run(args, write=False)
    names = tuple(args.source or SOURCES)
    scored = scores_of(dataset, args.split, run_dir, names)
    entries = []
    for name, scores in scored.items():
        choice = choice_at(args.at, scores)
        metrics, card = scores.at(choice)
        entries.append(Entry(name, scores, choice, metrics, card, scores.counts.bootstrap()))
    slices: list[Row] = []
    if not args.no_errors:
        mined = mine_run(dataset, args.split, run_dir, names, args.at)
        slices = error_rows(mined, dataset.class_names, "precision", most=5)
    tables = report_tables(entries, dataset.class_names)
    if slices:
        tables["errors"] = pa.Table.from_pylist(slices)
    page = args.out / "report.html"
    write_atomically(page, report_html(entries, dataset.class_names, slices).encode())
    for name, table in tables.items():
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(table, buffer)
        write_atomically(args.out / f"{name}.parquet", buffer.getbuffer())
    print(f"{page} and {', '.join(f'{name}.parquet' for name in tables)}")
    return 0


def _tested(one: Entry, other: Entry) -> Paired | None:
    """The two on the images that both were scored on; None where there are none."""
    ids = [i for i in one.resampled.image_ids if i in set(other.resampled.image_ids)]
    if not ids:
        return None
    counts = [entry.scores.counts.select(ids) for entry in (one, other)]
    return paired(*counts, (one.choice.value, other.choice.value))


def _score_rows(entries: Sequence[Entry]) -> list[dict[str, str]]:
    rows = []
    for entry in entries:
        row = {"Source": entry.label}
        for name, label in METRICS.items():
            found = entry.resampled.interval(name, entry.choice.value)
            row[label] = f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"
        row |= {"Threshold": f"{entry.choice.value:.3f}", "Rule": entry.card.threshold_rule}
        rows.append(row | {"Chosen on": entry.card.chosen_on})
    return rows


def _class_table(entries: Sequence[Entry], class_names: Sequence[str]) -> str:
    """A row a class, three columns a source under its name."""
    groups = "".join(f'<th colspan="3">{escape(entry.label)}</th>' for entry in entries)
    head = f"<tr><th></th>{groups}</tr><tr>{_cells('th', ['Class', *['IoU', 'P', 'R'] * len(entries)])}</tr>"
    rows = [
        [class_name(tuple(class_names), label)]
        + [_percent(getattr(entry.metrics, name)[label]) for entry in entries for name in METRICS]
        for label in range(entries[0].card.num_classes)
    ]
    return _table(head, rows)


def _test_row(entry: Entry, test: Paired) -> dict[str, str]:
    row = {"Source": entry.label}
    for name, label in METRICS.items():
        mean = test.tests[name].mean
        ends = f"[{100 * mean.low:+.1f}, {100 * mean.high:+.1f}]"
        row[label] = f"{100 * mean.value:+.1f} {ends}, p {test.tests[name].p:.4f}"
    differing = int((test.tests["iou"].p_holm < 0.05).sum())
    return row | {"Classes that differ in IoU": str(differing), "Images": f"{test.images:,}"}


def _card_rows(entries: Sequence[Entry]) -> list[dict[str, str]]:
    cards = {entry.label: entry.card.as_dict() for entry in entries}
    return [
        {"": name.replace("_", " ")} | {label: str(card[name]) for label, card in cards.items()}
        for name in entries[0].card.as_dict()
    ]


def _slices(rows: list[Row]) -> str:
    """The tables of `docs/results.md`, as HTML."""
    lines = slice_tables(rows).strip().splitlines()
    parts = [f"<p>{escape(lines[0].replace('**', ''))}</p>"]
    table: list[list[str]] = []
    for line in [*lines[1:], ""]:
        if line.startswith("|---"):
            continue
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").split("|")])
        elif table:
            head, *body = table
            parts.append(_html_table([dict(zip(head, cells, strict=True)) for cells in body]))
            table = []
    return "\n".join(parts)


def _html_table(rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return "<p>None.</p>"
    return _table(f"<tr>{_cells('th', rows[0])}</tr>", [list(row.values()) for row in rows])


def _table(head: str, rows: Sequence[Sequence[str]]) -> str:
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{escape(str(text))}</{tag}>" for text in texts)


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption><small>{escape(caption)}</small></figcaption></figure>"


def _curves_svg(entries: Sequence[Entry]) -> str:
    from matplotlib.figure import Figure  # takes a while to import
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(9.6, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for index, entry in enumerate(entries):
        means = {name: entry.scores.sweep.metrics.mean(name) for name in METRICS}
        at = int(np.abs(THRESHOLDS - entry.choice.value).argmin())
        style = {"color": _COLOURS[index % len(_COLOURS)], "linestyle": _DASHES[index // len(_COLOURS) % 4]}
        left.plot(means["recall"], means["precision"], label=entry.label, linewidth=1.5, **style)
        left.plot(means["recall"][at], means["precision"][at], "o", color=style["color"])
        right.plot(THRESHOLDS, means["iou"], linewidth=1.5, **style)
        right.plot(THRESHOLDS[at], means["iou"][at], "o", color=style["color"])
    left.set(xlabel="recall (mean over classes)", ylabel="precision (mean over classes)")
    right.set(xlabel="background threshold", ylabel="mIoU", xlim=(0, 1))
    left.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for axes in (left, right):
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, fontsize=8)
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def _percent(fraction: float) -> str:
    return "–" if np.isnan(fraction) else f"{100 * fraction:.1f}"
