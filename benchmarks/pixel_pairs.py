"""IRN's pairs at the radius of its training: their labels against a loop, their loss against its parts.

The labels of all pairs of one crop are those of a double loop over pixels and offsets. The boundary
loss with its gradient, for a batch of crops, is that of the published code: a table of the pixels of
every path, made beforehand, gathers their scores, the largest is taken, and the pairs of each kind
are summed; autograd goes back through all of it.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.table import Row, seconds_of
from orandnet_core.irn.losses import boundary_loss
from orandnet_core.irn.pairs import PairLabels, half_disc, pair_labels, path_to

CELLS, BATCH, RADIUS, REPEATS = 64, 8, 10, 3  # 64 cells: crops of 256 px


def rows() -> Iterator[Row]:
    torch.set_num_threads(1)
    labels = _labels()
    ours, pairs = seconds_of(lambda: pair_labels(labels[:1], RADIUS), REPEATS)
    theirs, kinds = seconds_of(lambda: by_loop(labels[0].numpy()))
    found = torch.stack((pairs.background, pairs.foreground, pairs.negative))[:, 0]
    same = all(torch.equal(found[kind], torch.from_numpy(kinds == kind)) for kind in range(3))
    size = f"{CELLS} x {CELLS} cells, radius {RADIUS}"
    yield Row(f"labels of all pairs of {size}, against a loop", ours, theirs, same)

    logits = torch.randn(labels.shape, generator=torch.Generator().manual_seed(1))
    pairs = pair_labels(labels, RADIUS)
    tables = path_tables(CELLS, CELLS)
    ours, our_gradient = seconds_of(
        lambda: _gradient(logits, lambda x: boundary_loss(x, pairs, RADIUS)), REPEATS
    )
    theirs, their_gradient = seconds_of(lambda: _gradient(logits, lambda x: by_gathering(x, pairs, tables)))
    same = bool((our_gradient - their_gradient).abs().max() < 1e-3 * their_gradient.abs().max())
    name = f"boundary loss and gradient, {BATCH} crops of {size}, against gathered paths"
    yield Row(name, ours, theirs, same)


def by_loop(labels: np.ndarray) -> np.ndarray:
    """(P, h, w) int8: 0 background, 1 foreground, 2 negative, -1 for what teaches nothing."""
    offsets = half_disc(RADIUS).tolist()
    height, width = labels.shape
    kinds = np.full((len(offsets), height, width), -1, np.int8)
    rows = labels.tolist()
    for p, (dy, dx) in enumerate(offsets):
        for y in range(height - dy):
            for x in range(max(0, -dx), width - max(0, dx)):
                a, b = rows[y][x], rows[y + dy][x + dx]
                if a != 255 and b != 255:
                    kinds[p, y, x] = 2 if a != b else int(a != 0)
    return kinds


def path_tables(height: int, width: int) -> list[tuple[list[int], list[Tensor]]]:
    """For paths of equal length: their offsets, and of each its start pixels and (L, n) pixels, flat."""
    cells = np.arange(height * width).reshape(height, width)
    by_length = defaultdict(lambda: ([], []))
    for p, (dy, dx) in enumerate(half_disc(RADIUS).tolist()):
        ys, xs = slice(0, height - dy), slice(max(0, -dx), width - max(0, dx))
        start = cells[ys, xs].ravel()
        pixels = np.stack([start + y * width + x for y, x in path_to((dy, dx))])
        offsets, tables = by_length[len(pixels)]
        offsets.append(p)
        tables.append((torch.from_numpy(start), torch.from_numpy(pixels)))
    return list(by_length.values())


def by_gathering(logits: Tensor, pairs: PairLabels, tables: list) -> Tensor:
    scores = torch.sigmoid(logits).flatten(1)
    sums, totals = [torch.zeros(()) for _ in range(3)], [0, 0, 0]
    for offsets, paths in tables:
        for p, (start, pixels) in zip(offsets, paths, strict=True):
            affinity = 1 - scores[:, pixels].amax(1)
            for k, kind in enumerate((pairs.foreground, pairs.background, pairs.negative)):
                mine = kind[:, p].flatten(1)[:, start]
                term = torch.log(affinity if k < 2 else 1 - affinity)
                sums[k] = sums[k] - (term * mine).sum()
                totals[k] += mine.sum()
    means = [part / total for part, total in zip(sums, totals, strict=True)]
    return means[0] / 2 + means[1] / 2 + means[2]


def _gradient(logits: Tensor, loss_of) -> Tensor:
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(loss_of(logits), logits)[0]


def _labels() -> Tensor:
    """(B, h, w) uint8: two objects on background, and a band of 255 around each."""
    rng = np.random.default_rng(0)
    labels = np.zeros((BATCH, CELLS, CELLS), np.uint8)
    for label in labels:
        for k in (1, 2):
            side = CELLS // 3
            top, left = rng.integers(3, CELLS - side - 3, 2)
            label[top - 3 : top + side + 3, left - 3 : left + side + 3] = 255
            label[top : top + side, left : left + side] = k
    return torch.from_numpy(labels)
