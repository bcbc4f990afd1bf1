"""Compare: all sources side by side, every number with its interval and its protocol card."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.fusion import RULES
from orandnet_core.metrics import THRESHOLD_RULES, THRESHOLDS
from pages.components import charts, click_charts, comparison
from pages.components.chart_style import CHART_CONFIG, METRIC_LABELS
from pages.components.compare_closer import show_closer
from pages.components.comparison import AT_RECALL, Candidate, Row
from pages.components.empty import require_cams, require_dataset
from pages.components.going import go_to
from pages.components.offers import offers_of
from pages.components.print_figure import comparison_png
from pages.components.protocol import protocol_popover, rule_label
from pages.components.scores import NETWORKS, image_scores
from pages.components.selection import Selection, current_selection
from pages.components.sources import style_of
from train.report import Entry, report_html
from train.settings import saved_settings

DEFAULT_SOURCES = ("cnn", "vit", "mean", "or", "and")
_SAVED = "saved: "
MOST_POINTS = 2000  # of the scatter of images; the browser draws each
MOST_BARS = 5  # sources a class; more are a thicket


def choose_candidates(selection: Selection, dataset: Dataset) -> tuple[list[Candidate], bool]:
    """Draw the choice of runs and sources; return what is scored so far, and whether that is all."""
    offers = offers_of(selection, dataset)
    own, *others = offers
    sources_column, runs_column = st.columns([0.7, 0.3]) if others else (st.container(), None)
    also = []
    if runs_column is not None:
        also = runs_column.multiselect(
            "Also from runs", others, key="compare_runs", bind="query-params", placeholder=f"{own} alone"
        )
    chosen_runs = [own, *also]
    names = {name: rule.label for name, rule in RULES.items()}
    for run in chosen_runs:
        names |= {key: source.label for key, source in offers[run].further.items()}
    fusions = {f"{_SAVED}{name}": setting.fusion for name, setting in saved_settings().items()}
    chosen = sources_column.pills(
        "Sources",
        [*names, *fusions],
        default=DEFAULT_SOURCES,
        selection_mode="multi",
        format_func=lambda key: names.get(key) or f":material/bookmark: {_name(key, names)}",
        key="compare_sources",
        bind="query-params",
        wrap=True,
    )
    if not chosen:
        st.caption("Choose a source above to compare.")
    candidates, lacking = [], []
    for position, run in enumerate(chosen_runs):
        offer = offers[run]
        lacking += [f"{_name(key, names)} of {run}" for key in chosen if offer.lacks(key, fusions)]
        for key, scores in offer.scores(chosen, fusions).items():
            label = _name(key, names) if len(chosen_runs) < 2 else f"{_name(key, names)} · {run}"
            rule = fusions[key].rule if key in fusions else style_of(key)
            candidates.append(Candidate(label, rule, position, scores))
    if lacking:
        st.caption(f":material/info: Not there on {selection.split}: {', '.join(lacking)}")
    return candidates, len(candidates) + len(lacking) == len(chosen) * len(chosen_runs)


def choose_rule() -> tuple[str, float | None]:
    """Draw the choice of the rule that gives every source its threshold, and its parameter."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rule = st.segmented_control(
            "Threshold rule",
            list(THRESHOLD_RULES),
            default="no_labels",
            format_func=lambda name: THRESHOLD_RULES[name].label,
            key="compare_rule",
            required=True,
            help="\n".join(f"- **{rule.label}**: {rule.description}" for rule in THRESHOLD_RULES.values()),
        )
        parameter = None
        if rule == "fixed":
            parameter = st.slider(
                "Threshold", 0.0, 1.0, 0.4, 1 / 256, format="%.3f", key="compare_threshold", width=260
            )
        elif rule == "calibrated":
            parameter = st.number_input("Annotated images", 1, 10_000, 20, key="compare_annotated", width=160)
        elif rule == "precision_target":
            percent = st.number_input("Precision, %", 1.0, 99.9, 70.0, 0.5, key="compare_target", width=160)
            parameter = percent / 100
    return rule, parameter


def show_table(rows: Sequence[Row], so_far: str) -> Row | None:
    """The table of sources; returns the one that the others are compared to."""
    usable = [row for row in rows if row.choice is not None]
    for row in rows:
        if row.choice is None:
            st.caption(f":material/info: **{row.candidate.label}**: {row.problem}")
    if not usable:
        return None
    labels = [row.candidate.label for row in usable]
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        against = st.selectbox("Differences to", labels, key=f"compare_against{so_far}", width=240)
        protocol_popover([row.card for row in usable], key="compare_protocol")
    reference = usable[labels.index(against)] if against in labels else usable[0]
    _say_unpaired(usable, reference)
    ordered = sorted(usable, key=lambda row: -float(np.nan_to_num(row.metrics.mean_iou)))
    st.dataframe(
        _shown_table(comparison.table_of(ordered, reference)),
        hide_index=True,
        column_config=_column_config(reference.candidate.label),
        alt="Sources with mIoU, precision and recall, their 95% intervals, thresholds and differences",
    )
    card = usable[0].card
    st.caption(
        f"{card.dataset} {card.split} · {card.images:,} images · {card.num_classes} classes · means over "
        "classes with pixels, background included · 95% over resampled images; differences paired"
    )
    return reference


