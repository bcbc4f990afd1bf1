"""One job a device: the others wait in the order in which they came."""

import fcntl
import os
import platform
import re
from itertools import takewhile
from pathlib import Path
from typing import IO

from orandnet_core.errors import JobError
from train import locks

DEVICE = re.compile(r"cpu|mps|cuda:\d+")
DEVICE_FILES = Path("/dev")
VISIBLE = "CUDA_VISIBLE_DEVICES"


class Ticket:
    """A place in a device's queue.

    Tickets are numbered files, each locked by who drew it. A job may run when no ticket before
    its own is held: so a place is given up by whatever ends its holder, and a child that
    inherits the ticket keeps the device even where its supervisor is killed.

    Args:
        folder: the queue's folder, one a device.
        name: who waits, for people who look into the folder.
    """

    def __init__(self, folder: Path, name: str):
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        with self._mutex():
            self._number = 1 + max((_number(path) for path in self._paths()), default=0)
            self._file = locks.hold(folder / f"{self._number:06d}-{name}")

    def fileno(self) -> int:
        """The descriptor to hand to a child, which then holds the place too."""
        return self._file.fileno()

    def ahead(self) -> int:
        """How many living jobs are before this one; 0 means that the device is ours."""
        with self._mutex():
            before = [path for path in self._paths() if _number(path) < self._number]
            living = [path for path in before if locks.is_held(path)]
            for path in set(before) - set(living):
                path.unlink(missing_ok=True)
        return len(living)

    def leave(self) -> None:
        """Give the place up (a child that still lives keeps it)."""
        self._file.close()

    def _paths(self) -> list[Path]:
        return list(self._folder.glob("[0-9]*-*"))

    def _mutex(self) -> IO[bytes]:
        file = (self._folder / "mutex").open("ab")
        fcntl.flock(file, fcntl.LOCK_EX)
        return file


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])


def devices() -> list[str]:
    """What a job can run on, the fastest first; found without importing torch."""
    cards = len(list(DEVICE_FILES.glob("nvidia[0-9]*")))
    names = _visible_names(os.environ.get(VISIBLE), cards) if cards else []
    found = [f"cuda:{index}" for index in range(len(names))]
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        found.append("mps")
    return [*found, "cpu"]


def check_device(device: str) -> str:
    """The device's name as it is.

    Raises:
        JobError: no name of a device.
    """
    if not DEVICE.fullmatch(device):
        raise JobError(f"device {device!r}: name cpu, mps or one GPU such as cuda:0")
    return device


def visible_devices(device: str, visible: str | None) -> dict[str, str]:
    """The environment in which a child sees its own device and no other.

    Args:
        device: `cpu`, `mps` or `cuda:<n>`, n counted among those visible here.
        visible: CUDA_VISIBLE_DEVICES as it is here; None where it is not set, which shows all.

    Raises:
        JobError: there is no n-th GPU among those that are visible.
    """
    if not device.startswith("cuda:"):
        return {VISIBLE: ""}
    index = int(device.removeprefix("cuda:"))
    names = _visible_names(visible, index + 1)
    if index >= len(names):
        raise JobError(f"device {device}: {VISIBLE}={visible} shows {len(names)} GPUs")
    return {VISIBLE: names[index]}


def _visible_names(visible: str | None, cards: int) -> list[str]:
    """What CUDA calls each visible GPU, a number or an id; a negative one ends its list."""
    if visible is None:
        return [str(card) for card in range(cards)]
    names = (name.strip() for name in visible.split(",") if name.strip())
    return list(takewhile(lambda name: not name.startswith("-"), names))
