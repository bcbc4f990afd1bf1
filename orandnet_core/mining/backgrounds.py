"""A vocabulary of backgrounds: what lies where no object is, by colour, edges and height in the image.

A photo is cut into cells of a sixteenth of its longer side, at least a pixel. A cell's background
pixels give nine numbers (colour in CIELAB, its spread, the strength of edges in four directions, the
height); the cells of a sample of the data set are clustered by k-means, and each cluster is one
*background* of the data set, named by what its centre looks like. The vocabulary comes from photos and
ground truth alone, so that errors of different sources fall into the same backgrounds.

Shapes: H x W pixels, N cells, F = 9 features, B backgrounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from orandnet_core.errors import DataError
from orandnet_core.labels import BACKGROUND

__all__ = ["NO_BACKGROUND", "Backgrounds", "background_cells", "cell_features", "learn_backgrounds"]

Array = np.ndarray

NO_BACKGROUND = 255  # of pixels that are not background
CELLS = 16  # along the longer side
COUNT = 20
_LIGHTNESS, _A, _B, _SPREAD, _ACROSS, _UP, _RISING, _FALLING, _HEIGHT = range(9)
# Colour and edges decide; where in the image a background lies only helps.
_WEIGHTS = np.array([1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
_ROUNDS = 30
_LEAST_SHARE = 0.1  # of a cell that must be background before its features say anything


@dataclass(frozen=True)
class Backgrounds:
    """The backgrounds of a data set.

    Attributes:
        centres: (B, F) the mean features of each; F as `cell_features` orders them.
        scale: (F,) what one unit of difference is in each feature.
    """

    centres: Array
    scale: Array

    def of_pixels(self, photo: Array, target: Array) -> Array:
        """(H, W) uint8: the background of every pixel whose ground truth is background, else 255."""
        features, cells, _ = cell_features(photo, target == BACKGROUND)
        nearest = self.nearest(features).astype(np.uint8)
        return np.where(target == BACKGROUND, nearest[cells], np.uint8(NO_BACKGROUND))

    def nearest(self, features: Array) -> Array:
        """(N,) the background that each cell's features (N, F) are nearest to."""
        return _nearest(features / self.scale, self.centres / self.scale)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A name for each, all different: `grey, horizontal lines, low`."""
        edges = self.centres[:, _ACROSS : _FALLING + 1].mean(axis=1)
        calm, busy = np.quantile(edges, (1 / 3, 2 / 3))
        given = [_name(centre, calm, busy) for centre in self.centres]
        return tuple(
            name if given.count(name) == 1 else f"{name} ({given[: index + 1].count(name)})"
            for index, name in enumerate(given)
        )


def cell_features(photo: Array, counted: Array) -> tuple[Array, Array, Array]:
    """What the counted pixels of every cell of a photo look like.

    Args:
        photo: (H, W, 3) uint8 RGB.
        counted: (H, W) bool.

    Returns:
        features: (N, 9) float: lightness, a and b of CIELAB in hundredths; spread of lightness; mean
            strength of edges across, up, and along both diagonals; height of the cell in the image, 0
            at the top and 1 at the bottom. 0 for a cell without counted pixels.
        cells: (H, W) int64, the cell of every pixel.
        shares: (N,) the counted share of each cell.
    """
    height, width = counted.shape
    longer = max(height, width)
    rows, columns = (min(side, max(1, round(CELLS * side / longer))) for side in (height, width))
    row_of, column_of = np.arange(height) * rows // height, np.arange(width) * columns // width
    cells = row_of[:, None] * columns + column_of
    weights = counted.astype(np.float32)

    lab = cv2.cvtColor(photo.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100
    lightness = np.ascontiguousarray(lab[..., 0])
    across = cv2.Sobel(lightness, cv2.CV_32F, 1, 0)
    up = cv2.Sobel(lightness, cv2.CV_32F, 0, 1)
    edges = [across, up, (across + up) * np.sqrt(0.5), (across - up) * np.sqrt(0.5)]
    heights = np.broadcast_to(np.linspace(0, 1, height, dtype=np.float32)[:, None], counted.shape)
    values = [lightness, lab[..., 1], lab[..., 2], lightness**2, *map(np.abs, edges), heights]

    def per_cell(values: Array) -> Array:
        return np.bincount(cells.ravel(), values.ravel(), minlength=rows * columns)

    pixels = per_cell(weights)
    sums = np.stack([per_cell(weights * each) for each in values], axis=1)
    features = sums / np.maximum(pixels, 1)[:, None]
    features[:, _SPREAD] = np.sqrt(np.maximum(features[:, _SPREAD] - features[:, _LIGHTNESS] ** 2, 0))
    return features, cells, pixels / np.bincount(cells.ravel(), minlength=rows * columns)


def learn_backgrounds(images: Sequence[Array], count: int = COUNT) -> Backgrounds:
    """Cluster the background cells of some images; the same images give the same backgrounds.

    Args:
        images: features (N, F) of the cells of each image, as `background_cells` gives them.
        count: how many backgrounds, at most as many as there are cells.

    Raises:
        DataError: no image has any background.
    """
    features = np.concatenate([np.zeros((0, len(_WEIGHTS))), *images])
    if not len(features):
        raise DataError("no background pixel in any of the images; there is nothing to tell apart")
    scale = np.maximum(features.std(axis=0), 1e-6) / _WEIGHTS
    points = features / scale
    centres = _spread_out(points, min(count, len(points)))
    for _ in range(_ROUNDS):
        nearest = _nearest(points, centres)
        moved = centres.copy()
        for index in range(len(centres)):
            if (mine := nearest == index).any():
                moved[index] = points[mine].mean(axis=0)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return Backgrounds(centres * scale, scale)


def background_cells(photo: Array, target: Array) -> Array:
    """(N, F) features of the cells that are background to a tenth or more."""
    features, _, shares = cell_features(photo, target == BACKGROUND)
    return features[shares >= _LEAST_SHARE]


def _spread_out(points: Array, count: int) -> Array:
    """(count, F) points to start from, as k-means++ draws them: far from those before."""
    rng = np.random.default_rng(0)
    chosen = [points[rng.integers(len(points))]]
    distance = ((points - chosen[0]) ** 2).sum(axis=1)
    while len(chosen) < count and distance.any():
        chosen.append(points[rng.choice(len(points), p=distance / distance.sum())])
        distance = np.minimum(distance, ((points - chosen[-1]) ** 2).sum(axis=1))
    return np.array(chosen)


def _nearest(points: Array, centres: Array) -> Array:
    # |p - c|^2 without |p|^2, which is the same for every centre.
    return ((centres**2).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1)


def _name(centre: Array, calm: float, busy: float) -> str:
    parts = [_colour(*(100 * centre[: _B + 1]))]
    across, up = centre[_ACROSS], centre[_UP]
    edges = centre[_ACROSS : _FALLING + 1].mean()
    if edges > calm and max(across, up) > 1.35 * min(across, up):
        parts.append("horizontal lines" if up > across else "vertical lines")
    elif edges <= calm:
        parts.append("smooth")
    elif edges > busy:
        parts.append("textured")
    if centre[_HEIGHT] < 1 / 3:
        parts.append("high")
    elif centre[_HEIGHT] > 2 / 3:
        parts.append("low")
    return ", ".join(parts)


def _colour(lightness: float, a: float, b: float) -> str:
    """A word for a colour in CIELAB: lightness 0..100, a and b about -100..100."""
    if np.hypot(a, b) < 9:
        greys = ((15, "black"), (38, "dark grey"), (66, "grey"), (86, "light grey"))
        return next((name for limit, name in greys if lightness < limit), "white")
    hue = np.degrees(np.arctan2(b, a)) % 360
    hues = ((20, "pink"), (45, "red"), (80, "brown"), (105, "yellow"), (165, "green"), (215, "turquoise"),
            (295, "blue"), (340, "purple"), (361, "pink"))  # fmt: skip
    name = next(name for limit, name in hues if hue < limit)
    if name == "brown" and lightness > 62:
        name = "orange" if np.hypot(a, b) > 35 else "sand"
    return f"dark {name}" if lightness < 32 else f"pale {name}" if lightness > 78 else name
