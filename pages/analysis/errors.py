"""Errors: what went wrong and where, in slices ranked by what mending each would give back."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.labels import class_name
from orandnet_core.metrics import THRESHOLD_RULES, ThresholdChoice
from orandnet_core.metrics.thresholds import fixed
from orandnet_core.mining import FACETS, KINDS, Mined, Slice, images_of, ranked, slice_label
from pages.components.chart_style import CHART_CONFIG, METRIC_LABELS
from pages.components.comparison import csv_bytes, parquet_bytes
from pages.components.empty import require_cams, require_dataset
from pages.components.error_charts import SIDE_COLOURS, clicked_slice, slice_bars
from pages.components.going import inspect_mask
from pages.components.mined_errors import mined_errors, picture_of
from pages.components.protocol import card_line, protocol_popover
from pages.components.scores import choose, source_scores
from pages.components.selection import Selection, current_selection
from pages.components.sources import map_names
from pages.components.view_controls import DEFAULT_RULE, DEFAULT_THRESHOLD
from train.slice_records import slice_records

AT = ("no_labels", "oracle", "fixed")
MOST_BARS = 12
COLUMNS, ROWS = 4, 3  # of a page of the gallery
EVERY_CLASS = "All classes"


def choose_source(selection: Selection, dataset: Dataset) -> tuple[str, ThresholdChoice | None]:
    """Draw the choice of source and threshold; there is no threshold while scores are under way."""
    names = map_names(selection, dataset)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        name = st.selectbox(
            "Errors of", list(names), index=list(names).index(DEFAULT_RULE), key="errors_source",
            bind="query-params", format_func=names.get, width=240,
        )  # fmt: skip
        rule = st.segmented_control(
            "Threshold", AT, default=AT[0], key="errors_at", bind="query-params", required=True,
            format_func=lambda each: THRESHOLD_RULES[each].label,
            help="How the threshold is chosen; the oracle has seen the masks that are scored.",
        )  # fmt: skip
        if rule == "fixed":
            value = st.slider(
                "Background threshold", 0.0, 1.0, DEFAULT_THRESHOLD, 1 / 256, key="errors_t",
                bind="query-params", format="%.3f", width=260,
            )  # fmt: skip
            return name, fixed(value)
    scores = source_scores(selection, name)
    if scores is None:
        return name, None
    choice = choose(rule, scores)
    if choice is None:
        st.caption(
            f":material/info: {THRESHOLD_RULES[rule].label} has no answer here; set a threshold by hand."
        )
    return name, choice


def show_summary(mined: Mined) -> None:
    """The scores that the errors are counted from."""
    metrics = mined.metrics()
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        for name, label in METRIC_LABELS.items():
            st.metric(label, f"{metrics.mean(name):.1%}", width="content")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(card_line(mined.card), width="content")
            protocol_popover([mined.card], key="errors_protocol")


def choose_facet(mined: Mined, dataset: Dataset) -> tuple[list[Slice], str]:
    """Draw how errors are cut and ranked; return the slices and the mean that ranks them."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        facet = st.segmented_control(
            "Slice by", list(FACETS), default="kind", key="errors_facet", bind="query-params", required=True,
            format_func=lambda name: FACETS[name].label,
        )  # fmt: skip
        by = st.segmented_control(
            "Give back", list(METRIC_LABELS), default="iou", key="errors_by", bind="query-params",
            required=True, format_func=METRIC_LABELS.get,
            help="What the mean would gain if every pixel of a slice were right, by the data set's "
            "confusion made anew. Slices share classes, so gains do not add up.",
        )  # fmt: skip
        of_class = st.selectbox(
            "Class", range(dataset.num_classes), key="errors_class", bind="query-params", width=200,
            format_func=lambda label: class_name(dataset.class_names, label) if label else EVERY_CLASS,
            help="The class that was claimed, or where background was, the one that was missed.",
        )  # fmt: skip
    within = {"owner": of_class} if of_class else {}
    return ranked(mined, FACETS[facet], by, within), by


def choose_slice(slices: Sequence[Slice], labels: Mapping[str, str], by: str) -> Slice:
    """Draw the slices as bars and as a table; a click in either shows its images."""
    keys = [each.key for each in slices]
    if st.session_state.get("slice") not in keys:
        st.session_state["slice"] = keys[0]
    bars, table = st.columns([0.45, 0.55], gap="medium")
    with bars:
        st.plotly_chart(
            slice_bars(slices[:MOST_BARS], labels, by, METRIC_LABELS[by]),
            config=CHART_CONFIG,
            key="errors_bars",
            on_select=_take_clicked_bar,
            selection_mode="points",
            alt=f"Slices of errors by the {METRIC_LABELS[by]} that mending them would give back",
        )
    with table:
        points = st.column_config.NumberColumn
        st.dataframe(
            _shown_table(slices, labels),
            hide_index=True,
            placeholder="–",
            key=f"errors_table {by} {keys[0]} {len(keys)}",
            on_select=lambda: _take_clicked_row(f"errors_table {by} {keys[0]} {len(keys)}", keys),
            selection_mode="single-row",
            height=38 + 35 * min(len(slices), MOST_BARS),
            column_config={
                "Slice": st.column_config.TextColumn(pinned=True),
                **{
                    label: points(label, format="%+.2f", help="Points given back")
                    for label in METRIC_LABELS.values()
                },
                "Of all errors": points(format="%.1f%%"),
                "Pixels": points(format="localized"),
                "Co-occurs": points(
                    format="×%.1f",
                    help="How much more of this background lies in images that show the class than in all.",
                ),
            },
            alt="Slices of errors, what mending each gives back, their pixels and images",
        )
        st.caption("Click a row or a bar to see its images.")
    chosen = st.selectbox(
        "Images of", keys, key="slice", bind="query-params", format_func=labels.get, width=520
    )
    return slices[keys.index(chosen)]


