"""The sidebar's short form of launching a run: recipe, start, and how the last jobs stand.

Jobs live in processes of their own and say how they stand by files, so what is shown here is the
same in every tab, and after the app was restarted. While one is alive, the panel looks again every
second and a half; when one ends, the whole page runs again, so that its results appear.
"""

import inspect
import time

import streamlit as st

from orandnet_core.errors import OrandnetError
from pages.components import jobs_view, loaders
from pages.components.launching import Launch, fitted_overrides, fitting_recipe
from pages.components.selection import DatasetRef, current_selection
from train import jobs
from train.device_queue import devices
from train.recipes import RECIPES
from train.workspace import run_dir, run_names

_POLL_S = 1.5
_LOOKED_AT = 20  # newest runs; a job that is alive is among them unless many were launched after it
_SHOWN = 3
_NEWS_S = 24 * 3600  # Runs shows older ends


def launch_panel() -> None:
    """Draw *Launch training*: recipe, start, state, progress, log, cancel, resume."""
    alive = any(jobs_view.status_of(run).alive for run in _recent_jobs())
    st.fragment(_panel, run_every=_POLL_S if alive else None)(alive)


def _panel(was_alive: bool) -> None:
    st.markdown("**Launch training**")
    ref = current_selection().dataset
    recipe = st.selectbox(
        "Recipe",
        list(RECIPES),
        list(RECIPES).index(fitting_recipe(ref.kind)),
        key=f"panel_recipe {ref.kind}",
        persist_state="session",
        label_visibility="collapsed",
    )
    st.caption(f"{summary_of(recipe)} On *{ref.name}*.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Start", type="primary", icon=":material/rocket_launch:", key="panel_start",
                  on_click=_start, args=(recipe, ref))  # fmt: skip
        st.page_link("pages/training/launch.py", label="Settings", icon=":material/tune:")
    shown = {run: jobs_view.status_of(run) for run in _recent_jobs()}
    alive = sorted((run for run in shown if shown[run].alive), key=lambda run: shown[run].state == "queued")
    ended = [run for run, status in shown.items() if not status.alive and _is_news(status)]
    for run in (alive + ended[:1])[:_SHOWN]:
        _draw_job(run, shown[run])
    if bool(alive) != was_alive or _ended_since(alive):
        st.rerun()  # from here on polled or no longer; what the job made is there for every page


def summary_of(recipe: str) -> str:
    """The first sentence of a recipe's docstring."""
    return inspect.cleandoc(RECIPES[recipe].__doc__ or recipe).partition("\n\n")[0].replace("\n", " ")


def _draw_job(run: str, status: jobs.JobStatus) -> None:
    with st.container(border=True, gap="small"):
        st.markdown(f"**{run}** {jobs_view.badge(status)}")
        jobs_view.draw_progress(run, status)
        with st.container(horizontal=True):
            jobs_view.draw_actions(run, status, "panel")
            log = st.popover("Log", type="tertiary", key=f"panel-log-{run}", on_change="rerun")
        if log.open:
            with log:
                jobs_view.draw_log(run, lines=40, height=260)


def _start(recipe: str, ref: DatasetRef) -> None:
    try:
        dataset = loaders.open_dataset_cached(ref)
    except OrandnetError:
        dataset = None  # the sample is drawn by the job; of others the job says what is wrong
    try:
        run = Launch(recipe, ref, fitted_overrides(recipe, ref, dataset), device=devices()[0]).start()
    except OrandnetError as error:
        st.toast(str(error), icon=":material/error:")
    else:
        st.toast(f"Started {run}", icon=":material/rocket_launch:")


def _recent_jobs() -> list[str]:
    return [run for run in run_names()[:_LOOKED_AT] if jobs.has_job(run_dir(run))]


def _is_news(status: jobs.JobStatus) -> bool:
    """Whether a job ended lately, or was stopped with the machine and waits to be resumed."""
    return status.ended_s is None or time.time() - status.ended_s < _NEWS_S


def _ended_since(alive: list[str]) -> bool:
    """Whether a job that was alive when this panel last looked is so no longer."""
    before = st.session_state.get("panel_alive", [])
    st.session_state["panel_alive"] = alive
    return not set(before) <= set(alive)
