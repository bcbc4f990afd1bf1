"""Background jobs with real processes: every way in which one can end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from orandnet_core.errors import JobError
from tests.conftest import until
from train import jobs, locks
from train.config import override, to_dict
from train.workspace import run_dir

# Says that it runs, goes on until it is stopped, and takes SIGTERM as a request to save.
PATIENT = ["/bin/sh", "-c", "trap 'echo saved; exit 143' TERM; echo ready; while :; do sleep 0.05; done"]
STUBBORN = ["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]


NOTHING_DONE = jobs.StageProgress(time_s=0, stage="", done=0, total=1, rate=0, eta_s=None)


def until_ended(folder: Path, within_s: float = 60.0) -> jobs.JobStatus:
    until(lambda: not locks.is_held(folder / "lock"), within_s)
    return jobs.status(folder)


def until_ready(folder: Path) -> None:
    until(lambda: "ready" in jobs.tail(folder) and "pid" in written(folder))


def written(folder: Path) -> dict:
    return json.loads((folder / "state.json").read_text())


def supervisor_of(folder: Path) -> psutil.Process:
    return psutil.Process(written(folder)["pid"]).parent()


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A workspace of its own; what still lives at the end is killed."""
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "workspace"))
    yield run_dir
    for folder in (tmp_path / "workspace" / "runs").glob("*"):
        if locks.is_held(folder / "lock"):
            jobs.cancel(folder, at_once=True)
            until_ended(folder)


def test_a_job_that_finishes(runs):
    before_s = time.time()
    jobs.start(runs("a"), ["/bin/sh", "-c", "echo working; echo complaint >&2"])
    found = until_ended(runs("a"))
    assert (found.state, found.exit_code, found.alive, found.resumable) == ("succeeded", 0, False, False)
    assert before_s <= found.started_s <= found.ended_s <= time.time()
    assert jobs.tail(runs("a"))[-2:] == ["working", "complaint"]


def test_a_job_that_fails(runs):
    jobs.start(runs("a"), ["/bin/sh", "-c", "echo 'error: no such file' >&2; exit 3"])
    found = until_ended(runs("a"))
    assert (found.state, found.exit_code, found.resumable) == ("failed", 3, True)
    assert found.sentence() == "failed with exit code 3: see the log"
    assert jobs.tail(runs("a"), lines=1) == ["error: no such file"]


def test_a_command_that_does_not_exist(runs):
    jobs.start(runs("a"), ["/no/such/program"])
    found = until_ended(runs("a"))
    assert (found.state, found.exit_code) == ("failed", 127)
    assert "cannot run /no/such/program" in jobs.tail(runs("a"), lines=1)[0]


def test_cancel_gives_time_to_save(runs):
    jobs.start(runs("a"), PATIENT)
    until_ready(runs("a"))
    jobs.cancel(runs("a"))
    found = until_ended(runs("a"))
    assert (found.state, found.exit_code, found.resumable) == ("cancelled", 143, True)
    assert jobs.tail(runs("a"), lines=1) == ["saved"]


def test_who_does_not_stop_in_time_is_killed(runs):
    jobs.start(runs("a"), STUBBORN, grace_s=0.3)
    until_ready(runs("a"))
    jobs.cancel(runs("a"))
    assert jobs.status(runs("a")).state == "cancelling"
    found = until_ended(runs("a"))
    assert (found.state, found.exit_code) == ("cancelled", -signal.SIGKILL)


def test_cancel_at_once_does_not_wait(runs):
    jobs.start(runs("a"), STUBBORN, grace_s=600)
    until_ready(runs("a"))
    jobs.cancel(runs("a"))
    jobs.cancel(runs("a"), at_once=True)
    assert until_ended(runs("a")).state == "cancelled"


def test_what_finishes_although_it_was_asked_to_stop_has_succeeded(runs):
    command = ["/bin/sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"]
    jobs.start(runs("a"), command)
    until_ready(runs("a"))
    jobs.cancel(runs("a"))
    assert until_ended(runs("a")).state == "succeeded"


def test_the_whole_process_group_is_stopped(runs):
    jobs.start(runs("a"), ["/bin/sh", "-c", "sleep 600 & echo child $!; echo ready; wait"])
    until_ready(runs("a"))
    (child,) = (int(line.split()[1]) for line in jobs.tail(runs("a")) if line.startswith("child"))
    jobs.cancel(runs("a"))
    assert until_ended(runs("a")).state == "cancelled"
    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_what_a_finished_command_leaves_behind_is_stopped(runs):
    """It would keep the lock, and the run would seem alive for ever."""
    jobs.start(runs("a"), ["/bin/sh", "-c", "sleep 600 & echo done"])
    assert until_ended(runs("a")).state == "succeeded"


def test_a_killed_command_is_a_failure_with_a_hint(runs):
    jobs.start(runs("a"), PATIENT)
    until_ready(runs("a"))
    os.kill(written(runs("a"))["pid"], signal.SIGKILL)
    found = until_ended(runs("a"))
    assert (found.state, found.exit_code) == ("failed", -signal.SIGKILL)
    assert found.sentence() == "failed: killed by SIGKILL (out of memory?)"


