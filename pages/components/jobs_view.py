"""How a run's job stands, on screen: state, progress with time left, log, and what can be done to it."""

import time

import streamlit as st

from orandnet_core.errors import OrandnetError
from pages.components.launching import STAGES, stage_title
from pages.components.tasks import format_left
from train import jobs
from train.jobs import JobStatus, StageProgress
from train.stages import stage_of
from train.workspace import run_dir

_BADGES = {
    "queued": ("hourglass_empty", "gray"),
    "running": ("play_circle", "blue"),
    "cancelling": ("cancel", "orange"),
    "succeeded": ("check_circle", "green"),
    "failed": ("error", "red"),
    "cancelled": ("cancel", "gray"),
    "interrupted": ("power_off", "orange"),
}
LOG_LINES = 200
MOST_LINES = 10_000  # that are searched
_LINE_PX = 24


def status_of(run: str) -> JobStatus | None:
    """How the run's job stands; None where it was run from a shell."""
    try:
        return jobs.status(run_dir(run))
    except OrandnetError:
        return None


def badge(status: JobStatus | None) -> str:
    """The state as Markdown, in a colour and with an icon of its own."""
    if status is None:
        return ":gray-badge[:material/terminal: from a shell]"
    icon, colour = _BADGES[status.state]
    return f":{colour}-badge[:material/{icon}: {status.state}]"


def draw_progress(run: str, status: JobStatus) -> None:
    """A bar for the present stage while the job lives; one line on its end afterwards."""
    if status.state == "succeeded":
        spent = f" after {format_left(status.ended_s - status.started_s)}" if status.started_s else ""
        st.caption(f"finished{spent}, {_ago(status.ended_s)}")
        return
    if not status.alive:
        st.caption(status.sentence())
        return
    if status.state == "queued":
        st.caption(status.sentence())
        return
    progress = jobs.progress(run_dir(run))
    if progress is None or (status.started_s and progress.time_s < status.started_s):
        st.progress(0.0, text="Starting")
        return
    st.progress(min(progress.done / max(progress.total, 1), 1.0), text=progress_text(progress))


def progress_text(progress: StageProgress) -> str:
    """A stage in one line: `Train the ViT (2 of 4) · 120 of 480 · 3 min left`."""
    stage = stage_of(progress.stage.partition(" ")[0])
    place = f" ({STAGES.index(stage.name) + 1} of {len(STAGES)})" if stage else ""
    left = f" · {format_left(progress.eta_s)} left" if progress.eta_s is not None else ""
    return f"{stage_title(progress.stage)}{place} · {progress.done:,} of {progress.total:,}{left}"


def draw_actions(run: str, status: JobStatus, place: str) -> None:
    """Cancel what lives, resume what stopped short.

    Args:
        run, status: the job.
        place: where this is drawn; keys of buttons differ by it.
    """
    if status.state == "cancelling":
        st.button("Stop at once", on_click=_act, args=(jobs.cancel, run), kwargs={"at_once": True},
                  key=f"kill-{place}-{run}", help="Kills it without time to save.")  # fmt: skip
    elif status.alive:
        st.button("Cancel", icon=":material/stop:", on_click=_act, args=(jobs.cancel, run),
                  key=f"stop-{place}-{run}", help="It saves first, and can be resumed.")  # fmt: skip
    elif status.resumable:
        st.button("Resume", icon=":material/replay:", on_click=_act, args=(jobs.resume, run),
                  key=f"resume-{place}-{run}", help="Goes on where it was.")  # fmt: skip


def draw_log(run: str, lines: int = LOG_LINES, height: int = 320, find: str = "") -> None:
    """The end of the log in no more than `height` pixels, the newest line in sight.

    Args:
        find: show the lines with these letters alone, however long ago they were printed.
    """
    if find:
        text = jobs.tail(run_dir(run), MOST_LINES)
        found = [line for line in text if find.casefold() in line.casefold()]
        st.caption(f"{len(found):,} of the log's last {len(text):,} lines contain “{find}”")
        text = found
        if not text:
            return
    else:
        text = jobs.tail(run_dir(run), lines)
    scrolls = len(text) * _LINE_PX > height
    with st.container(height=height if scrolls else "content", autoscroll=True, border=False):
        st.code("\n".join(text) or "Nothing printed yet.", language=None, wrap_lines=True)


def _act(action, run: str, **options: bool) -> None:
    try:
        action(run_dir(run), **options)
    except OrandnetError as error:  # it ended, or was resumed in another tab, in between
        st.toast(str(error), icon=":material/error:")


def _ago(time_s: float) -> str:
    passed = time.time() - time_s
    return "just now" if passed < 60 else f"{format_left(passed)} ago" if passed < 86_400 else "days ago"
