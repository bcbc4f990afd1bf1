"""Commands that a page waits for, in processes of their own: they can be stopped, and keep no memory here."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

from orandnet_core.errors import JobError
from train.workspace import ROOT

__all__ = ["run_command"]

_POLL_S = 0.3


def run_command(argv: Sequence[str], watch: Callable[[], None], env: Mapping[str, str] | None = None) -> None:
    """Run a command in the repository's root until it ends.

    Args:
        argv: the command line.
        watch: called while it goes on; what it raises stops the command.
        env: added to this process's environment.

    Raises:
        JobError: it failed; the message is its last word.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(argv, cwd=ROOT, env=os.environ | (env or {}), stdout=said, stderr=said)
        try:
            while process.poll() is None:
                watch()
                time.sleep(_POLL_S)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            said.seek(0)
            raise JobError(said.read().strip().rpartition("\n")[2].removeprefix("error: "))