def test_a_killed_supervisor_leaves_a_living_job_that_can_be_cancelled(runs):
    jobs.start(runs("a"), PATIENT)
    until_ready(runs("a"))
    supervisor_of(runs("a")).kill()
    until(lambda: not locks.is_held(runs("a") / "supervisor.lock"))
    assert jobs.status(runs("a")).state == "running"
    with pytest.raises(JobError, match="already running"):
        jobs.resume(runs("a"))
    jobs.cancel(runs("a"))
    assert until_ended(runs("a")).state == "cancelled"
    assert jobs.tail(runs("a"), lines=1) == ["saved"]


def test_supervisor_and_command_killed_is_interrupted(runs):
    jobs.start(runs("a"), PATIENT)
    until_ready(runs("a"))
    supervisor, command = supervisor_of(runs("a")), psutil.Process(written(runs("a"))["pid"])
    supervisor.kill()
    command.kill()
    found = until_ended(runs("a"))
    assert (found.state, found.exit_code, found.resumable) == ("interrupted", None, True)
    assert "resume" in found.sentence()


def test_sigterm_to_the_supervisor_saves_and_is_interrupted(runs):
    """What a machine sends before it goes down."""
    jobs.start(runs("a"), PATIENT)
    until_ready(runs("a"))
    supervisor_of(runs("a")).terminate()
    assert until_ended(runs("a")).state == "interrupted"
    assert jobs.tail(runs("a"), lines=1) == ["saved"]


def test_resume_runs_the_same_command_again(runs):
    script = "if [ -e half ]; then echo second; else touch half; echo first; exit 1; fi"
    runs("a").mkdir(parents=True)
    command = ["/bin/sh", "-c", f"cd {runs('a')} && {script}"]
    jobs.start(runs("a"), command)
    assert until_ended(runs("a")).state == "failed"
    jobs.resume(runs("a"))
    found = until_ended(runs("a"))
    assert (found.state, found.exit_code, found.argv) == ("succeeded", 0, tuple(command))
    shown = [line for line in jobs.tail(runs("a")) if not line.startswith("---")]
    assert shown == ["first", "second"]


def test_resume_after_cancel_is_not_cancelled_again(runs):
    jobs.start(runs("a"), PATIENT)
    until_ready(runs("a"))
    jobs.cancel(runs("a"))
    until_ended(runs("a"))
    jobs.resume(runs("a"))
    until(lambda: jobs.tail(runs("a")).count("ready") == 2)
    until(lambda: jobs.status(runs("a")).state == "running")


def test_a_pid_that_is_another_process_now_is_not_signalled(runs):
    jobs.start(runs("a"), PATIENT)
    until_ready(runs("a"))
    command = psutil.Process(written(runs("a"))["pid"])
    supervisor_of(runs("a")).kill()
    until(lambda: not locks.is_held(runs("a") / "supervisor.lock"))
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        try:
            jobs.write_json(runs("a") / "state.json", written(runs("a")) | {"pid": stranger.pid})
            jobs.cancel(runs("a"), at_once=True)
            time.sleep(0.1)
            assert stranger.poll() is None
        finally:
            stranger.kill()
            command.kill()


def test_a_pid_that_lives_is_no_sign_of_life(runs):
    jobs.start(runs("a"), ["true"])
    until_ended(runs("a"))
    jobs.write_json(runs("a") / "state.json", {"state": "running", "pid": os.getpid()})
    assert jobs.status(runs("a")).state == "interrupted"
    with pytest.raises(JobError, match="not running"):
        jobs.cancel(runs("a"))


def test_one_job_a_device_and_the_rest_in_order(runs, tmp_path):
    go, trace = tmp_path / "go", tmp_path / "trace"
    waits = (
        f"echo ready; while [ ! -e {go} ]; do sleep 0.02; done; echo begin >> {trace}; echo end >> {trace}"
    )
    names = ["a", "b", "c"]
    for name in names:
        jobs.start(runs(name), ["/bin/sh", "-c", f"echo {name} >> {trace}; {waits}"])
    until(lambda: jobs.status(runs("a")).state == "running")
    until(lambda: jobs.status(runs("c")).ahead == 2)
    assert [jobs.status(runs(name)).state for name in names] == ["running", "queued", "queued"]
    assert jobs.status(runs("b")).sentence() == "queued on cpu, 1 ahead"
    go.touch()
    assert [until_ended(runs(name)).state for name in names] == ["succeeded"] * 3
    assert trace.read_text().split() == ["a", "begin", "end", "b", "begin", "end", "c", "begin", "end"]


def test_another_device_does_not_wait(runs):
    jobs.start(runs("a"), PATIENT, "cpu")
    until_ready(runs("a"))
    jobs.start(runs("b"), ["/bin/sh", "-c", "echo sees $CUDA_VISIBLE_DEVICES"], "cuda:0")
    assert until_ended(runs("b")).state == "succeeded"
    assert jobs.tail(runs("b"), lines=1) == ["sees 0"]


