"""Thesis: does a network get as good as its pseudo-masks are precise? All runs that can say."""

import shlex
from collections.abc import Mapping, Sequence
from functools import partial

import pyarrow as pa
import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.metrics.rank_correlation import LEAST, RankCorrelation
from pages.components import catalog
from pages.components.chart_style import CHART_CONFIG, METRIC_LABELS
from pages.components.comparison import csv_bytes, parquet_bytes
from pages.components.empty import require_dataset
from pages.components.protocol import protocol_popover
from pages.components.selection import Selection, current_selection
from pages.components.sources import store_label
from pages.components.tasks import ask_for_pass, result_or_progress
from pages.components.thesis import (
    Mark,
    Trained,
    correlations,
    mark_table,
    marks_key,
    marks_of,
    mask_sources,
    thesis_chart,
    trained_runs,
)
from train.workspace import run_dir

FEW = 8  # runs: below, a correlation is a hint at most
AS_RECIPE, PLAIN = "as the recipe has it", "one scale"


def choose(found: Sequence[Trained]) -> tuple[str, bool]:
    """Draw the choice of the split that networks were scored on, and whether they predicted at one scale."""
    splits = list(dict.fromkeys(row["split"] for run in found for row in run.scores))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = splits.index("val") if "val" in splits else 0
        split = st.selectbox(
            "Networks scored on", splits, first, key="thesis_split", bind="query-params", width=200
        )
        how = st.segmented_control(
            "Predicted", [AS_RECIPE, PLAIN], default=AS_RECIPE, key="thesis_rule", bind="query-params",
            required=True, help="One scale, not mirrored, for networks whose recipes predict differently.",
        )  # fmt: skip
    return split if split in splits else splits[first], how == PLAIN


def show_correlations(found: dict[str, RankCorrelation], runs: int) -> None:
    """Spearman's for every figure, with how little it may stand on."""
    if runs < LEAST:
        st.caption(
            f":material/info: **{runs} runs** are too few for a rank correlation; it takes {LEAST} to say "
            "anything, and more to mean it."
        )
        return
    hint = "**few: read it as a hint**" if runs < FEW else "one mark a run"
    st.markdown(f"**Rank correlation** with the networks' mIoU, over {runs} runs ({hint})")
    st.table(
        {
            "Of the pseudo-masks": [METRIC_LABELS[metric] for metric in found],
            "Spearman": [
                "–" if each.value != each.value else f"{each.value:+.2f}" for each in found.values()
            ],
            "As strong by chance in": [
                "–" if each.value != each.value else f"{each.by_chance:.1%} of all orders"
                for each in found.values()
            ],
        },
        border="horizontal",
        width="content",
        hide_index=True,
    )
    st.caption(
        "Runs that share their CAMs or their seed are no independent witnesses: count them as fewer. "
        "Intervals in the chart are 95% over images, not over trainings."
    )


