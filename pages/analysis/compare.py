"""Compare: all sources side by side, every number with its interval and its protocol card."""

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.fusion import RULES
from orandnet_core.image_filter import Condition
from orandnet_core.metrics import THRESHOLD_RULES, THRESHOLDS
from orandnet_core.protocol import ProtocolCard
from pages.components import comparison
from pages.components.compare_charts import show_classes, show_curves, show_images
from pages.components.compare_closer import show_closer
from pages.components.compare_table import show_table
from pages.components.comparison import Candidate, Row
from pages.components.empty import require_cams, require_dataset
from pages.components.image_gallery import show_gallery
from pages.components.linked_filter import current_filter, draw_filter, to_address
from pages.components.linked_images import Linked, facts_of, images_table
from pages.components.offers import offers_of
from pages.components.print_figure import comparison_png
from pages.components.saved_views import draw_views
from pages.components.selection import Selection, current_selection
from pages.components.sources import style_of
from train.report import Entry, report_html
from train.settings import saved_settings

DEFAULT_SOURCES = ("cnn", "vit", "mean", "or", "and")
_SAVED = "saved: "


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
    names = _told_apart(names)
    saved = {f"{_SAVED}{name}": setting for name, setting in saved_settings().items()}
    fusions = {key: setting.fusion for key, setting in saved.items()}
    labels = _told_apart(names | {key: f"{setting.name} (saved)" for key, setting in saved.items()})
    chosen = sources_column.pills(
        "Sources",
        [*names, *saved],
        default=DEFAULT_SOURCES,
        selection_mode="multi",
        format_func=lambda key: names.get(key) or f":material/bookmark: {saved[key].name}",
        key="compare_sources",
        bind="query-params",
        wrap=True,
    )
    if not chosen:
        st.caption("Choose a source above to compare.")
    if not saved.keys().isdisjoint(chosen):
        st.caption(
            ":material/info: Of a saved setting the fusion alone is compared: as for all others, the rule "
            "chooses its threshold (*Fixed* sets one by hand); a trimap is left out."
        )
    candidates, lacking = [], []
    for position, run in enumerate(chosen_runs):
        offer = offers[run]
        lacking += [f"{labels[key]} of {run}" for key in chosen if offer.lacks(key, fusions)]
        for key, scores in offer.scores(chosen, fusions).items():
            label = labels[key] if len(chosen_runs) < 2 else f"{labels[key]} · {run}"
            rule = fusions[key].rule if key in fusions else style_of(key)
            own_key = f"{key}@{run}" if position else key
            candidates.append(Candidate(own_key, label, rule, position, scores))
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
            bind="query-params",
            required=True,
            help="\n".join(f"- **{rule.label}**: {rule.description}" for rule in THRESHOLD_RULES.values()),
        )
        parameter = None
        if rule == "fixed":
            parameter = st.slider(
                "Threshold", 0.0, 1.0, 0.4, 1 / 256, format="%.3f", key="compare_threshold",
                bind="query-params", width=260,
            )  # fmt: skip
        elif rule == "calibrated":
            parameter = st.number_input(
                "Annotated images", 1, 10_000, 20, key="compare_annotated", bind="query-params", width=160
            )
        elif rule == "precision_target":
            percent = st.number_input(
                "Precision, %", 1.0, 99.9, 70.0, 0.5, key="compare_target", bind="query-params", width=160
            )
            parameter = percent / 100
    return rule, parameter


def show_downloads(
    rows: Sequence[Row], reference: Row | None, linked: Linked | None, dataset: Dataset
) -> None:
    table = comparison.table_of(rows, reference)
    candidates = [row.candidate for row in rows]
    card = candidates[0].scores.card
    some = "" if card.subset == ProtocolCard.subset else "-filtered"
    stem = f"compare-{card.dataset}-{card.split}{some}"
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
            *([("Images, CSV", lambda: comparison.csv_bytes(images_table(linked)), f"{stem}-images.csv")]
              if linked else []),
        ):  # fmt: skip
            st.download_button(
                label, make, name, on_click="ignore", type="tertiary", icon=":material/download:"
            )


