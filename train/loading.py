"""Loading processes that a cancelled job leaves alone: its signal reaches the whole process group.

The training loop answers SIGTERM by saving after the step that it is in, for which it needs its
loader. A loading process therefore leaves the group, and until it has, holds the signal back.
"""

import os
import signal
from collections.abc import Iterable, Iterator
from typing import Any

from train.ranks import own_cores

MOST = 8


def loading_processes() -> int:
    """How many processes load for this one: one for two of its own cores."""
    return max(1, min(MOST, own_cores() // 2))


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
