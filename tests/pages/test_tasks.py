"""Background tasks: results, progress, cancel, failure, and what is forgotten."""

import threading
import time

import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.errors import DataError
from pages.components import tasks
from pages.components.tasks import Task, TaskBoard, format_left


def test_a_result_is_made_once_for_whoever_asks():
    board, calls = TaskBoard(), []
    tasks = [board.start("same", "Work", lambda report: calls.append(1) or "result") for _ in range(3)]
    assert all(task.wait(5) for task in tasks)
    assert (tasks[2].state, tasks[2].result, len(calls)) == ("done", "result", 1)
    assert board.find("same") is tasks[0]


@pytest.mark.parametrize(
    "stages",
    [
        pytest.param([(0, 5, 10)], id="the first"),
        pytest.param([(0, 100, 100), (90, 95, 100)], id="another, of which an earlier attempt did the most"),
    ],
)
def test_progress_and_time_left_of_a_stage(stages: list[tuple[int, int, int]]):
    go_on, reported = threading.Event(), threading.Event()

    def work(report):
        for begun, reached, total in stages:
            report(begun, total, "adding")
            time.sleep(1.05)
            report(reached, total, "adding")
        reported.set()
        assert go_on.wait(5)

    task = TaskBoard().start("slow", "Work", work)
    assert reported.wait(5)
    _, reached, total = stages[-1]
    assert (task.done, task.total, task.running) == (reached, total, True)
    assert task.doing == "Work: adding"
    assert task.left_s == pytest.approx(1.05, rel=0.5)
    go_on.set()
    assert task.wait(5)
    assert task.left_s is None


def test_what_is_forgotten_is_made_anew():
    board, calls = TaskBoard(), []
    for _ in range(2):
        assert board.start("key", "Work", lambda report: calls.append(1)).wait(5)
        board.forget("key")
    board.forget("never started")
    assert (len(calls), board.find("key")) == (2, None)


def test_a_cancelled_task_stops_at_its_next_report_and_can_start_again():
    board, begun, go_on = TaskBoard(), threading.Event(), threading.Event()

    def work(report):
        begun.set()
        assert go_on.wait(5)
        report(1, 2)
        return "late"

    task = board.start("key", "Work", work)
    assert begun.wait(5)
    task.cancel()
    go_on.set()
    assert task.wait(5)
    assert (task.state, task.result) == ("cancelled", None)
    assert board.start("key", "Work", work) is task
    again = board.start("key", "Work", lambda report: "result", again=True)
    assert again.wait(5)
    assert again.result == "result"


def test_one_that_waits_is_cancelled_without_being_begun():
    board, go_on, begun = TaskBoard(workers=1), threading.Event(), []
    first = board.start("first", "Work", lambda report: go_on.wait(5))
    second = board.start("second", "Work", lambda report: begun.append(1))
    second.cancel()
    go_on.set()
    assert first.wait(5)
    assert second.wait(5)
    assert (second.state, begun) == ("cancelled", [])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DataError("a.png: truncated; save it anew"), "a.png: truncated; save it anew"),
        (KeyError("x"), "KeyError: 'x'"),
    ],
)
def test_a_failure_is_told_and_the_next_task_runs(error: Exception, told: str):
    def work(report):
        raise error

    board = TaskBoard(workers=1)
    failed, next_one = board.start("bad", "Work", work), board.start("good", "Work", lambda report: 1)
    assert failed.wait(5)
    assert next_one.wait(5)
    assert (failed.state, failed.error, next_one.result) == ("failed", told, 1)


def test_only_the_last_results_are_kept_and_none_that_runs_is_dropped():
    board, go_on = TaskBoard(workers=2, kept=3), threading.Event()
    running = board.start("running", "Work", lambda report: go_on.wait(5))
    for number in range(6):
        assert board.start(str(number), "Work", lambda report: None).wait(5)
    assert board.find("running") is running
    assert board.find("0") is None
    assert board.find("5") is not None
    go_on.set()
    assert running.wait(5)


def test_a_task_runs_in_the_thread_that_asks():
    task = Task("key", "Work", lambda report: threading.current_thread())
    task.run()
    assert task.result is threading.current_thread()


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (8.4, "8 s"), (89, "89 s"), (240, "4 min"), (7500, "2 h 05 min")]
)
def test_durations_are_short(seconds: float, text: str):
    assert format_left(seconds) == text


def page():
    import streamlit as st

    from pages.components.tasks import result_or_progress

    flags = st.session_state.get("flags", {})

    def work(report):
        if "kept" not in flags:
            report(0, 2)
        if flags.get("broken"):
            raise ValueError("no")
        flags["deleted"] = False
        return flags.get("made", 42)

    st.session_state["got"] = result_or_progress(
        "page-task",
        "Counting",
        work,
        ask=st.session_state.get("ask"),
        look_first=st.session_state.get("look_first", False),
        is_there=lambda result: not flags.get("deleted"),
    )


@pytest.mark.parametrize("look_first", [False, True])
def test_a_page_asks_before_it_starts_what_is_long(look_first: bool):
    app = AppTest.from_function(page)
    app.session_state["ask"], app.session_state["look_first"] = "Count everything", look_first
    app.run()
    assert [button.label for button in app.button] == ["Count everything"]
    assert app.session_state["got"] is None
    app.button[0].click().run()
    app.run()
    assert app.session_state["got"] == 42


def test_a_page_does_not_ask_for_what_is_kept():
    app = AppTest.from_function(page)
    app.session_state["ask"], app.session_state["look_first"] = "Count everything", True
    app.session_state["flags"] = {"kept": True}
    app.run()
    assert not app.button
    assert app.session_state["got"] == 42


def test_a_page_looks_again_for_what_a_shell_may_have_made_meanwhile(monkeypatch: pytest.MonkeyPatch):
    app = AppTest.from_function(page)
    flags: dict[str, bool] = {}
    app.session_state["ask"], app.session_state["look_first"] = "Count everything", True
    app.session_state["flags"] = flags
    assert [button.label for button in app.run().button] == ["Count everything"]
    flags["kept"] = True
    assert [button.label for button in app.run().button] == ["Count everything"]
    monkeypatch.setattr(tasks, "_LOOK_AGAIN_S", 0.0)
    app.run()
    assert not app.button
    assert app.session_state["got"] == 42


def test_a_page_tells_a_failure_and_offers_to_try_again():
    app = AppTest.from_function(page)
    flags = {"broken": True}
    app.session_state["flags"] = flags
    app.run()
    assert app.error[0].value == "ValueError: no"
    flags["broken"] = False
    app.button[0].click().run()
    app.run()
    assert not app.error
    assert app.session_state["got"] == 42


def test_a_page_makes_anew_what_was_deleted():
    app = AppTest.from_function(page)
    flags = {"made": 1}
    app.session_state["flags"] = flags
    app.run()
    flags.update(made=2)
    assert app.run().session_state["got"] == 1
    flags.update(deleted=True)
    assert app.run().session_state["got"] == 2


def page_that_asks_twice():
    import time

    from pages.components.tasks import result_or_progress

    for _ in range(2):
        result_or_progress("asked twice", "Counting", lambda report: time.sleep(1.5))
        result_or_progress("failed twice", "Adding", lambda report: 1 / 0)


def test_a_page_that_asks_twice_is_told_once():
    app = AppTest.from_function(page_that_asks_twice, default_timeout=20).run()
    assert not app.exception
    assert [button.label for button in app.button] == ["Cancel", "Try again"]
    assert (len(app.progress), len(app.error)) == (1, 1)