def show_table(marks: Sequence[Mark]) -> None:
    table = mark_table(marks)
    columns: dict[str, list] = {
        "run": table["run"].to_pylist(),
        "masks from": [store_label(maps) for maps in table["masks_from"].to_pylist()],
        "curriculum": table["curriculum"].to_pylist(),
        "seed": table["seed"].to_pylist(),
    }
    config: dict[str, object] = {"run": st.column_config.TextColumn("Run", pinned=True)}
    for part, label in (("masks", "Masks"), ("segmentation", "Network")):
        for name, title in (("precision", "precision"), ("recall", "recall"), ("miou", "mIoU")):
            values, low, high = (table[f"{part}_{name}{end}"].to_pylist() for end in ("", "_low", "_high"))
            columns[f"{part}_{name}"] = [100 * value for value in values]
            columns[f"{part}_{name}_95"] = [
                f"{100 * a:.1f} to {100 * b:.1f}" for a, b in zip(low, high, strict=True)
            ]
            config[f"{part}_{name}"] = st.column_config.NumberColumn(f"{label}: {title}", format="%.1f%%")
            config[f"{part}_{name}_95"] = st.column_config.TextColumn("95%", width=96)
    st.dataframe(
        pa.table(columns),
        hide_index=True,
        placeholder="–",
        column_config=config,
        alt="Every run with the scores of both",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Download", width="content")
        for label, make, name in (
            ("Table, CSV", lambda: csv_bytes(table), "thesis.csv"),
            ("Table, Parquet", lambda: parquet_bytes(table), "thesis.parquet"),
        ):
            st.download_button(
                label, make, name, on_click="ignore", type="tertiary", icon=":material/download:"
            )


def how_to_add(selection: Selection, found: Sequence[Trained]) -> str:
    """The commands that make another run, in Markdown: a copy of one that is there, or a first one."""
    if not found:
        sample = selection.dataset.name == catalog.SAMPLE
        words = "scenes" if sample else f"voc12_cpu --data {shlex.quote(str(selection.dataset.root))}"
        return (
            "It takes runs that went all the way: pseudo-masks, a network trained on them, its evaluation. "
            f"*Launch* starts one, and so does a shell:\n\n```sh\npython -m train run {words}\n```"
        )
    folder = shlex.quote(str(run_dir(found[0].run)))
    source = "and" if found[0].maps != "and" else "mean"
    words = f"--recipe {folder}/config.json --run-dir {folder} --source {source} --seeds 1"
    return (
        "Train on other masks of a run, or in another way: what comes before the masks is not made again, "
        f"and every network becomes a run of its own.\n\n```sh\npython -m train study {words}\n```\n\n"
        "More of it: `--source cnn mean walk`, `--curriculum none scale`, `--seeds 3`."
    )


def show_left_out(left_out: Mapping[str, str]) -> None:
    if left_out:
        with st.expander(f"Not shown: {', '.join(left_out)}", icon=":material/visibility_off:"):
            st.markdown("\n".join(f"- **{run}**: {reason}" for run, reason in left_out.items()))


def show(dataset: Dataset, found: Sequence[Trained]) -> None:
    """Charts, correlations and table of all runs that were scored alike."""
    split, plain = choose(found)
    scored = [run for run in found if run.score_on(split, plain)]
    sources = mask_sources(dataset, scored)
    images = sum(len(dataset.image_ids(run.masks_split)) for run in scored)
    marks = result_or_progress(
        marks_key(dataset, scored, sources, split, plain),
        f"Scoring the pseudo-masks of {len(scored)} runs",
        partial(marks_of, dataset, scored, sources, split, plain),
        ask=ask_for_pass(f"Score the pseudo-masks of {len(scored)} runs", images),
        look_first=True,
    )
    if marks is None:
        return
    st.plotly_chart(
        thesis_chart(marks),
        config=CHART_CONFIG,
        key="thesis_chart",
        alt="Precision, recall and mIoU of every run's pseudo-masks against its network's mIoU",
    )
    _caption(marks)
    left, right = st.columns([0.36, 0.64], gap="large")
    with left:
        show_correlations(correlations(marks), len(marks))
    with right:
        show_table(marks)


def _caption(marks: Sequence[Mark]) -> None:
    masks, networks = [mark.masks_card for mark in marks], [mark.segmentation_card for mark in marks]
    masks_on = " and ".join(dict.fromkeys(f"{card.split} ({card.images:,} images)" for card in masks))
    scored_on = " and ".join(dict.fromkeys(f"{card.split} ({card.images:,} images)" for card in networks))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"{masks[0].dataset} · pseudo-masks on {masks_on}, networks on {scored_on} · "
            f"{masks[0].num_classes} classes, means over those with pixels, background included · 95% over "
            "resampled images"
        )
        protocol_popover(masks + networks, key="thesis_protocol")
    if len({card.data_hash for card in masks}) > 1 or len({card.data_hash for card in networks}) > 1:
        st.caption(":material/warning: Not all were scored on the same images: compare with care.")


current = current_selection()
opened_dataset = require_dataset(current)
usable, others = trained_runs(current.dataset, opened_dataset)
if len(usable) < 2:
    have = f"Only **{usable[0].run}** has" if usable else "No run has"
    st.info(
        f"{have} both pseudo-masks and an evaluated network on **{current.dataset.name}**; the charts "
        f"compare runs. {how_to_add(current, usable)}",
        title="It takes two runs",
        icon=":material/scatter_plot:",
    )
if usable:
    show(opened_dataset, usable)
    if len(usable) > 1:
        with st.expander("Add a run", icon=":material/add:"):
            st.markdown(how_to_add(current, usable))
show_left_out(others)