def test_a_queued_job_can_be_cancelled_and_its_place_is_free(runs):
    for name in ("a", "b"):
        jobs.start(runs(name), PATIENT)
    jobs.start(runs("c"), ["true"])
    until_ready(runs("a"))
    jobs.cancel(runs("b"))
    found = until_ended(runs("b"))
    assert (found.state, found.started_s) == ("cancelled", None)
    until(lambda: jobs.status(runs("c")).ahead == 1)
    jobs.cancel(runs("a"))
    assert until_ended(runs("c")).state == "succeeded"


def test_an_orphan_keeps_its_device(runs):
    jobs.start(runs("a"), PATIENT)
    until_ready(runs("a"))
    supervisor_of(runs("a")).kill()
    jobs.start(runs("b"), ["true"])
    until(lambda: jobs.status(runs("b")).ahead == 1)
    jobs.cancel(runs("a"))
    assert until_ended(runs("b")).state == "succeeded"


def test_a_living_run_is_not_started_twice(runs):
    jobs.start(runs("a"), PATIENT)
    with pytest.raises(JobError, match="a is already running"):
        jobs.start(runs("a"), ["true"])
    assert list(jobs.status(runs("a")).argv) == PATIENT


def test_a_job_outlives_the_process_that_started_it(runs):
    runs("a").mkdir(parents=True)
    script = (
        "import sys, pathlib; from train import jobs; jobs.start(pathlib.Path(sys.argv[1]), sys.argv[2:])"
    )
    subprocess.run([sys.executable, "-c", script, str(runs("a")), *PATIENT], check=True, timeout=30)
    until_ready(runs("a"))
    assert jobs.status(runs("a")).state == "running"


def test_the_command_gives_way_to_the_app(runs):
    jobs.start(runs("a"), ["/bin/sh", "-c", "nice; echo $OMP_WAIT_POLICY"])
    until_ended(runs("a"))
    nice, policy = jobs.tail(runs("a"), lines=2)
    assert int(nice) >= min(19, os.nice(0) + 10)
    assert policy == "PASSIVE"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"argv": ["x"]}'])
def test_a_broken_job_file_is_said_so(runs, content):
    runs("a").mkdir(parents=True)
    (runs("a") / "job.json").write_text(content)
    with pytest.raises(JobError, match="job.json"):
        jobs.status(runs("a"))


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_broken_state_of_a_dead_job_is_interrupted(runs, content):
    jobs.start(runs("a"), ["true"])
    until_ended(runs("a"))
    (runs("a") / "state.json").write_text(content)
    assert jobs.status(runs("a")).state == "interrupted"


def test_no_command_and_no_device_are_refused(runs):
    with pytest.raises(JobError, match="no command"):
        jobs.start(runs("a"), [])
    with pytest.raises(JobError, match="'../gpu'"):
        jobs.start(runs("a"), ["true"], "../gpu")


@pytest.mark.slow
def test_a_real_training_saves_when_cancelled_and_goes_on_when_resumed(runs, squares, tiny_recipe):
    folder = runs("real")
    folder.mkdir(parents=True)
    config = folder / "recipe.json"
    endless = override(tiny_recipe, {"cnn.epochs": 100_000, "data.root": str(squares.root), "name": "real"})
    config.write_text(json.dumps(to_dict(endless)))
    words = ["classify", "--source", "cnn", "--recipe", config, "--run-dir", folder]
    jobs.start(folder, jobs.train_command(*words))
    until(lambda: (jobs.progress(folder) or NOTHING_DONE).done > 0, within_s=400)
    jobs.cancel(folder)
    found = until_ended(folder, within_s=200)
    assert (found.state, found.exit_code) == ("cancelled", 128 + signal.SIGTERM), jobs.tail(folder)
    said = jobs.tail(folder, lines=1)[0]
    step = int(re.fullmatch(r"classify-cnn: stopped after step (\d+), resumable", said)[1])
    jobs.resume(folder)
    until(lambda: jobs.progress(folder).done > step, within_s=400)
    assert f"resuming at step {step} of" in "\n".join(jobs.tail(folder))


def test_tail_reads_the_end_of_a_long_log_and_no_overwritten_bars(tmp_path):
    assert jobs.tail(tmp_path) == []
    log = tmp_path / "log.txt"
    log.write_bytes(b"x" * jobs.TAIL_BYTES + b"\n10%\r50%\r\xff90%\r\n\nlast\n")
    assert jobs.tail(tmp_path, lines=2) == ["\ufffd90%", "last"]


def test_progress_is_the_newest_whole_line(tmp_path):
    assert jobs.progress(tmp_path) is None
    row = {"time": 5.0, "stage": "cams-cnn", "done": 3, "total": 9, "rate": 2.0, "eta_s": None, "loss": 1}
    lines = [json.dumps(row | {"done": 2}), json.dumps(row), '{"time": 6.0, "sta']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    found = jobs.progress(tmp_path)
    assert found == jobs.StageProgress(time_s=5.0, stage="cams-cnn", done=3, total=9, rate=2.0, eta_s=None)


def test_train_command_uses_this_python():
    assert jobs.train_command("run", "--recipe", Path("x")) == [
        sys.executable, "-m", "train", "run", "--recipe", "x",
    ]  # fmt: skip
