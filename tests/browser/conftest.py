"""The app on a port of its own, and a real browser on it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from orandnet_core.scenes import SCENE_CLASSES
from tests.conftest import ROOT
from tests.pages.workspace import make_networks, make_workspace

STARTS_WITHIN_S = 120


@pytest.fixture(scope="session")
def served_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace that the served app looks at: the sample, its CAMs, two networks."""
    root = tmp_path_factory.mktemp("served")
    make_workspace(root)
    make_networks(root / "runs" / "sample", SCENE_CLASSES)
    return root


@pytest.fixture(scope="session")
def app_url(served_workspace: Path) -> Iterator[str]:
    """The address of a running app."""
    with served(served_workspace) as url:
        yield url


@contextmanager
def served(workspace: Path) -> Iterator[str]:
    """The app on a workspace, for as long as the block runs; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log_path = workspace / "server.log"
    with log_path.open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "app.py", "--server.headless", "true",
             "--server.port", str(port), "--server.address", "127.0.0.1"],
            cwd=ROOT, env={**os.environ, "ORANDNET_WORKSPACE": str(workspace)},
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        _wait_until_it_answers(url, server, log_path)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_until_it_answers(url: str, server: subprocess.Popen, log_path: Path) -> None:
    give_up = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < give_up and server.poll() is None:
        try:
            with urlopen(f"{url}/_stcore/health", timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the app did not start:\n{log_path.read_text()}")
