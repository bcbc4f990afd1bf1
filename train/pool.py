"""Work on many items in processes beside this one; a process that dies takes one item with it, not the rest.

Each process has a pipe of its own and one item at a time: who died says what it died of, whoever is
free takes the next, and when this process ends, in whatever way, the others read the end of their
pipe and end as well.
"""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from orandnet_core.errors import ConfigError
from train.interruption import Interrupted
from train.ranks import own_cores

Item = TypeVar("Item")

# What a process gets to finish the item in hand before it is killed: less than a cancelled job gets.
GRACE_S = 20.0
_READY = "ready for items"
_NONE = object()

# Not `fork`: a forked copy of a process with threads (torch, OpenCV) may hang on a lock that nobody holds.
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Died:
    """A process ended while it worked on an item: killed for its memory, or by a crash in compiled code.

    Attributes:
        exit_code: of the process; -9 is what the kernel does when memory runs out.
    """

    exit_code: int | None

    def __str__(self) -> str:
        return f"its process died with exit code {self.exit_code} (-9: out of memory?)"


def process_count(workers: int) -> int:
    """How many processes `workers` asks for: 0 is one for each of this process's own cores."""
    return workers or own_cores()


def in_processes(
    work: Callable[[Item], Any], items: Sequence[Item], processes: int
) -> Iterator[tuple[Item, Any]]:
    """Yield (item, what `work` returned for it, or `Died`), in the order in which they finish.

    Close the iterator (`contextlib.closing`) to stop early: each process finishes its item first. So
    it does when Ctrl-C or SIGTERM comes.

    Args:
        work: must be picklable, and so must be what it returns; it may not raise.
        items: picklable.
        processes: how many at the same time.

    Raises:
        ConfigError: a process cannot start.
        Interrupted: SIGTERM came.
    """
    waiting = iter(items)
    everyone: list[_Worker] = []
    busy: dict[Connection, _Worker] = {}

    def start(item: Item) -> None:
        worker = _Worker(work)
        everyone.append(worker)
        busy[worker.pipe] = worker
        worker.give(item)

    try:
        with _sigterm_interrupts():
            for item in islice(waiting, processes):
                start(item)
            while busy:
                for pipe in wait(list(busy)):
                    worker = busy[pipe]
                    message = worker.receive()
                    if message == _READY:
                        continue
                    item, following = worker.item, next(waiting, _NONE)
                    if following is _NONE or isinstance(message, Died):
                        del busy[pipe]
                        pipe.close()
                    if following is not _NONE:
                        (start if isinstance(message, Died) else worker.give)(following)
                    yield item, message
    finally:
        for worker in everyone:
            worker.pipe.close()
        for worker in everyone:
            worker.end()


class _Worker:
    """A process, this end of its pipe, and the item in its hands."""

    def __init__(self, work: Callable[[Any], Any]):
        self.pipe, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_serve, args=(theirs, work), daemon=True)
        self.process.start()
        theirs.close()  # else the end of the process would not be the end of the pipe
        self.item: Any = None
        self._ready = False

    def give(self, item: Any) -> None:
        self.item = item
        with suppress(OSError):  # it died meanwhile: `receive` says so
            self.pipe.send(item)

    def receive(self) -> Any:
        """`_READY`, once; then what became of the item: what the work returned, or `Died`."""
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(GRACE_S)
            if self._ready:
                return Died(self.process.exitcode)
            raise ConfigError(
                f"a worker process could not start (exit code {self.process.exitcode}; its own message is "
                "above): work in one process (workers=1), or free some memory"
            ) from None
        self._ready = True
        return message

    def end(self) -> None:
        """Wait until the process, whose pipe is closed, has finished its item and ended."""
        self.process.join(GRACE_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """What a process does: work on what comes until the pipe ends."""
    # A terminal's Ctrl-C and a job's SIGTERM go to all: it is the first process that decides, by the pipe.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    import cv2

    cv2.setNumThreads(1)  # the processes are the threads
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(_READY)
        while True:
            pipe.send(work(pipe.recv()))


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM raises Interrupted in the body; only a main thread can arrange for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise Interrupted("stopped; what was finished is kept, and the same command goes on with the rest")

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
