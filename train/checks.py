"""What is looked at before a job starts: its device, its disk, its memory."""

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from train.device_queue import VISIBLE, devices, visible_devices
from train.forecast import duration, free_bytes, size, together
from train.pace import Estimate

BUSY = 1.5  # processes that want a core, for each core
RESERVE_BYTES = 1e9  # left free: logs, and whatever else is on the disk


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: `Time`, `Device`, `Disk` or `Memory`.
        state: `good`, `doubtful` (it may be slow, or is not known) or `bad` (it will fail).
        words: what was found, beside what is needed.
    """

    name: str
    state: str
    words: str


def checks(estimates: Iterable[Estimate | None], run_dir: Path, device: str) -> list[Check]:
    """Look at what a run needs and at what this machine has.

    Args:
        estimates: of its stages; None where one is not known, which makes the rest doubtful.
        run_dir: where it writes; need not exist yet.
        device: such as `cpu` or `cuda:0`.
    """
    estimates = list(estimates)
    need, is_known = together(estimates), None not in estimates
    return [
        _time(need, is_known),
        _device(device, need, is_known),
        _disk(need, is_known, free_bytes(run_dir)),
        _memory(need, is_known),
    ]


def _time(need: Estimate, is_known: bool) -> Check:
    if is_known:
        return Check("Time", "good", f"about {duration(need.seconds)}")
    return Check("Time", "doubtful", "not known yet: no run or rehearsal of these settings on this machine")


def _device(device: str, need: Estimate, is_known: bool) -> Check:
    if device not in devices():
        return Check("Device", "bad", f"there is no {device}: choose {' or '.join(devices())}")
    if device.startswith("cuda:"):
        return _gpu(device, need, is_known)
    cores, load = os.cpu_count() or 1, psutil.getloadavg()[0]
    words = f"{device}, {cores} cores"
    if load > BUSY * cores:
        return Check("Device", "doubtful", f"{words}, busy with other work: it will take longer")
    return Check("Device", "good", words)


def _gpu(device: str, need: Estimate, is_known: bool) -> Check:
    """Compare with what `nvidia-smi` says is free, if it says so."""
    card = visible_devices(device, os.environ.get(VISIBLE))[VISIBLE]
    ask = ["nvidia-smi", f"--id={card}", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(
            [*ask, "--query-gpu=name,memory.free,memory.total"], capture_output=True, text=True, timeout=10
        )
        name, free, total = said.stdout.strip().rsplit(", ", 2)
        free_gb, total_gb = float(free) / 1e3, float(total) / 1e3
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return Check("Device", "doubtful", f"{device}; nvidia-smi does not say how much memory is free")
    words = f"{name}, {free_gb:.0f} of {total_gb:.0f} GB free"
    if need.gpu_memory_gb > total_gb:
        return Check("Device", "bad", f"{words}; needs {need.gpu_memory_gb:.1f} GB: make the batches smaller")
    if need.gpu_memory_gb > free_gb:
        return Check("Device", "doubtful", f"{words}; needs {need.gpu_memory_gb:.1f} GB")
    return Check("Device", "good" if is_known else "doubtful", words)


def _disk(need: Estimate, is_known: bool, free: float) -> Check:
    words = f"{size(free)} free"
    if need.bytes:
        words += f", needs {'' if is_known else 'at least '}{size(need.bytes)}"
    if need.bytes > free:
        return Check("Disk", "bad", f"{words}: make room first")
    if need.bytes + RESERVE_BYTES > free:
        return Check("Disk", "doubtful", f"{words}: that leaves little")
    return Check("Disk", "good" if is_known else "doubtful", words)


def _memory(need: Estimate, is_known: bool) -> Check:
    memory = psutil.virtual_memory()
    available_gb, total_gb = memory.available / 1e9, memory.total / 1e9
    words = f"{available_gb:.1f} of {total_gb:.1f} GB free"
    if need.memory_gb:
        words += f", needs {need.memory_gb:.1f} GB"
    if need.memory_gb > total_gb:
        return Check("Memory", "bad", f"{words}: make the batches or the images smaller")
    if need.memory_gb > available_gb:
        return Check("Memory", "doubtful", f"{words}: close something else first")
    return Check("Memory", "good" if is_known else "doubtful", words)
