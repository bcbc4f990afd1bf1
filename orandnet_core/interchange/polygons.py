"""A region of pixels as polygons that rasterise to exactly that region.

COCO's polygons know no holes: several of one annotation are united. So a region with a hole is cut
by a vertical line through it, and its parts are traced along the edges of their pixels, corner by
corner. Corners lie on whole numbers, where COCO's rasteriser (`pycocotools.mask.frPyObjects`) has
nothing to round.
"""

from collections.abc import Iterator

import cv2
import numpy as np

__all__ = ["polygons_of"]

# Right, down, left, up: clockwise, as y points down. The region lies to the right of the way.
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def polygons_of(region: np.ndarray) -> list[list[int]]:
    """Polygons of a region.

    Args:
        region: (H, W) bool.

    Returns:
        Polygons as [x0, y0, x1, y1, ...] in pixels from the upper left corner, 4 corners or more,
        clockwise; their union covers the region's pixels and no other.
    """
    polygons = []
    waiting = [(region, 0, 0)]
    while waiting:
        crop, left, top = waiting.pop()
        for part, part_left, part_top in _components(crop):
            cut = _column_through_hole(part)
            at_x, at_y = left + part_left, top + part_top
            if cut is None:
                polygons.append([value for x, y in _outline(part) for value in (x + at_x, y + at_y)])
            else:
                waiting += [(part[:, :cut], at_x, at_y), (part[:, cut:], at_x + cut, at_y)]
    return polygons


def _components(region: np.ndarray) -> Iterator[tuple[np.ndarray, int, int]]:
    """The parts whose pixels touch by their sides: each (h, w) bool, with its left and top."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=4)
    for label in range(1, count):
        left, top, width, height, _ = stats[label]
        yield labels[top : top + height, left : left + width] == label, int(left), int(top)


def _column_through_hole(part: np.ndarray) -> int | None:
    """A column that meets a hole, such that a cut before it opens the hole; None without holes."""
    outside = np.pad(~part, 1, constant_values=True).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=8)
    around = labels[0, 0]
    for label in range(1, count):
        if label != around:
            left, width = int(stats[label, cv2.CC_STAT_LEFT]) - 1, int(stats[label, cv2.CC_STAT_WIDTH])
            return left + width // 2
    return None


def _outline(part: np.ndarray) -> Iterator[tuple[int, int]]:
    """The corners (x, y) of a part without holes, clockwise."""
    padded = np.pad(part, 1)
    inner = padded[1:-1, 1:-1]
    # Every side of a pixel that the part ends at, as a way along it from corner to corner.
    ways = (
        (inner & ~padded[:-2, 1:-1], 0, 0),
        (inner & ~padded[1:-1, 2:], 1, 0),
        (inner & ~padded[2:, 1:-1], 1, 1),
        (inner & ~padded[1:-1, :-2], 0, 1),
    )
    leaving: dict[tuple[int, int], list[int]] = {}
    for direction, (ends, dx, dy) in enumerate(ways):
        for y, x in np.argwhere(ends).tolist():
            leaving.setdefault((x + dx, y + dy), []).append(direction)
    corner = start = next(iter(leaving))
    heading = leaving[corner][0]
    first = heading
    while True:
        corner = corner[0] + _STEPS[heading][0], corner[1] + _STEPS[heading][1]
        ahead = leaving[corner]
        # Where two pixels touch by a corner: round the same pixel, not across to the other.
        right = (heading + 1) % 4
        turned = right if right in ahead else ahead[0]
        if turned != heading:
            yield corner
        heading = turned
        if corner == start and heading == first:
            return