def _told_apart(names: Mapping[str, str]) -> dict[str, str]:
    """Names by key; what several sources are called has the key added."""
    count = Counter(names.values())
    return {key: name if count[name] == 1 else f"{name} ({key})" for key, name in names.items()}


def _report(rows: Sequence[Row], reference: Row | None, dataset: Dataset) -> bytes:
    """One HTML file of the rows that have a threshold, the reference first."""
    usable = [row for row in rows if row.resampled is not None]
    entries = [
        Entry(row.candidate.label, row.candidate.scores, row.choice, row.metrics, row.card, row.resampled)
        for row in sorted(usable, key=lambda row: row is not reference)
    ]
    return report_html(entries, dataset.class_names).encode()


def link(rows: Sequence[Row], conditions: tuple[Condition, ...], dataset: Dataset) -> Linked | None:
    """The filter on the images that were scored; None while what it asks of them is worked out."""
    facts = facts_of(rows, dataset)
    return facts and Linked(facts, {row.candidate.key: row.candidate.label for row in rows}, conditions)


current = current_selection()
opened = require_dataset(current)
require_cams(current)
found, is_all = choose_candidates(current, opened)
# What is chosen among the sources starts anew once all are there, or the first to come would stay chosen.
suffix = "" if is_all else "_so_far"
chosen_rule, chosen_parameter = choose_rule()
if not found:
    st.stop()  # what is missing, or under way, is said above
whole = comparison.rows_of(found, chosen_rule, chosen_parameter)
if whole is None:
    st.stop()
chosen_filter = current_filter()
to_address(chosen_filter)
head = st.container(
    horizontal=True, vertical_alignment="top", horizontal_alignment="distribute", gap="medium"
)
filter_slot, table_slot, intervals_slot, charts_slot = (
    head.container(), st.container(), st.container(), st.container()
)  # fmt: skip
with head:
    draw_views("compare")
compared, linked = whole, None
has_thresholds = any(row.choice is not None for row in whole)
if has_thresholds:
    # Without a filter the numbers stand at once, and what a filter would ask fills in behind them.
    with filter_slot if chosen_filter else charts_slot:
        linked = link(whole, chosen_filter, opened)
if chosen_filter and has_thresholds:
    if linked is None:
        st.stop()
    if linked.idle and not is_all:
        filter_slot.caption(":material/filter_alt: The filter waits for the sources that it is about.")
        st.stop()
    if linked.conditions and not linked.image_ids:
        with filter_slot:
            draw_filter(linked)
        show_images(whole, linked, suffix)
        st.stop()
    with table_slot:
        compared = (
            comparison.rows_of_some(whole, linked.image_ids, linked.subset) if linked.conditions else whole
        )
    if compared is None:
        st.stop()
    there = {row.candidate.key for row in compared}
    lacking = [row.candidate.label for row in whole if row.candidate.key not in there]
    if lacking:
        table_slot.caption(f":material/info: Scored on none of these images: {', '.join(lacking)}")
with intervals_slot:
    # The numbers stand at once; what takes resampling fills in behind them.
    compared = comparison.with_intervals(compared) or compared
if linked is not None:
    with filter_slot:
        draw_filter(linked)
with table_slot:
    compared_to = show_table(compared, suffix)
with charts_slot:
    show_curves(compared, linked, suffix)
    if compared_to is not None:
        show_classes(compared, opened, chosen_filter, suffix)
        if linked is not None:
            show_images(whole, linked, suffix)
            show_gallery(whole, linked, opened, compared_to.candidate.label, suffix)
        show_closer(compared, whole, opened, current)
    show_downloads(compared, compared_to, linked, opened)
