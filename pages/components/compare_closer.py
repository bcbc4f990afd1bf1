"""Compare's closer looks: is a difference more than chance, how far seeds spread, how many masks to draw."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.labels import class_name
from orandnet_core.metrics import Counts
from orandnet_core.metrics.budget import Budget, budget
from orandnet_core.metrics.paired import Paired, paired
from pages.components import catalog
from pages.components.chart_style import CHART_CONFIG, METRIC_LABELS
from pages.components.comparison import Row, csv_bytes, parquet_bytes
from pages.components.going import inspect_image
from pages.components.insight_charts import SIGNIFICANT, budget_curves, class_differences, spread_table
from pages.components.protocol import card_line, protocol_popover
from pages.components.scores import image_scores, task_key
from pages.components.selection import Selection
from pages.components.tasks import Report, result_or_progress
from train.seeds import seed_groups, seed_of
from train.workspace import run_dir

__all__ = ["show_closer"]

LOOKS = {
    "difference": "Is it more than chance?",
    "budget": "How many masks to draw?",
    "seeds": "Spread over seeds",
}
_MOST_DIFFERENT = 20
_WITHIN = 0.01  # a regret that few would mind: one point


def show_closer(rows: Sequence[Row], whole: Sequence[Row], dataset: Dataset, selection: Selection) -> None:
    """Draw the choice of a closer look, and that look alone.

    Args:
        rows: of the images that pass the filter.
        whole: of all images: how many of them to annotate is not a question about some.
    """
    usable = {row.candidate.label: row for row in rows if row.choice is not None}
    look = st.segmented_control(
        "A closer look", list(LOOKS), key="compare_look", bind="query-params", format_func=LOOKS.get
    )
    if look == "difference":
        _difference(usable, dataset)
    elif look == "budget":
        _budget({row.candidate.label: row for row in whole if row.choice is not None})
    elif look == "seeds":
        _seeds(usable, selection)


def paired_of(one: Row, other: Row) -> Paired | None:
    """Two rows compared on the images that both were scored on."""
    ids = _common(one, other)
    counts = [_only(row.candidate.scores.counts, ids) for row in (one, other)]
    values = (one.choice.value, other.choice.value)
    key = task_key("paired", *(_identity(row) for row in (one, other)))
    return result_or_progress(
        key,
        f"Testing {one.candidate.label} against {other.candidate.label}",
        lambda report: paired(*counts, values),
    )


def paired_table(found: Paired, class_names: Sequence[str]) -> pa.Table:
    """A row a score and class, the means first: fractions."""
    records = []
    for name, test in found.tests.items():
        shared = {"score": name, "images": found.images, "permutations": found.permutations}
        records.append(
            shared
            | {"of": "mean", "difference": test.mean.value, "low": test.mean.low, "high": test.mean.high}
            | {"p": test.p, "p_holm": None}
        )
        for label, value in enumerate(test.per_class):
            if not np.isnan(value):
                of = {"of": class_name(tuple(class_names), label), "difference": float(value)}
                ends = {"low": float(test.low[label]), "high": float(test.high[label])}
                records.append(
                    shared
                    | of
                    | ends
                    | {"p": float(test.p_class[label]), "p_holm": float(test.p_holm[label])}
                )
    return pa.Table.from_pylist(records)


def _difference(usable: Mapping[str, Row], dataset: Dataset) -> None:
    labels = list(usable)
    if len(labels) < 2:
        st.caption("Choose two sources above to test their difference.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        one = st.selectbox("Test", labels, index=len(labels) - 1, key="compare_test", width=220)
        other = st.selectbox("against", labels, key="compare_test_against", width=220)
        metric = st.segmented_control(
            "Per class", list(METRIC_LABELS), default="iou", required=True, key="compare_test_metric",
            format_func=lambda name: {"iou": "IoU"}.get(name, METRIC_LABELS[name]),
        )  # fmt: skip
    if one == other:
        st.caption("Choose two different sources.")
        return
    found = paired_of(usable[one], usable[other])
    if found is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        for name, label in METRIC_LABELS.items():
            test = found.tests[name]
            verdict = "more than chance" if test.p < SIGNIFICANT else "could be chance"
            st.metric(
                f"{label}, {one} − {other}", f"{100 * test.mean.value:+.1f} points",
                f"p {test.p:.4f}: {verdict}", delta_color="off", delta_arrow="off", width="content",
                help=f"95% from {100 * test.mean.low:+.1f} to {100 * test.mean.high:+.1f} points, over "
                "resampled images.",
            )  # fmt: skip
    chart, images = st.columns([0.55, 0.45], gap="medium")
    names = [class_name(dataset.class_names, label) for label in range(dataset.num_classes)]
    with chart:
        st.plotly_chart(
            class_differences(names, found.tests[metric], {"iou": "IoU"}.get(metric, metric)),
            config=CHART_CONFIG,
            key="compare_test_classes",
            alt=f"Difference of {one} to {other} per class with 95% intervals",
        )
        st.caption(
            f"◆ more than chance (p < {SIGNIFICANT}) by Holm for {dataset.num_classes} classes · "
            f"{found.permutations:,} permutations of {found.images:,} images · intervals: 1,000 resamples"
        )
    with images:
        _most_different(usable[one], usable[other], one, other)
    table = paired_table(found, dataset.class_names)
    _downloads(table, f"difference-{one}-{other}", [usable[one], usable[other]])


def _most_different(one: Row, other: Row, first: str, second: str) -> None:
    """The images where two sources differ most; a click opens one."""
    scored = [image_scores(row.candidate.scores, row.choice.value) for row in (one, other)]
    if None in scored:
        return
    by_id = [dict(zip(each.image_ids, each.iou, strict=True)) for each in scored]
    gains = {i: by_id[0][i] - by_id[1][i] for i in by_id[0] if i in by_id[1]}
    gains = {i: gain for i, gain in gains.items() if not np.isnan(gain)}
    ids = sorted(gains, key=lambda i: -abs(gains[i]))[:_MOST_DIFFERENT]

    def open_clicked() -> None:
        rows = st.session_state["compare_most"]["selection"]["rows"]
        if rows:
            inspect_image(ids[rows[0]])

    st.caption("Images where the two differ most; click one to open it in Inspect.")
    percent = st.column_config.NumberColumn(format="%.1f%%")
    st.dataframe(
        pa.table(
            {
                "Image": ids,
                first: [100 * by_id[0][i] for i in ids],
                second: [100 * by_id[1][i] for i in ids],
                "Difference": [100 * gains[i] for i in ids],
            }
        ),
        hide_index=True,
        key="compare_most",
        on_select=open_clicked,
        selection_mode="single-row",
        height=360,
        column_config={
            first: percent,
            second: percent,
            "Difference": st.column_config.NumberColumn(format="%+.1f"),
        },
        alt=f"Images with the largest difference in mIoU between {first} and {second}",
    )


def _budget(usable: Mapping[str, Row]) -> None:
    usable = {label: row for label, row in usable.items() if not row.candidate.scores.of_masks}
    if not usable:
        st.caption("Masks have no threshold that annotated images could choose; compare a source of maps.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.selectbox("Source", list(usable), index=len(usable) - 1, key="compare_budget", width=220)
        fixed_at = st.number_input(
            "Fixed at", 0.0, 1.0, 0.4, 0.01, key="compare_budget_fixed", bind="query-params", width=140
        )
        target = st.number_input(
            "Precision target, %", 1.0, 99.9, None, 0.5, key="compare_budget_target", bind="query-params",
            width=180, placeholder="none",
            help="Adds the rule that keeps to this precision with 95% confidence. Every draw is resampled "
            "for it, which takes a minute or two.",
        )  # fmt: skip
    scores = usable[label].candidate.scores
    if len(scores.counts.image_ids) < 2:
        st.caption("One image to annotate and one to score on are the least.")
        return

    def work(report: Report) -> Budget:
        return budget(
            scores.counts,
            scores.agreement,
            fixed_at=fixed_at,
            target=target and target / 100,
            progress=report,
        )

    card = scores.card
    found = result_or_progress(
        task_key("budget", card.source_hash, card.data_hash, str(card.images), f"{fixed_at} {target}"),
        f"Drawing images for {label}",
        work,
    )
    if found is None:
        return
    st.plotly_chart(
        budget_curves(found), config=CHART_CONFIG, key="compare_budget_curves",
        alt="Regret of each threshold rule against the number of annotated images",
    )  # fmt: skip
    enough = found.enough("calibrated", _WITHIN)
    advice = (
        f"**{enough:,} annotated images** keep *calibrated* within {100 * _WITHIN:.0f} point on average."
        if enough
        else f"With up to {found.sizes[-1]:,} images the mean regret stays above {100 * _WITHIN:.0f} point."
    )
    free = ""
    if "no_labels" in found.regret:
        free = f" Without any mask, *no labels* costs {100 * found.band('no_labels')[0].mean():.1f} points."
    st.caption(
        f"{advice}{free} Thresholds are chosen on the images drawn and scored on the rest; bands hold the "
        f"middle 95% of 100 draws · {card_line(card)}"
    )
    _downloads(_budget_table(found), f"budget-{label}", [usable[label]])


def _budget_table(found: Budget) -> pa.Table:
    records = []
    for rule in found.regret:
        mean, low, high = found.band(rule)
        records += [
            {"rule": rule, "annotated": size, "images": found.images, "metric": found.metric,
             "regret": float(mean[i]), "regret_low": float(low[i]), "regret_high": float(high[i])}
            for i, size in enumerate(found.sizes)
        ]  # fmt: skip
    return pa.Table.from_pylist(records)


def _seeds(usable: Mapping[str, Row], selection: Selection) -> None:
    """Scores over runs that differ in their seed alone, of those that are compared."""
    groups = seed_groups([run.folder for run in catalog.runs_on(selection.dataset)])
    shown = {}
    for group in groups:
        names = {folder.name for folder in group}
        by_source: dict[str, list[Row]] = {}
        for label, row in usable.items():
            source, _, run = label.rpartition(" · ")
            if run in names:
                by_source.setdefault(source, []).append(row)
        seeds = ", ".join(str(seed_of(run_dir(folder.name))) for folder in group)
        shown |= {f"{source} (seeds {seeds})": rows for source, rows in by_source.items() if len(rows) > 1}
    if not shown:
        st.info(
            "No two of the runs compared differ in their seed alone. Start the same recipe again with "
            "`--set seed=1` (or the field *seed* in the settings of *Launch training*), and choose both "
            "under *Also from runs*: training moves a score by about two points by chance.",
            title="No seeds to compare",
            icon=":material/casino:",
        )
        return
    table = pa.table(
        spread_table(
            {
                label: [{name: float(row.metrics.mean(name)) for name in METRIC_LABELS} for row in rows]
                for label, rows in shown.items()
            }
        )
    )
    number = st.column_config.NumberColumn(format="%.1f%%")
    spread = st.column_config.NumberColumn(format="%.2f", help="Standard deviation over seeds, in points")
    st.dataframe(
        table, hide_index=True, placeholder="–",
        column_config=dict.fromkeys(METRIC_LABELS.values(), number)
        | {f"{label} ±": spread for label in METRIC_LABELS.values()},
        alt="Scores over seeds: mean, standard deviation and range",
    )  # fmt: skip
    every = [row for rows in shown.values() for row in rows]
    _downloads(table, "seeds", every)


def _downloads(table: pa.Table, stem: str, rows: Sequence[Row]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Download", width="content")
        for label, make, suffix in (("CSV", csv_bytes, "csv"), ("Parquet", parquet_bytes, "parquet")):
            st.download_button(
                label, partial(make, table), f"{stem}.{suffix}", on_click="ignore", type="tertiary",
                icon=":material/download:", key=f"closer {stem} {suffix}",
            )  # fmt: skip
        protocol_popover([row.card for row in rows], key="compare_closer_protocol")


def _common(one: Row, other: Row) -> tuple[str, ...]:
    """The images that neither threshold has seen and both sources were scored on, in the first's order."""
    ids = one.candidate.scores.counts.image_ids
    for row in (one, other):
        if row.choice.rule == "calibrated":
            ids = row.choice.unseen(ids)
    there = set(other.candidate.scores.counts.image_ids)
    return tuple(image_id for image_id in ids if image_id in there)


def _only(counts: Counts, ids: tuple[str, ...]) -> Counts:
    return counts if tuple(counts.image_ids) == ids else counts.select(ids)


def _identity(row: Row) -> str:
    card = row.candidate.scores.card
    return f"{card.source_hash} {card.data_hash} {card.images} {row.choice.value} {row.choice.chosen_on}"
