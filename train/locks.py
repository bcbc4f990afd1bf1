"""A held file lock as the sign of life.

A process id says little: it may be a zombie's, or another program's by now. A lock taken with
`flock` is held for exactly as long as some process has the open file, however that process
ends, and processes that inherit the file hold it too.
"""

import fcntl
import time
from pathlib import Path
from typing import IO

from orandnet_core.errors import JobError

# A reader that probes a lock holds it for an instant, so who wants it for good tries for a while.
PATIENCE_S = 1.0


def hold(path: Path) -> IO[bytes]:
    """Take the lock for as long as the returned file is open, here or in a child that got its descriptor.

    Raises:
        JobError: another process holds it.
    """
    file = path.open("ab")
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > give_up:
                file.close()
                raise JobError(f"{path}: held by another process") from None
            time.sleep(0.02)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
