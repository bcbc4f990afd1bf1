"""Background jobs that outlive the app: start, watch, cancel, resume.

A job is a command with a run's folder. A supervisor, detached from whoever started it, waits for
the device, runs the command and writes down how it ended:

    job.json        the command and its device                          written by `start`
    state.json      queued, running, or how it ended                    written by the supervisor
    log.txt         what the command prints
    metrics.jsonl   figures and progress, a line each                   written by the command
    lock            held while supervisor or command live               the sign of life
    supervisor.lock held while the supervisor lives
    cancel          there when somebody asked the job to stop

Nothing here trusts a process id alone. What the files say counts only together with the locks: a
state of `running` whose lock is free is a job that died with its machine (`interrupted`).
Locks work on local disks, not on every network file system.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from orandnet_core.errors import JobError
from train import locks
from train.device_queue import check_device
from train.workspace import ROOT, workspace_dir

ALIVE = ("queued", "running", "cancelling")
ENDED = ("succeeded", "failed", "cancelled", "interrupted")
RESUMABLE = ("failed", "cancelled", "interrupted")

# A training step and a checkpoint must fit in between SIGTERM and SIGKILL.
GRACE_S = 90.0

TAIL_BYTES = 256 * 1024


@dataclass(frozen=True)
class JobStatus:
    """How a job stands.

    Attributes:
        state: one of `ALIVE` or `ENDED`.
        device: where it runs or waits to run.
        argv: its command.
        ahead: jobs before it in the device's queue; 0 unless it is queued.
        started_s, ended_s: unix seconds of this try; None where it did not come to that.
        exit_code: of the command; negative for the signal that killed it; None while it is not known.
    """

    state: str
    device: str
    argv: tuple[str, ...]
    ahead: int = 0
    started_s: float | None = None
    ended_s: float | None = None
    exit_code: int | None = None

    @property
    def alive(self) -> bool:
        return self.state in ALIVE

    @property
    def resumable(self) -> bool:
        return self.state in RESUMABLE

    def sentence(self) -> str:
        """The state in words, such as "failed: killed by SIGKILL (out of memory?)"."""
        if self.state == "queued":
            return (
                f"queued on {self.device}, {self.ahead} ahead" if self.ahead else f"queued on {self.device}"
            )
        if self.state == "interrupted":
            return "interrupted: the machine or its supervisor stopped; resume goes on where it was"
        if self.state == "failed" and self.exit_code is not None:
            if self.exit_code < 0:
                hint = " (out of memory?)" if self.exit_code == -signal.SIGKILL else ""
                return f"failed: killed by {signal.Signals(-self.exit_code).name}{hint}"
            return f"failed with exit code {self.exit_code}: see the log"
        return self.state


@dataclass(frozen=True)
class StageProgress:
    """The newest line of a run's `metrics.jsonl`.

    Attributes:
        time_s: when it was written, unix seconds.
        stage: such as `classify-cnn`.
        done, total: items of the stage.
        rate: items per second.
        eta_s: seconds left in the stage; None while that is not known.
    """

    time_s: float
    stage: str
    done: int
    total: int
    rate: float
    eta_s: float | None


def train_command(*words: str | Path) -> list[str]:
    """The command line of `python -m train <words>` with this Python."""
    return [sys.executable, "-m", "train", *map(str, words)]


def start(run_dir: Path, argv: Sequence[str], device: str = "cpu", *, grace_s: float = GRACE_S) -> None:
    """Run a command in the background; it waits its turn on the device, and outlives the caller.

    The command runs in the repository's root at low priority, sees only its device, and counts
    as succeeded when it exits with 0. Asked to stop (SIGTERM) it has `grace_s` seconds to save.
    When this returns, the job is alive: queued or running.

    Args:
        run_dir: the run's folder; made when it is not there. The log of an earlier try is added to.
        device: `cpu`, `mps` or `cuda:<n>`.

    Raises:
        JobError: a job of this run is alive, or the supervisor cannot start.
    """
    if not argv:
        raise JobError(f"{run_dir}: no command to run")
    check_device(device)
    run_dir.mkdir(parents=True, exist_ok=True)
    with _idle(run_dir) as lock:
        job = {"argv": list(argv), "device": device, "grace_s": grace_s, "created_s": time.time()}
        write_json(run_dir / "job.json", job)
        _launch(run_dir, lock)


def resume(run_dir: Path) -> None:
    """Start a run's job again with the same command, which goes on where it was.

    Raises:
        JobError: the run has no job, or it is alive.
    """
    _read_job(run_dir)
    with _idle(run_dir) as lock:
        _launch(run_dir, lock)


def cancel(run_dir: Path, *, at_once: bool = False) -> None:
    """Ask a job to stop: it gets SIGTERM, time to save, and SIGKILL if it does not use it. Does not wait.

    Args:
        at_once: SIGKILL without time to save.

    Raises:
        JobError: the job is not alive.
    """
    found = status(run_dir)
    if not found.alive:
        raise JobError(f"{run_dir.name} is not running ({found.state}): there is nothing to cancel")
    (run_dir / "cancel").write_text("at once" if at_once else "")
    if not locks.is_held(run_dir / "supervisor.lock"):
        _signal_orphan(run_dir, signal.SIGKILL if at_once else signal.SIGTERM)


def status(run_dir: Path) -> JobStatus:
    """How the run's job stands, from its files and locks.

    Raises:
        JobError: the run has no job (a stage run from a shell has none).
    """
    job = _read_job(run_dir)
    # The lock before the state: a job that ends between the two reads has written its end by then.
    held = locks.is_held(run_dir / "lock")
    written = read_json(run_dir / "state.json") or {}
    state, cancelled = written.get("state", "queued"), (run_dir / "cancel").exists()
    if held:
        # Where the end is written but the lock is not free yet, the end is the news.
        state = "cancelling" if cancelled and state not in ENDED else state
    elif state not in ENDED:
        state = "cancelled" if cancelled else "interrupted"
    return JobStatus(
        state=state,
        device=job["device"],
        argv=tuple(job["argv"]),
        ahead=written.get("ahead", 0),
        started_s=written.get("started_s"),
        ended_s=written.get("ended_s"),
        exit_code=written.get("exit_code"),
    )


def has_job(run_dir: Path) -> bool:
    """Whether the run was started as a background job, alive or ended."""
    return (run_dir / "job.json").is_file()


def tail(run_dir: Path, lines: int = 200) -> list[str]:
    """The log's last lines, the newest last; a progress bar's overwritten states are left out."""
    text = _read_tail(run_dir / "log.txt")
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return [line for line in shown if line.strip()][-lines:]


def progress(run_dir: Path) -> StageProgress | None:
    """How far the run is; None before its first line."""
    for line in reversed(_read_tail(run_dir / "metrics.jsonl").split("\n")):
        try:
            row = json.loads(line)
            return StageProgress(
                time_s=row["time"],
                stage=row["stage"],
                done=row["done"],
                total=row["total"],
                rate=row["rate"],
                eta_s=row["eta_s"],
            )
        except (ValueError, KeyError, TypeError):
            continue  # a line that is just being written, or was cut by a crash
    return None


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write atomically: a reader sees the old file or the new one."""
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(values, indent=2))
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where the file is missing or holds something else."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _idle(run_dir: Path) -> IO[bytes]:
    """The run's lock, held: no job of this run is alive and none can start beside ours."""
    try:
        return locks.hold(run_dir / "lock")
    except JobError:
        raise JobError(f"{run_dir.name} is already running: cancel it first, or take another name") from None


