"""IRN's random walk, 256 steps for two classes: sums of shifted maps, against powers of the dense matrix.

Theirs is what the published codes share: the matrix of all pairs of cells, squared eight times, times
the maps. At a quarter of 188 x 250 pixels it runs as it is. At a quarter of 375 x 500 it is 26 TFLOP:
there 1/64 of the rows of one squaring are computed, and 512 times their time is given. What they
are times the maps must be two steps of ours. Ours always starts from the boundary map; theirs from a
matrix that is ready.

The memory is the peak that a process of its own adds to what it had. Theirs holds T and a matrix of
the same size for its square, made in place where the codes make copies.
"""

import ctypes
import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.table import Row, seconds_of
from orandnet_core.irn.pairs import half_disc
from orandnet_core.irn.walk import RADIUS, affinities, random_walk

HALF_HW, SIZE_HW, CLASSES = (188, 250), (375, 500), 2
SQUARINGS, SHARE = 8, 64
TOLERANCE = 1e-4
REPEATS = 3
_BALLAST_MB = 256


def rows() -> Iterator[Row]:
    torch.set_num_threads(1)
    yield _as_it_is(*_image(HALF_HW))
    yield _by_a_share(*_image(SIZE_HW))
    ours, theirs = (_in_a_process_of_its_own(kind) for kind in ("ours", "theirs"))
    same = abs(ours["mean"] - theirs["mean"]) < TOLERANCE
    yield Row(f"peak memory, {_name(SIZE_HW)}", ours["peak_mb"], theirs["peak_mb"], same, "MB")


def _as_it_is(maps: Tensor, boundary: Tensor) -> Row:
    ours, walked = seconds_of(lambda: random_walk(maps, boundary), REPEATS)
    matrix, start = _dense(boundary), _start(maps, boundary)
    theirs, powered = seconds_of(lambda: _power(matrix) @ start)
    return Row(_name(HALF_HW), ours, theirs, _same(walked.flatten(1).T, powered))


def _by_a_share(maps: Tensor, boundary: Tensor) -> Row:
    ours, _ = seconds_of(lambda: random_walk(maps, boundary), REPEATS)
    matrix, start = _dense(boundary), _start(maps, boundary)
    few = slice(0, len(matrix) // SHARE)
    seconds, squared = seconds_of(lambda: matrix[few] @ matrix, REPEATS)
    two_steps = random_walk(maps, boundary, steps=2).flatten(1).T
    theirs = seconds * len(matrix) / len(squared) * SQUARINGS
    name = f"{_name(SIZE_HW)} (1/{SHARE} of a squaring measured)"
    return Row(name, ours, theirs, _same(two_steps[few], squared @ start))


def _name(size_hw: tuple[int, int]) -> str:
    return f"random walk of {CLASSES} classes at {size_hw[0]} x {size_hw[1]}, against the dense power"


def _image(size_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Maps (K, h, w) and a boundary map (h, w), both smooth, at a quarter of the size."""
    generator = torch.Generator().manual_seed(0)
    grid = [-(-side // 4) for side in size_hw]
    coarse = torch.rand(1, CLASSES + 1, 7, 9, generator=generator)
    smooth = F.interpolate(coarse, grid, mode="bicubic", align_corners=False)[0].clamp(0, 1)
    return smooth[:CLASSES], smooth[CLASSES] ** 4


def _start(maps: Tensor, boundary: Tensor) -> Tensor:
    return (maps * (1 - boundary)).flatten(1).T


def _dense(boundary: Tensor) -> Tensor:
    """T (n, n), filled offset by offset."""
    height, width = boundary.shape
    cells = torch.arange(height * width).view(height, width)
    matrix = torch.eye(height * width)
    for (dy, dx), weights in zip(half_disc(RADIUS).tolist(), affinities(boundary), strict=True):
        columns = slice(max(-dx, 0), width - max(dx, 0))
        pixel = cells[: height - dy, columns].flatten()
        weights = weights[: height - dy, columns].flatten()
        matrix[pixel, pixel + dy * width + dx] = weights
        matrix[pixel + dy * width + dx, pixel] = weights
    return matrix.div_(matrix.sum(1, keepdim=True))


def _power(matrix: Tensor) -> Tensor:
    for _ in range(SQUARINGS):
        matrix = matrix @ matrix
    return matrix


def _same(ours: Tensor, theirs: Tensor) -> bool:
    return bool((ours - theirs).abs().max() < TOLERANCE)


def _in_a_process_of_its_own(kind: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.random_walk", kind, json.dumps(SIZE_HW)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak_of(kind: str, size_hw: tuple[int, int]) -> dict[str, float]:
    """What a walk adds to this process's peak memory, and the mean score after two of its steps.

    Args:
        kind: `ours`, or `theirs`, which computes a share of one squaring.
    """
    torch.set_num_threads(1)
    random_walk(*_image((40, 40)))  # what any first walk loads
    _dense(_image((40, 40))[1])
    # What ended imports freed goes back to the system, where that can be asked for; otherwise it would
    # be used again unseen. Their peak is then filled up, so that anything new goes beyond it.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim:
        trim(0)
    ballast = np.ones((_BALLAST_MB, 1 << 20), np.uint8)
    maps, boundary = _image(size_hw)
    before = _peak_mb()
    if kind == "ours":
        random_walk(maps, boundary)
        peak = _peak_mb()
        after_two = random_walk(maps, boundary, steps=2).flatten(1).T
    else:
        matrix = _dense(boundary)
        squared = torch.empty_like(matrix).fill_(0)
        few = len(matrix) // SHARE
        torch.mm(matrix[:few], matrix, out=squared[:few])
        peak = _peak_mb()
        after_two = matrix @ (matrix @ _start(maps, boundary))
    return {"peak_mb": peak - before, "mean": after_two.mean().item() + 0 * int(ballast[0, 0])}


def _peak_mb() -> float:
    """Of this process; what `getrusage` says of it on Linux counts its parent's peak in."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << 20 if sys.platform == "darwin" else 1024
    )


if __name__ == "__main__":
    print(json.dumps(peak_of(sys.argv[1], tuple(json.loads(sys.argv[2])))))