def _say_unpaired(rows: Sequence[Row], reference: Row) -> None:
    """Why some differences are not there: pairs need the same images."""
    scored = {row.candidate.label: set(row.candidate.scores.counts.image_ids) for row in rows}
    ours = scored[reference.candidate.label]
    others = [f"{label} ({len(ids):,} images)" for label, ids in scored.items() if ids != ours]
    if others:
        st.caption(
            f":material/info: Scored on other images than {reference.candidate.label} ({len(ours):,}), so no "
            f"difference is given: {', '.join(others)}"
        )


def show_curves(rows: Sequence[Row]) -> None:
    curves = [comparison.curve_of(row) for row in rows]
    left, right = st.columns(2)
    left.plotly_chart(
        charts.precision_recall(curves, THRESHOLDS),
        config=CHART_CONFIG,
        key="compare_pr",
        alt="Precision against recall of every source, with the Pareto front",
    )
    right.plotly_chart(
        charts.metric_curves(curves, THRESHOLDS, metrics=("iou",), height=380),
        config=CHART_CONFIG,
        key="compare_miou",
        alt="mIoU of every source against the threshold",
    )


@st.fragment
def show_classes(rows: Sequence[Row], dataset: Dataset, so_far: str) -> None:
    """Scores per class at each source's threshold."""
    usable = {row.candidate.label: row for row in rows if row.choice is not None}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = st.segmented_control(
            "Per class", list(METRIC_LABELS), default="iou", required=True, key="compare_class_metric",
            format_func=lambda name: {"iou": "IoU"}.get(name, METRIC_LABELS[name]),
        )  # fmt: skip
        chosen = st.multiselect(
            "Sources per class",
            list(usable),
            default=_first_choice(usable),
            max_selections=MOST_BARS,
            key=f"compare_class_sources{so_far}",
            label_visibility="collapsed",
        )
    if not chosen:
        st.caption("Choose a source to see its classes.")
        return
    st.plotly_chart(
        charts.class_bars(
            ("background", *dataset.class_names),
            {label: getattr(usable[label].metrics, metric) for label in chosen},
            {label: usable[label].candidate.rule for label in chosen},
            height=400,
        ),
        config=CHART_CONFIG,
        key="compare_classes",
        alt="Scores per class of the chosen sources",
    )


@st.fragment
def show_images(rows: Sequence[Row], so_far: str) -> None:
    """Every image under two sources; a click opens it."""
    usable = {row.candidate.label: row for row in rows if row.choice is not None}
    labels = list(usable)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        across = st.selectbox("Per image, across", labels, key=f"compare_x{so_far}")
        up = st.selectbox("and up", labels, index=len(labels) - 1, key=f"compare_y{so_far}")
    scored = [
        image_scores(usable[label].candidate.scores, usable[label].choice.value) for label in (across, up)
    ]
    if None in scored:
        return
    ids, x, y = comparison.of_common_images(*scored)
    shown = comparison.spread(y - x, MOST_POINTS)
    shown_ids = [ids[index] for index in shown]
    st.plotly_chart(
        click_charts.image_scatter(shown_ids, x[shown], y[shown], f"mIoU of {across}", f"mIoU of {up}"),
        config=CHART_CONFIG,
        key="compare_images",
        on_select=_open_clicked,
        selection_mode="points",
        alt=f"mIoU of every image under {across} and {up}",
    )
    better = int((y > x).sum())
    capped = (
        f"{len(shown):,} of {len(x):,} images, spread over all differences · " if len(shown) < len(x) else ""
    )
    st.caption(
        f"{capped}{up} is better on {better:,} of {len(x):,} images · each image's mean over the classes it "
        "shows · click a point to open it in Inspect"
    )


def show_downloads(rows: Sequence[Row], reference: Row | None, dataset: Dataset) -> None:
    table = comparison.table_of(rows, reference)
    candidates = [row.candidate for row in rows]
    card = candidates[0].scores.card
    stem = f"compare-{card.dataset}-{card.split}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Download", width="content")
        # Made when they are clicked, not at every rerun.
        for label, make, name in (
            ("Table, CSV", lambda: comparison.csv_bytes(table), f"{stem}.csv"),
            ("Table, Parquet", lambda: comparison.parquet_bytes(table), f"{stem}.parquet"),
            ("Curves, Parquet", lambda: comparison.parquet_bytes(comparison.curves_table(candidates)),
             f"{stem}-curves.parquet"),
            ("Figure, PNG", lambda: comparison_png([comparison.curve_of(row) for row in rows], THRESHOLDS,
                                                   [row.card for row in rows if row.card]), f"{stem}.png"),
            *([("Report, HTML", lambda: _report(rows, reference, dataset), f"{stem}.html")]
              if any(row.resampled is not None for row in rows) else []),
        ):  # fmt: skip
            st.download_button(
                label, make, name, on_click="ignore", type="tertiary", icon=":material/download:"
            )