def _launch(run_dir: Path, lock: IO[bytes]) -> None:
    """Hand the held lock to a new supervisor; returns when that has put itself into the background."""
    (run_dir / "cancel").unlink(missing_ok=True)
    with (run_dir / "log.txt").open("ab") as log:
        launched = subprocess.run(
            [sys.executable, "-m", "train.supervisor", str(run_dir.absolute()), str(lock.fileno())],
            cwd=ROOT,
            env=os.environ | {"ORANDNET_WORKSPACE": str(workspace_dir())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
        )
    if launched.returncode:
        last = tail(run_dir, lines=1)
        raise JobError(f"{run_dir.name}: its supervisor did not start: {last[-1] if last else 'no word'}")


def _read_job(run_dir: Path) -> dict[str, Any]:
    job = read_json(run_dir / "job.json")
    if job is None or not {"argv", "device", "grace_s"} <= job.keys():
        raise JobError(f"{run_dir}: no job here that can be read (job.json)")
    return job


def _signal_orphan(run_dir: Path, number: signal.Signals) -> None:
    """Signal a command whose supervisor was killed, if the process with its id has the run's lock open."""
    lock = str((run_dir / "lock").resolve())
    try:
        pid = (read_json(run_dir / "state.json") or {})["pid"]
        if lock in (file.path for file in psutil.Process(pid).open_files()):
            os.killpg(pid, number)
    except (KeyError, psutil.Error, ProcessLookupError):
        pass  # it ended by itself in between, or its id is another user's process now


def _read_tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
