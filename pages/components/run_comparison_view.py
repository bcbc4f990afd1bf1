"""The comparison of two runs on screen: recipe, curves, results."""

from functools import partial

import streamlit as st

from orandnet_core.errors import OrandnetError
from pages.components import catalog, charts, loaders
from pages.components.chart_style import CHART_CONFIG
from pages.components.comparison import csv_bytes
from pages.components.protocol import protocol_popover
from pages.components.run_comparison import (
    config_differences,
    contests,
    outcome_table,
    outcomes,
    outcomes_key,
)
from pages.components.run_figures import stage_figures
from pages.components.tasks import ask_for_pass, result_or_progress
from train.workspace import run_dir

__all__ = ["compare_runs"]


def compare_runs(ours: str, theirs: str) -> None:
    """Draw what differs between two runs, by name."""
    left, right = st.columns([0.4, 0.6], gap="large")
    with left:
        _show_config(ours, theirs)
    with right:
        _show_curves(ours, theirs)
    _show_results(ours, theirs)


def _show_config(ours: str, theirs: str) -> None:
    found = config_differences(run_dir(ours), run_dir(theirs))
    st.markdown("**Recipe**: what differs")
    if not found:
        st.caption("Nothing: both ran the same recipe.")
        return
    st.table(
        {
            "Field": [f"`{path}`" for path, _, _ in found],
            ours: [_code(value) for _, value, _ in found],
            theirs: [_code(value) for _, _, value in found],
        },
        border="horizontal",
        hide_index=True,
    )


def _show_curves(ours: str, theirs: str) -> None:
    runs = {
        name: {stage: each.curves for stage, each in stage_figures(run_dir(name)).items() if each.curves}
        for name in (ours, theirs)
    }
    if not any(runs.values()):
        st.caption("Neither has trained anything yet.")
        return
    st.plotly_chart(
        charts.learning_curves(runs, height=330),
        config=CHART_CONFIG,
        key="runs_both_curves",
        alt=f"Loss and mAP of all training stages of {ours} and {theirs}",
    )


def _show_results(ours: str, theirs: str) -> None:
    st.markdown("**Results**, differences paired over images")
    known = {run.name: run for run in catalog.runs()}
    if not {ours, theirs} <= known.keys():
        st.caption("A run without a config.json has no results yet.")
        return
    refs = [catalog.dataset_of(known[name]) for name in (ours, theirs)]
    if refs[0].root.resolve() != refs[1].root.resolve():
        st.caption(f"They ran on different data: {refs[0].root} and {refs[1].root}.")
        return
    try:
        dataset = loaders.open_dataset_cached(refs[0])
        found = contests(dataset, run_dir(ours), run_dir(theirs))
    except OrandnetError as error:
        st.warning(str(error), icon=":material/folder_off:")
        return
    if not found:
        st.caption("There are no pseudo-masks and no predictions that both have, with ground truth, yet.")
        return
    images = 2 * sum(len(dataset.image_ids(contest.split)) for contest in found)
    made = result_or_progress(
        outcomes_key(dataset, found),
        f"Scoring {ours} and {theirs}",
        partial(outcomes, dataset, found),
        ask=ask_for_pass("Score both", images),
        look_first=True,
    )
    if made is None:
        return
    table = outcome_table(made, ours, theirs)
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        table,
        hide_index=True,
        placeholder="–",
        column_config={
            "what": text("Masks", pinned=True),
            "score": "Score",
            ours: number(ours, format="%.1f%%"),
            f"{ours}: 95%": text("95%", width=96),
            theirs: number(theirs, format="%.1f%%"),
            f"{theirs}: 95%": text("95%", width=96),
            "difference": number(f"{theirs} − {ours}", format="%+.1f"),
            "difference: 95%": text("95%, paired", width=110),
            "sure": st.column_config.CheckboxColumn("Sure", help="The interval leaves zero out."),
        },
        alt=f"Scores of {ours} and {theirs} with paired differences",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            "What the CAMs on the way are worth is on *Compare*, with *Also from runs*. The interval is over "
            "images: another seed may move a network by as much."
        )
        protocol_popover([card for outcome in made for card in outcome.cards], key="runs_protocol")
        st.download_button(
            "CSV",
            lambda: csv_bytes(table),
            f"{ours}-{theirs}.csv",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )


def _code(value: str) -> str:
    return f"`{value}`"
