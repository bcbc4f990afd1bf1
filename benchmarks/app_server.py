"""The app on a port of its own, for whatever opens it as people do: benchmarks, browser tests, the tour."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from urllib.error import URLError
from urllib.request import urlopen

import psutil

ROOT = Path(__file__).resolve().parent.parent
STARTS_WITHIN_S = 180
_LOOKS_EVERY_S = 0.05


@dataclass
class Served:
    """A running app.

    Attributes:
        url: its address.
        process: of the server.
        peak_mb: the most memory (RSS) that it and its children were seen with while `watched`.
    """

    url: str
    process: psutil.Process
    peak_mb: float = 0.0


@contextmanager
def served(workspace: Path) -> Iterator[Served]:
    """The app on a workspace, for as long as the block runs.

    Raises:
        TimeoutError: it does not answer; the message is the server's log.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log_path = workspace / "server.log"
    with log_path.open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "app.py", "--server.headless", "true",
             "--server.port", str(port), "--server.address", "127.0.0.1"],
            cwd=ROOT, env={**os.environ, "ORANDNET_WORKSPACE": str(workspace)},
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    app = Served(f"http://127.0.0.1:{port}", psutil.Process(server.pid))
    try:
        _wait_until_it_answers(app.url, server, log_path)
        yield app
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextmanager
def watched(app: Served) -> Iterator[None]:
    """Keep `app.peak_mb` while the block runs."""
    over = Event()

    def look() -> None:
        while not over.wait(_LOOKS_EVERY_S):
            app.peak_mb = max(app.peak_mb, _memory_mb(app.process))

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _memory_mb(process: psutil.Process) -> float:
    """The memory (RSS) of a process and its children; 0 once it is gone."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0
    for each in family:
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / (1 << 20)


def _wait_until_it_answers(url: str, server: subprocess.Popen, log_path: Path) -> None:
    give_up = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < give_up and server.poll() is None:
        try:
            with urlopen(f"{url}/_stcore/health", timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError(f"the app did not start:\n{log_path.read_text()}")
