"""Work that takes longer than a page may: in threads beside the app, with progress, cancel and a result.

A task has a key made from everything that its result depends on. Whoever asks for the same key, in
whichever tab, gets the same task; the last results are kept in memory.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol

import streamlit as st
from streamlit.errors import StreamlitDuplicateElementKey

from orandnet_core.errors import OrandnetError

__all__ = [
    "Report",
    "Task",
    "TaskBoard",
    "ask_for_pass",
    "format_left",
    "result_or_progress",
    "task_board",
]


class Report(Protocol):
    """How work tells of its progress: items done, of how many, and in work of several stages, which it is."""

    def __call__(self, done: int, total: int, stage: str = "") -> None: ...


# A page starts a pass over so many images by itself, and asks before a longer one.
_UNASKED_IMAGES = 2000
# That the disk has nothing is believed for so long: a command in a shell may make it meanwhile.
_LOOK_AGAIN_S = 30.0
_KEPT = 32
_WORKERS = 2
# What is in a cache comes within this time, and a page then shows it without a flicker of progress.
_GRACE_S = 0.25


class _Cancelled(Exception):
    """Raised out of a task's own progress report, which is where it can stop."""


class _NotKept(Exception):
    """Raised out of the first progress report of work that was only looked for: it is still to be done."""


class Task:
    """One piece of work.

    Attributes:
        key: names the result.
        label: what is being done, for screen.
        done, total: items; total is 0 until the work says. Work of several stages counts each anew.
        stage: which of them it is; empty where there is one.
        state: "waiting", "running", "done", "failed", "cancelled"; "not kept" where it was only looked for.
        result: what the work returned; None before.
        error: what went wrong, for screen; None otherwise.
    """

    def __init__(self, key: str, label: str, work: Callable[[Report], Any]):
        self.key, self.label = key, label
        self.done = self.total = 0
        self.stage = ""
        self.state = "waiting"
        self.result: Any = None
        self.error: str | None = None
        self._work = work
        self._began_s, self._began_at = 0.0, 0  # of the stage
        self._ended_s = 0.0
        self._cancelled, self._finished = threading.Event(), threading.Event()

    @property
    def running(self) -> bool:
        """Whether a result may still come."""
        return not self._finished.is_set()

    @property
    def doing(self) -> str:
        """What is being done just now, for screen."""
        return f"{self.label}: {self.stage}" if self.stage else self.label

    @property
    def left_s(self) -> float | None:
        """Seconds left of the stage at its pace so far; None before there is a pace."""
        spent, finished = time.monotonic() - self._began_s, self.done - self._began_at
        if self.state != "running" or finished < 2 or spent < 1:
            return None
        return spent / finished * (self.total - self.done)

    @property
    def looked_long_ago(self) -> bool:
        """Whether it only looked for a result, found none, and should look again."""
        return self.state == "not kept" and time.monotonic() - self._ended_s > _LOOK_AGAIN_S

    def cancel(self) -> None:
        """Ask the work to stop; it does at its next report."""
        self._cancelled.set()

    def wait(self, timeout_s: float) -> bool:
        """Whether it finished, in one way or another, within the time."""
        return self._finished.wait(timeout_s)

    def run(self) -> None:
        """Do the work in this thread."""
        self.state = "running"
        try:
            self._report(0, 0)
            self.result = self._work(self._report)
            self.state = "done"
        except _Cancelled:
            self.state = "cancelled"
        except _NotKept:
            self.state = "not kept"
        except OrandnetError as error:
            self.error, self.state = str(error), "failed"
        except Exception as error:  # a thread's error reaches nobody unless it is kept
            logging.getLogger(__name__).exception("%s failed", self.label)
            self.error, self.state = f"{type(error).__name__}: {error}", "failed"
        finally:
            self._ended_s = time.monotonic()
            self._finished.set()

    def _report(self, done: int, total: int, stage: str = "") -> None:
        if (stage, total) != (self.stage, self.total) or done < self.done:
            # Another stage, of which an earlier attempt may have done a part.
            self._began_s, self._began_at = time.monotonic(), done
        self.done, self.total, self.stage = done, total, stage
        if self._cancelled.is_set():
            raise _Cancelled