def _name(key: str, names: Mapping[str, str]) -> str:
    return names.get(key) or key.removeprefix(_SAVED)


def _report(rows: Sequence[Row], reference: Row | None, dataset: Dataset) -> bytes:
    """One HTML file of the rows that have a threshold, the reference first."""
    usable = [row for row in rows if row.resampled is not None]
    entries = [
        Entry(row.candidate.label, row.candidate.scores, row.choice, row.metrics, row.card, row.resampled)
        for row in sorted(usable, key=lambda row: row is not reference)
    ]
    return report_html(entries, dataset.class_names).encode()


def _first_choice(rows: Mapping[str, Row]) -> list[str]:
    """Both networks, and the best of what was fused from them."""
    fused = {
        label: float(row.metrics.mean_iou)
        for label, row in rows.items()
        if row.candidate.rule not in NETWORKS
    }
    best = [max(fused, key=fused.get)] if fused else []
    return list(dict.fromkeys([*list(rows)[:2], *best]))


def _shown_table(table: pa.Table) -> pa.Table:
    """The columns for screen: numbers in percent, intervals as text beside them."""
    columns: dict[str, list] = {"source": table["label"].to_pylist()}
    for name in ("miou", "precision", "recall", "precision_at_recall_70"):
        if name not in table.column_names:
            continue  # read off resampled curves, which are still to come
        columns[name] = [_percent(value) for value in table[name].to_pylist()]
        columns[f"{name}_interval"] = _intervals(table, name)
    if "miou_difference" in table.column_names:
        columns["difference"] = [_percent(value or 0.0) for value in table["miou_difference"].to_pylist()]
        columns["difference_interval"] = _intervals(table, "miou_difference", "+.1f")
    columns["threshold"] = table["threshold"].to_pylist()
    columns["rule"] = [rule_label(name) for name in table["threshold_rule"].to_pylist()]
    columns["chosen_on"] = table["chosen_on"].to_pylist()
    if "regret_miou" in table.column_names:
        columns["regret"] = [_percent(value) for value in table["regret_miou"].to_pylist()]
    return pa.table(columns)


def _column_config(reference: str) -> dict[str, object]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    labels = {"miou": "mIoU", "precision": "Precision", "recall": "Recall",
              "precision_at_recall_70": f"P at R {AT_RECALL:.0%}"}  # fmt: skip
    config: dict[str, object] = {"source": text("Source", pinned=True)}
    for name, label in labels.items():
        config[name] = number(label, format="%.1f%%")
        config[f"{name}_interval"] = text("95%", width=96)
    return config | {
        "difference": number(f"mIoU − {reference}", format="%+.1f"),
        "difference_interval": text("95%, paired", width=104),
        "threshold": number("Threshold", format="%.3f"),
        "rule": text("Rule"),
        "chosen_on": text("Chosen on"),
        "regret": number(
            "Regret", format="%.1f", help="mIoU lost to the oracle, mean over 100 draws, in points"
        ),
    }


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _intervals(table: pa.Table, name: str, form: str = ".1f") -> list[str]:
    ends = zip(table[f"{name}_low"].to_pylist(), table[f"{name}_high"].to_pylist(), strict=True)
    return ["" if low is None else f"{100 * low:{form}} to {100 * high:{form}}" for low, high in ends]


def _open_clicked() -> None:
    image_id = click_charts.clicked_image(st.session_state["compare_images"])
    if image_id is not None:
        st.session_state["image"] = image_id
        go_to("analysis/inspect_page.py")


current = current_selection()
opened = require_dataset(current)
require_cams(current)
found, is_all = choose_candidates(current, opened)
# What is chosen among the sources starts anew once all are there, or the first to come would stay chosen.
suffix = "" if is_all else "_so_far"
chosen_rule, chosen_parameter = choose_rule()
if not found:
    st.stop()  # what is missing, or under way, is said above
compared = comparison.rows_of(found, chosen_rule, chosen_parameter)
if compared is None:
    st.stop()
table_slot, intervals_slot = st.container(), st.container()
with intervals_slot:
    # The numbers stand at once; what takes resampling fills in behind them.
    compared = comparison.with_intervals(compared) or compared
with table_slot:
    compared_to = show_table(compared, suffix)
show_curves(compared)
if compared_to is not None:
    classes_column, images_column = st.columns(2)
    with classes_column:
        show_classes(compared, opened, suffix)
    with images_column:
        show_images(compared, suffix)
    show_closer(compared, opened, current)
show_downloads(compared, compared_to, opened)
