"""Loading processes that a cancelled job leaves alone: its signal reaches the whole process group.

The training loop answers SIGTERM by saving after the step that it is in, for which it needs its
loader. A loading process therefore leaves the group, and until it has, holds the signal back.
"""

import os
import signal
from collections.abc import Iterable, Iterator
from typing import Any


def loading_processes(ranks: int = 1) -> int:
    """Loading processes of each rank: half the cores, shared."""
    return max(1, min(8, (os.cpu_count() or 2) // (2 * ranks)))


def started(loader: Iterable[Any]) -> Iterator[Any]:
    """`iter(loader)`; no SIGTERM reaches its processes, whose `worker_init_fn` must be `leave_group`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # the processes inherit it
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_group(_: int) -> None:
    """What a loading process does first: it leaves the group, and forgets what came to that before."""
    os.setpgid(0, 0)
    if signal.SIGTERM in signal.sigpending():
        signal.sigwait({signal.SIGTERM})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
