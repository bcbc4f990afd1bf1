"""The process between an app and its job: `python -m train.supervisor RUN_DIR LOCK_FD`.

It keeps the run's lock, waits for the device, runs the command, stops it when it is asked to and
writes down how it ended. The command inherits the locks: were the supervisor killed, the job would
still be seen as alive, would keep its device, and could be cancelled.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from orandnet_core.errors import JobError
from train import locks
from train.device_queue import Ticket, visible_devices
from train.jobs import read_json, write_json
from train.workspace import workspace_dir

POLL_S = 0.2
NICENESS = 10


class Supervisor:
    """One try of one job.

    Args:
        run_dir: holds `job.json`.
        lock_fd: descriptor of the run's lock, which the starting process took and passed on.

    Raises:
        JobError: another supervisor has the run.
    """

    def __init__(self, run_dir: Path, lock_fd: int):
        self.run_dir, self.lock_fd = run_dir, lock_fd
        self.job = read_json(run_dir / "job.json")
        self.own_lock = locks.hold(run_dir / "supervisor.lock")
        self.state: dict[str, object] = {}
        self.terminated = False
        self.note(state="queued")

    def note(self, **changes: object) -> None:
        self.state |= changes
        write_json(self.run_dir / "state.json", self.state)

    def run(self) -> None:
        """Wait, run, and write down the end; SIGTERM to the supervisor stops the job, resumable."""
        signal.signal(signal.SIGTERM, self._terminate)
        device = str(self.job["device"])
        ticket = Ticket(workspace_dir() / "queue" / device.replace(":", "-"), self.run_dir.name)
        if self._wait_for(ticket):
            try:
                exit_code = self._run_command(ticket, device)
            except (OSError, JobError) as error:  # the command does not exist, the GPU neither
                print(f"cannot run {self.job['argv'][0]}: {error}", flush=True)
                exit_code = 127
        else:
            exit_code = None
        self.note(state=self._end(exit_code), exit_code=exit_code, ended_s=time.time(), ahead=0)
        ticket.leave()

    def _wait_for(self, ticket: Ticket) -> bool:
        """True when the device is ours, False when the job was asked to stop first."""
        while not self._asked_to_stop():
            ahead = ticket.ahead()
            if ahead == 0:
                return True
            if ahead != self.state.get("ahead"):
                self.note(ahead=ahead)
            time.sleep(POLL_S)
        return False

    def _run_command(self, ticket: Ticket, device: str) -> int:
        env = os.environ | visible_devices(device, os.environ.get("CUDA_VISIBLE_DEVICES"))
        # PASSIVE: threads that wait must not spin, or the app beside the job gets no processor.
        env |= {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}
        command = [str(word) for word in self.job["argv"]]
        print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} on {device}: {' '.join(command)}", flush=True)
        started_s = time.time()  # before all that the command reports
        child = subprocess.Popen(
            command,
            env=env,
            start_new_session=True,
            pass_fds=(self.lock_fd, ticket.fileno()),
        )
        self.note(state="running", ahead=0, started_s=started_s, pid=child.pid)
        self._watch(child.pid)
        return child.wait()

    def _watch(self, pid: int) -> None:
        """Return when the command has ended, with what it left behind in its process group."""
        asked_at = None
        while not _has_ended(pid):
            if self._asked_to_stop():
                if asked_at is None:
                    asked_at = time.monotonic()
                    _kill_group(pid, signal.SIGTERM)
                if time.monotonic() - asked_at > float(self.job["grace_s"]) or self._at_once():
                    _kill_group(pid, signal.SIGKILL)
            time.sleep(POLL_S)
        # Not reaped yet, so the group's number cannot be another's by now.
        _kill_group(pid, signal.SIGKILL)

    def _end(self, exit_code: int | None) -> str:
        if exit_code == 0:
            return "succeeded"
        if (self.run_dir / "cancel").exists():
            return "cancelled"
        return "interrupted" if self.terminated else "failed"

    def _asked_to_stop(self) -> bool:
        return self.terminated or (self.run_dir / "cancel").exists()

    def _at_once(self) -> bool:
        try:
            return (self.run_dir / "cancel").read_text() == "at once"
        except FileNotFoundError:
            return False

    def _terminate(self, *_: object) -> None:
        self.terminated = True


def _has_ended(pid: int) -> bool:
    """Whether a child has ended; it stays a zombie, for `wait` to reap."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(pid: int, number: signal.Signals) -> None:
    # macOS refuses to signal a group that is all zombies; what has ended needs no signal.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def main() -> int:
    try:
        supervisor = Supervisor(Path(sys.argv[1]), int(sys.argv[2]))
    except JobError as error:
        print(error, flush=True)
        return 1
    # The process that `jobs.start` waits for ends here; its child, which holds the locks, goes on.
    if os.fork():
        return 0
    os.nice(NICENESS)
    supervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