class TaskBoard:
    """Runs tasks in order of arrival, a few at a time, and remembers the last ones.

    Args:
        workers: tasks at the same time.
        kept: finished tasks whose results stay in memory.
    """

    def __init__(self, workers: int = _WORKERS, kept: int = _KEPT):
        self._kept, self._lock = kept, threading.Lock()
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._queue: SimpleQueue[Task] = SimpleQueue()
        for _ in range(workers):
            # Daemons: the server stops without waiting for them; files of theirs are written atomically.
            threading.Thread(target=self._serve, daemon=True).start()

    def find(self, key: str) -> Task | None:
        """The task of that key, if it was started and is remembered."""
        with self._lock:
            if key in self._tasks:
                self._tasks.move_to_end(key)
            return self._tasks.get(key)

    def start(self, key: str, label: str, work: Callable[[Report], Any], again: bool = False) -> Task:
        """The task of that key; a new one if there is none.

        Args:
            key: made from everything that the result depends on.
            label: what is being done, for screen.
            work: called with a `Report`, which it calls now and then.
            again: start anew what failed, was cancelled or only looked for.
        """
        with self._lock:
            task = self._tasks.get(key)
            if task is None or (again and task.state in ("failed", "cancelled", "not kept")):
                task = self._tasks[key] = Task(key, label, work)
                self._queue.put(task)
            self._tasks.move_to_end(key)
            finished = [other for other, held in self._tasks.items() if not held.running]
            for other in finished[: max(0, len(self._tasks) - self._kept)]:
                del self._tasks[other]
            return task

    def forget(self, key: str) -> None:
        """Drop a finished task whose result is good no longer: files of it were deleted."""
        with self._lock:
            if key in self._tasks and not self._tasks[key].running:
                del self._tasks[key]

    def _serve(self) -> None:
        while True:
            self._queue.get().run()


@st.cache_resource
def task_board() -> TaskBoard:
    """The board that all tabs share."""
    return TaskBoard()


def result_or_progress(
    key: str,
    label: str,
    work: Callable[[Report], Any],
    *,
    ask: str | None = None,
    look_first: bool = False,
    is_there: Callable[[Any], bool] = lambda result: True,
) -> Any | None:
    """The result of a task; while there is none, its progress is drawn where it is called.

    When the task finishes, the page runs again by itself and gets the result. However often a page asks
    for the same task, its progress is drawn once, where it asked first.

    Args:
        key, label, work: as in `TaskBoard.start`.
        ask: what a button says that starts the task; without it, the task starts at once.
        look_first: before asking, do the work until its first report: what is on disk comes without one, and
            nobody is asked for it. For work that changes nothing before it reports.
        is_there: whether a result that is remembered is still good: files of it may have been deleted.
            One that is not counts as never made.

    Returns:
        The result, or None while it is under way, after it failed, or before it is asked for.
    """
    is_first = _is_first(key)
    board = task_board()
    task = board.find(key)
    if task is not None and (task.looked_long_ago or (task.state == "done" and not is_there(task.result))):
        board.forget(key)
        task = None
    if task is None and (ask is None or look_first):
        task = board.start(key, label, _only_kept(work) if ask else work)
    finished = task is not None and task.wait(_GRACE_S)
    if finished and task.state == "done":
        return task.result
    if not is_first:
        return None
    if task is None or task.state == "not kept":
        start = {"on_click": board.start, "args": (key, label, work, True), "key": f"start-{key}"}
        st.button(ask, icon=":material/play_arrow:", **start)
    elif not finished:
        _progress(key)
    else:
        _what_went_wrong(task)
        st.button("Try again", on_click=board.start, args=(key, label, work, True), key=f"again-{key}")
    return None


def ask_for_pass(what: str, images: int) -> str | None:
    """What a button says that starts a pass over so many images; None where a page need not ask."""
    return f"{what}: {images:,} images" if images > _UNASKED_IMAGES else None


def _only_kept(work: Callable[[Report], Any]) -> Callable[[Report], Any]:
    """Work that ends at its first report, as not kept."""

    def refuse(done: int, total: int, stage: str = "") -> None:
        raise _NotKept

    return lambda report: work(refuse)


def _is_first(key: str) -> bool:
    """Whether this run of the page has not asked for the task before; noted by an empty container.

    Nothing is drawn into it: a progress that a later run has replaced may still send a last picture, and
    a browser fails where the container around it has gone. It takes its place in every case, so that what
    comes after keeps its own.
    """
    try:
        st.container(key=f"task-{key}")
    except StreamlitDuplicateElementKey:
        st.container()
        return False
    return True


def _what_went_wrong(task: Task) -> None:
    if task.state == "failed":
        st.error(task.error, title=f"{task.label} failed", icon=":material/error:")
    else:
        st.caption(f":material/cancel: {task.label}: cancelled. What was finished is kept.")


@st.fragment(run_every=0.5)
def _progress(key: str) -> None:
    task = task_board().find(key)
    if task is None or not task.running:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        share = task.done / task.total if task.total else 0.0
        idle = "waiting for other work" if task.state == "waiting" else "starting"
        count = f"{task.done:,} of {task.total:,}" if task.total else idle
        left = f" · {format_left(task.left_s)} left" if task.left_s is not None else ""
        st.progress(min(share, 1.0), text=f"{task.doing} · {count}{left}")
        st.button("Cancel", on_click=task.cancel, key=f"cancel-{key}")


def format_left(seconds: float) -> str:
    """A duration to read at a glance: `8 s`, `4 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
