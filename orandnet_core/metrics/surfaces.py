"""One class against the rest, at every pair of a CNN and a ViT threshold.

For each class, over the images that have its maps, a pixel is found
    "or":  where the CNN's map exceeds t_cnn or the ViT's exceeds t_vit,
    "and": where both do;
other classes do not compete. A two-dimensional histogram of the two levels and its cumulative
sums hold every pair of thresholds. The thresholds are `GRID_THRESHOLDS`, i / 64 for i = 0..63.

Shapes: G = 64 thresholds, C classes with background, P classes that have maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orandnet_core.errors import DataError, RangeError, ShapeError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.metrics.confusion import Metrics
from orandnet_core.metrics.levels import GRID_LEVELS, Truth, checked_class_ids, grid_levels, levels_of

__all__ = ["Surfaces", "count_surfaces", "surface_counts"]

Array = np.ndarray

SIDE = GRID_LEVELS + 1
INSIDE, OUTSIDE, IGNORED = range(3)


@dataclass(frozen=True)
class Surfaces:
    """Pixels by both networks' levels, for the classes that have maps.

    Attributes:
        class_ids: (P,) int64, ascending.
        inside: (P, G + 1, G + 1) int64, pixels of the class by [CNN level, ViT level].
        outside: same, pixels of other classes in the images that have the class's maps.
        target: (C,) int64, ground-truth pixels of each class, in all images.
    """

    class_ids: Array
    inside: Array
    outside: Array
    target: Array

    def metrics(self, how: str, class_id: int | None = None) -> Metrics:
        """Precision, recall and IoU of classes against the rest.

        Args:
            how: "or" or "and".
            class_id: one class that has maps (default: all of them).

        Returns:
            Metrics with arrays (P, G, G), [class, t_cnn, t_vit], P = 1 for one class; its means
            over classes are (G, G) and leave background out, which has no map.

        Raises:
            RangeError: another `how`.
            DataError: no image has maps of the class.
        """
        if how not in ("or", "and"):
            raise RangeError(f'how is {how!r}; it must be "or" or "and"')
        rows = slice(None) if class_id is None else self._row_of(class_id)
        found = _either if how == "or" else _both
        true_positive = found(self.inside[rows])
        return Metrics(
            true_positive=true_positive,
            predicted=true_positive + found(self.outside[rows]),
            target=self.target[self.class_ids[rows]][:, None, None],
        )

    def _row_of(self, class_id: int) -> slice:
        row = int(np.searchsorted(self.class_ids, class_id))
        if row == len(self.class_ids) or self.class_ids[row] != class_id:
            raise DataError(
                f"no image has maps of class {class_id}; there are maps of {self.class_ids.tolist()}"
            )
        return slice(row, row + 1)

    @classmethod
    def merged(cls, parts: Sequence["Surfaces"], num_classes: int) -> "Surfaces":
        """The counts of all parts added up; of no parts, zeros."""
        ids = [part.class_ids for part in parts]
        class_ids = np.unique(np.concatenate([np.zeros(0, np.int64), *ids]))
        inside, outside = np.zeros((2, len(class_ids), SIDE, SIDE), np.int64)
        target = np.zeros(num_classes, np.int64)
        for part in parts:
            rows = np.searchsorted(class_ids, part.class_ids)
            inside[rows] += part.inside
            outside[rows] += part.outside
            target += part.target
        return cls(class_ids, inside, outside, target)


def surface_counts(
    cnn_cam: Array,
    vit_cam: Array,
    class_ids: Array,
    mask: Array,
    num_classes: int,
    image_id: str = "",
    ignore_index: int = IGNORE_INDEX,
) -> Surfaces:
    """Count one image for every pair of thresholds. Arguments and errors as `image_counts`."""
    truth = Truth.of(mask, num_classes, image_id, ignore_index)
    return count_surfaces(cnn_cam, vit_cam, class_ids, truth, num_classes, image_id)


def count_surfaces(
    cnn_cam: Array, vit_cam: Array, class_ids: Array, truth: Truth, num_classes: int, image_id: str = ""
) -> Surfaces:
    """`surface_counts` for callers that use an image's mask more than once."""
    class_ids = checked_class_ids(class_ids, cnn_cam, num_classes)
    if cnn_cam.shape != vit_cam.shape:
        raise ShapeError(f"cnn_cam is {cnn_cam.shape} and vit_cam {vit_cam.shape}; both must be the same")
    truth.check_fits(cnn_cam.shape[1:], image_id)
    codes = grid_levels(levels_of(cnn_cam)) * np.int32(SIDE) + grid_levels(levels_of(vit_cam))
    sides = np.zeros((2, len(class_ids), SIDE, SIDE), np.int64)
    for k, class_id in enumerate(class_ids):
        side_of_label = np.where(truth.labels == class_id, INSIDE, np.where(truth.counted, OUTSIDE, IGNORED))
        code = side_of_label.astype(np.int32)[truth.lanes] * np.int32(SIDE * SIDE) + codes[k]
        histogram = np.bincount(code.ravel(), minlength=3 * SIDE * SIDE).reshape(3, SIDE, SIDE)
        sides[:, k] = histogram[INSIDE], histogram[OUTSIDE]
    target = np.zeros(num_classes, np.int64)
    target[truth.labels[truth.counted]] = np.bincount(truth.lanes.ravel())[truth.counted]
    return Surfaces(class_ids.astype(np.int64), sides[INSIDE], sides[OUTSIDE], target)


def _both(by_levels: Array) -> Array:
    """(P, G, G) pixels above both thresholds, from (P, G + 1, G + 1) pixels by levels."""
    return by_levels[:, ::-1, ::-1].cumsum(axis=1).cumsum(axis=2)[:, ::-1, ::-1][:, 1:, 1:]


def _either(by_levels: Array) -> Array:
    """(P, G, G) pixels above at least one threshold: all but those above neither."""
    neither = by_levels.cumsum(axis=1).cumsum(axis=2)[:, :-1, :-1]
    return by_levels.sum(axis=(1, 2))[:, None, None] - neither
