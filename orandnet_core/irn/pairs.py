"""Pairs of near pixels: which there are, how they are labelled, and what lies between them.

A pair is a pixel and one of the offsets of half a disc, so that each pair is met once. What
belongs to all pairs of a grid is (B, P, h, w): the entry [b, p, y, x] belongs to the pixel
(y, x) and its partner (y, x) + offset p. A partner may lie outside the grid.

Source: Ahn, Cho and Kwak, "Weakly Supervised Learning of Instance Segmentation with Inter-pixel
Relations", CVPR 2019, section 4.2 (pairs and their labels) and equation 4 (paths).

Shape legend: B images, P offsets, (h, w) the grid of the boundary map, a quarter of the image.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from orandnet_core.errors import RangeError
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX

Offset = tuple[int, int]


@dataclass(frozen=True)
class PairLabels:
    """Which pairs teach what; each (B, P, h, w) bool, and no pair is in two of them.

    Attributes:
        foreground: both pixels are of the same foreground class.
        background: both are background.
        negative: their labels differ.
    """

    foreground: Tensor
    background: Tensor
    negative: Tensor


@cache
def half_disc(radius: int) -> np.ndarray:
    """The offsets nearer than `radius` whose partner comes later in reading order.

    Returns:
        (P, 2) int64 rows (dy, dx) in reading order: 34 for radius 5, 152 for radius 10. Read-only.

    Raises:
        RangeError: the radius leaves no offset.
    """
    if radius < 2:
        raise RangeError(f"radius {radius}: from 2 on a pixel has neighbours")
    dy, dx = np.mgrid[0:radius, 1 - radius : radius]
    later = (dy > 0) | (dx > 0)
    offsets = np.stack([dy, dx], -1)[later & (dy**2 + dx**2 < radius**2)]
    offsets.setflags(write=False)
    return offsets


def path_to(offset: Offset) -> list[Offset]:
    """The pixels between a pixel and its partner, both included, relative to the pixel.

    Those of their bounding box whose centre is less than a pixel from the line. A boundary of
    one pixel's width that touches itself only at corners therefore has no gap for a path.
    """
    dy, dx = offset
    box = ((y, x) for y in range(dy + 1) for x in range(min(dx, 0), max(dx, 0) + 1))
    return [(y, x) for y, x in box if (dy * x - dx * y) ** 2 < dy**2 + dx**2]


def pair_labels(labels: Tensor, radius: int) -> PairLabels:
    """Label all pairs of a grid.

    Args:
        labels: (B, h, w) uint8: 0 background, classes, 255 unknown. A pair with an unknown
            pixel, or with one outside the grid, is in none of the three.
        radius: of the disc, in cells of the grid.
    """
    partners = at_partners(labels, radius, fill=IGNORE_INDEX)
    labels = labels[:, None]
    known = (labels != IGNORE_INDEX) & (partners != IGNORE_INDEX)
    same = known & (labels == partners)
    background = same & (labels == BACKGROUND)
    return PairLabels(foreground=same & ~background, background=background, negative=known & ~same)


def at_partners(values: Tensor, radius: int, fill: float) -> Tensor:
    """Every partner's value: (..., h, w) -> (..., P, h, w), `fill` where it lies outside the grid."""
    height, width = values.shape[-2:]
    margin = radius - 1
    padded = F.pad(values, (margin, margin, 0, margin), value=fill)
    each = [
        padded[..., dy : dy + height, margin + dx : margin + dx + width]
        for dy, dx in half_disc(radius).tolist()
    ]
    return torch.stack(each, -3)


@torch.no_grad()
def path_maximum(values: Tensor, radius: int, outside: float = math.inf) -> Tensor:
    """The largest value on the path of every pair.

    A path is the union of shorter ones, so that each offset costs a comparison or two: 34
    instead of 208 for radius 5, 224 instead of 1,982 for radius 10.

    Args:
        values: (B, h, w); no gradient flows back to them.
        outside: no smaller than any value; what lies outside the grid has it.

    Returns:
        (B, P, h, w) of the same type; `outside` where the partner lies outside the grid.
    """
    count, height, width = values.shape
    margin = radius - 1
    place = {(0, 0): 0} | {(dy, dx): 1 + p for p, (dy, dx) in enumerate(half_disc(radius).tolist())}
    largest = values.new_full((len(place), count, height + margin, width + 2 * margin), outside)

    def inside(offset: Offset, shift: Offset = (0, 0)) -> Tensor:
        top, left = shift[0], margin + shift[1]
        return largest[place[offset], :, top : top + height, left : left + width]

    inside((0, 0)).copy_(values)
    for offset, parts in _unions(radius):
        target = inside(offset).copy_(inside(*parts[0]))
        for part in parts[1:]:
            torch.maximum(target, inside(*part), out=target)
    return largest[1:, :, :height, margin : margin + width].transpose(0, 1)


@cache
def _unions(radius: int) -> tuple[tuple[Offset, tuple[tuple[Offset, Offset], ...]], ...]:
    """For every offset the shorter paths that make up its path, as (offset, shift), shortest first.

    A shorter path begins where the path begins or ends where it ends; single pixels, the paths
    of offset (0, 0), fill what is left. Greedily the one that covers most is taken. Sets of
    pixels are the bits of an integer, and a shift of the set is one of the bits.
    """
    row = 8 * radius  # so long that no shift takes a pixel into another row

    def bit(pixel: Offset) -> int:
        return 1 << (pixel[0] * row + pixel[1] + row // 2)

    def shifted(pixels: int, shift: Offset) -> int:
        by = shift[0] * row + shift[1]
        return pixels << by if by >= 0 else pixels >> -by

    offsets = [(dy, dx) for dy, dx in half_disc(radius).tolist()]
    path = {(0, 0): bit((0, 0))} | {offset: sum(map(bit, path_to(offset))) for offset in offsets}
    unions = []
    for offset in sorted(offsets, key=lambda offset: path[offset].bit_count()):
        shorter = [other for other in path if path[other].bit_count() < path[offset].bit_count()]
        ends = [
            (other, (offset[0] - other[0], offset[1] - other[1]))
            for other in shorter
            if other[0] <= offset[0]
        ]
        pixels = [((0, 0), pixel) for pixel in path_to(offset)]
        inside = {
            part: covered
            for part in [*((other, (0, 0)) for other in shorter), *ends, *pixels]
            if not (covered := shifted(path[part[0]], part[1])) & ~path[offset]
        }
        left, parts = path[offset], []
        while left:
            best = max(inside, key=lambda part: (inside[part] & left).bit_count())
            parts.append(best)
            left &= ~inside[best]
        unions.append((offset, tuple(parts)))
    return tuple(unions)
