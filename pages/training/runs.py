"""Runs: every run with its state; one of them in full, with its log; and two of them compared."""

import shutil
from datetime import datetime

import pyarrow as pa
import streamlit as st

from orandnet_core.errors import JobError, OrandnetError
from pages.components import charts, jobs_view
from pages.components.chart_style import CHART_CONFIG
from pages.components.launching import stage_title
from pages.components.run_comparison_view import compare_runs
from pages.components.run_figures import StageFigures, stage_figures
from pages.components.run_pictures import run_pictures
from pages.components.stage_rows import made_with, stage_rows
from train.jobs import JobStatus, read_json
from train.workspace import cam_stores, run_dir, run_names

PAGE_RUNS = 12
POLL_S = 2.0
_TABLE_KEY = "runs_table"


def choose_run(names: list[str]) -> str:
    """Draw the table of runs, a page at a time; return the one that is selected, whose row is marked."""
    pages = -(-len(names) // PAGE_RUNS)
    table_slot = st.container()
    page = st.pagination(pages, key="runs_page") if pages > 1 else 1
    shown = names[(page - 1) * PAGE_RUNS : page * PAGE_RUNS]
    rows = [_row(name) for name in shown]
    # A link names a run; what was selected since then counts more.
    selected = st.session_state.get("runs_selected", st.query_params.get("shown"))
    if selected in names:
        _keep_in_address(selected)
    else:
        running = [row["run"] for row in rows if row["state"] == "running"]
        selected = [*running, *names][0]
    # A row is a number, and a newer run comes above: the mark follows the name.
    marked = [shown.index(selected)] if selected in shown else []
    st.session_state[_TABLE_KEY] = {"selection": {"rows": marked}}
    table_slot.dataframe(
        pa.Table.from_pylist(rows),
        hide_index=True,
        on_select=lambda: _select_row(shown),
        selection_mode="single-row",
        key=_TABLE_KEY,
        column_config={
            "progress": st.column_config.ProgressColumn(
                "Stage's progress", min_value=0, max_value=1, format="percent"
            ),
            "run": "Run",
            "state": "State",
            "recipe": "Recipe",
            "data": "Data set",
            "stage": "Stage",
            "cams": "CAMs of",
            "last": st.column_config.DatetimeColumn("Last word", format="distance"),
        },
        placeholder="",
        alt="Runs with state, recipe, data set, stage and progress",
    )
    return selected


def _select_row(drawn: list[str]) -> None:
    for row in st.session_state[_TABLE_KEY]["selection"]["rows"]:
        st.session_state["runs_selected"] = drawn[row]


def _keep_in_address(name: str) -> None:
    if st.query_params.get("shown") != name:
        st.query_params["shown"] = name


def choose_other(name: str, names: list[str]) -> str | None:
    """Draw the choice of a run to compare with; None while there is none."""
    others = [other for other in names if other != name]
    if not others:
        return None
    other = st.selectbox(
        f"Compare {name} with", others, index=None, key="runs_with", bind="query-params", width=260,
        placeholder="Another run", help="What differs in the recipe, all curves, and what both came to.",
    )  # fmt: skip
    return other if other in others else None


def _row(name: str) -> dict[str, object]:
    folder = run_dir(name)
    status = jobs_view.status_of(name)
    stages = stage_figures(folder)
    config = read_json(folder / "config.json") or {}
    stage, newest = max(stages.items(), key=lambda item: item[1].time_s, default=("", None))
    return {
        "run": name,
        "state": status.sentence() if status else "run from a shell",
        "recipe": config.get("name") or _word_after("--recipe", status),
        "data": _data_name(config) or _word_after("--data", status),
        "stage": stage_title(stage),
        "progress": newest.done / max(newest.total, 1) if newest else None,
        "cams": ", ".join(cam_stores(folder)),
        "last": datetime.fromtimestamp(newest.time_s).astimezone() if newest else None,
    }


def _data_name(config: dict) -> str:
    data = config.get("data", {})
    return data.get("root") or data.get("kind", "")


def _word_after(option: str, status: JobStatus | None) -> str:
    """What a job that has not written its config yet was asked for."""
    words = status.argv if status else ()
    return words[words.index(option) + 1] if option in words else ""


def show_run(name: str) -> None:
    """One run in full; looks again by itself while its job lives."""
    status = jobs_view.status_of(name)
    alive = status is not None and status.alive
    every = POLL_S if alive else None
    st.fragment(_details, run_every=every)(name, alive)
    run_pictures(name)  # not within what polls: pictures move when a person does
    st.fragment(_log, run_every=every)(name)


def _details(name: str, was_alive: bool) -> None:
    status = jobs_view.status_of(name)
    if was_alive != (status is not None and status.alive):
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{name}** {jobs_view.badge(status)}")
        if status is not None:
            jobs_view.draw_actions(name, status, "runs")
        with st.popover("Delete", icon=":material/delete:", type="tertiary", disabled=was_alive):
            st.markdown(f"Deletes `{run_dir(name)}` with its weights, CAMs and log. This cannot be undone.")
            st.button("Delete for good", type="primary", on_click=_delete, args=(name,), key="runs_delete")
    if status is not None:
        jobs_view.draw_progress(name, status)
    stages = stage_figures(run_dir(name))
    left, right = st.columns([0.42, 0.58], gap="large")
    with left:
        _show_stages(name, stages, was_alive)
    with right:
        curves = {stage: figures.curves for stage, figures in stages.items() if figures.curves}
        if curves:
            st.plotly_chart(
                charts.learning_curves({name: curves}),
                config=CHART_CONFIG,
                key="runs_curves",
                alt="Loss and mAP of all the run's trainings against the step",
            )
        else:
            st.caption("Loss and mAP of what this run trains appear here.")


def _log(name: str) -> None:
    status = jobs_view.status_of(name)
    with st.expander("Log", icon=":material/terminal:", expanded=True):
        find = st.text_input(
            "Find in the log", key="runs_find", placeholder="Find: epoch, error, an image…", width=320,
            label_visibility="collapsed", icon=":material/search:",
        )  # fmt: skip
        jobs_view.draw_log(name, find=find.strip())
    if status is not None:
        st.caption(f"On {status.device}: `{' '.join(status.argv[1:])}`")


def _show_stages(name: str, stages: dict[str, StageFigures], alive: bool) -> None:
    rows = stage_rows(run_dir(name), stages, alive=alive)
    table = {"Stage": [row.title for row in rows], "Done": [row.done for row in rows]}
    table |= {"Time": [row.time for row in rows], "": [row.state for row in rows]}
    st.table(table, border="horizontal", hide_index=True)
    for words in made_with(run_dir(name)):
        st.caption(words)


def _delete(name: str) -> None:
    status = jobs_view.status_of(name)
    try:
        if status is not None and status.alive:
            raise JobError(f"{name} is running: cancel it first")
        shutil.rmtree(run_dir(name))
    except (OrandnetError, OSError) as error:
        st.toast(str(error), icon=":material/error:")
    else:
        st.toast(f"Deleted {name}", icon=":material/delete:")


known = run_names()
if not known:
    st.info(
        "Start a recipe with *Launch training* in the sidebar; it goes on when this tab is closed.",
        title="No runs yet",
        icon=":material/rocket_launch:",
    )
    st.stop()
chosen = choose_run(known)
compared_with = choose_other(chosen, known)
if compared_with is not None:
    _keep_in_address(chosen)  # a link to one of two runs would say nothing
    compare_runs(chosen, compared_with)
show_run(chosen)