@st.fragment
def show_gallery(selection: Selection, name: str, mined: Mined, chosen: Slice) -> None:
    """The slice's images, those with most of its pixels first, a page at a time."""
    kind = KINDS[chosen.where["kind"]]
    square = f'<span style="color:{SIDE_COLOURS[kind.side]}">■</span>'
    st.html(
        f'<div style="font-size:.875rem;opacity:.8">{square} these pixels · faint: other errors · white: '
        f"outlines of the ground truth · {kind.description}</div>"
    )
    page_size = COLUMNS * ROWS
    pages = -(-chosen.images // page_size)
    page = st.pagination(pages, key=f"errors_page {chosen.key}") if pages > 1 else 1
    found = images_of(mined, chosen.where, most=page * page_size)[(page - 1) * page_size :]
    for index, (image_id, pixels) in enumerate(found):
        if index % COLUMNS == 0:
            columns = st.columns(COLUMNS)
        with columns[index % COLUMNS]:
            picture = picture_of(selection, name, mined, chosen.key, image_id)
            if isinstance(picture, str):
                st.warning(picture, icon=":material/broken_image:")
                continue
            st.image(picture, width="stretch")
            with st.container(
                horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
            ):
                st.caption(f"{image_id} · {pixels:,} px", width="content")
                asked = st.button(
                    "Inspect", key=f"inspect {image_id}", type="tertiary", icon=":material/visibility:"
                )
                if asked:
                    # As it was judged here: the same map at the same threshold.
                    inspect_mask(image_id, name, mined.card.threshold)


def show_downloads(mined: Mined, dataset: Dataset) -> None:
    """All slices of all facets, with the protocol card's columns."""
    stem = f"errors-{mined.card.dataset}-{mined.card.split}-{mined.card.source}"

    def table() -> pa.Table:
        return pa.Table.from_pylist(slice_records(mined, dataset.class_names))

    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Download all slices", width="content")
        for label, make, suffix in (
            ("CSV", lambda: csv_bytes(table()), "csv"), ("Parquet", lambda: parquet_bytes(table()), "parquet")
        ):  # fmt: skip
            st.download_button(
                label,
                make,
                f"{stem}.{suffix}",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )
        if mined.skipped:
            first = next(iter(mined.skipped.values()))
            st.caption(f"{len(mined.skipped):,} images were passed over; the first: {first}")


def _shown_table(slices: Sequence[Slice], labels: Mapping[str, str]) -> pa.Table:
    every = sum(each.pixels for each in slices)
    columns: dict[str, list] = {"Slice": [labels[each.key] for each in slices]}
    for name, label in METRIC_LABELS.items():
        columns[label] = [100 * each.gains[name] for each in slices]
    columns["Of all errors"] = [100 * each.pixels / every for each in slices]
    columns["Pixels"] = [each.pixels for each in slices]
    columns["Images"] = [each.images for each in slices]
    if any(not np.isnan(each.lift) for each in slices):
        columns["Co-occurs"] = [each.lift for each in slices]
    return pa.table(columns)


def _take_clicked_bar() -> None:
    key = clicked_slice(st.session_state["errors_bars"])
    if key is not None:
        st.session_state["slice"] = key


def _take_clicked_row(table_key: str, keys: Sequence[str]) -> None:
    rows = st.session_state[table_key]["selection"]["rows"]
    if rows:
        st.session_state["slice"] = keys[rows[0]]


current = current_selection()
opened = require_dataset(current)
require_cams(current)
source_name, chosen_threshold = choose_source(current, opened)
if chosen_threshold is None:
    st.stop()  # what is under way, or missing, is said above
found_errors = mined_errors(current, source_name, chosen_threshold)
if found_errors is None:
    st.stop()
show_summary(found_errors)
all_slices, ranked_by = choose_facet(found_errors, opened)
if not all_slices:
    st.info(
        "No error of this kind: choose another way to slice, or all classes.", icon=":material/check_circle:"
    )
else:
    names_of = {
        each.key: slice_label(each.where, opened.class_names, found_errors.backgrounds.names)
        for each in all_slices
    }
    show_gallery(current, source_name, found_errors, choose_slice(all_slices, names_of, ranked_by))
show_downloads(found_errors, opened)
