"""Linked selection: the images of a split that pass the filter, and what all sources score on them.

What grows with the number of images is worked out once for the sources compared; a filter is then
comparisons of arrays, and the scores of its images are sums of counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from orandnet_core.datasets import Dataset
from orandnet_core.image_filter import Condition, ImageFacts, passing
from orandnet_core.labels import class_name
from pages.components.comparison import Row, identity_of
from pages.components.scores import task_key
from pages.components.tasks import Report, result_or_progress

__all__ = ["Linked", "facts_of", "gather", "images_table"]

Array = np.ndarray


@dataclass(frozen=True)
class Linked:
    """The filter on the images that are compared.

    Attributes:
        facts: of all images.
        labels: of the sources on screen, by key.
        chosen: the conditions, as they were set.
    """

    facts: ImageFacts
    labels: Mapping[str, str]
    chosen: tuple[Condition, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Those that are applied."""
        return tuple(each for each in self.chosen if not each.asks_in_vain(self.facts))

    @property
    def idle(self) -> tuple[Condition, ...]:
        """Those about a source or class that is not there now."""
        return tuple(each for each in self.chosen if each.asks_in_vain(self.facts))

    @cached_property
    def passes(self) -> Array:
        """(N,) bool: which images pass."""
        return passing(self.conditions, self.facts)

    @cached_property
    def image_ids(self) -> tuple[str, ...]:
        """The images that pass, in the split's order."""
        return tuple(self.facts.image_ids[index] for index in np.flatnonzero(self.passes))

    @property
    def subset(self) -> str:
        """Which images these are, in words."""
        return "; ".join(each.sentence(self.labels) for each in self.conditions)


def images_table(linked: Linked) -> pa.Table:
    """A row an image that passes: its own mIoU and best threshold under every source, null where none."""
    columns: dict[str, object] = {"image_id": linked.image_ids}
    for name, by_source in (("miou", linked.facts.scores), ("best_threshold", linked.facts.best_thresholds)):
        for source, values in by_source.items():
            columns[f"{name} {source}"] = pa.array(values[linked.passes], from_pandas=True)
    return pa.table(columns)


def facts_of(rows: Sequence[Row], dataset: Dataset) -> ImageFacts | None:
    """What filters ask of every image, each source at the threshold that it has here.

    Args:
        rows: on all images; those without a threshold are passed over.

    Returns:
        The facts, of every image that a source was scored on; None while progress is drawn instead.
    """
    usable = [row for row in rows if row.choice is not None]
    key = task_key("facts", *(f"{identity_of(row.candidate)} {row.choice.value}" for row in usable))
    names = tuple(class_name(dataset.class_names, label) for label in range(dataset.num_classes))
    return result_or_progress(key, "Scoring every image", lambda report: gather(usable, names, report))


def gather(rows: Sequence[Row], class_names: tuple[str, ...], report: Report) -> ImageFacts:
    """As `facts_of`, at once."""
    image_ids = tuple(dict.fromkeys(i for row in rows for i in row.candidate.scores.counts.image_ids))
    place_of = {image_id: place for place, image_id in enumerate(image_ids)}
    shown, known = np.zeros((len(image_ids), len(class_names)), bool), np.zeros(len(image_ids), bool)
    scores: dict[str, Array] = {}
    best: dict[str, Array] = {}
    for done, row in enumerate(rows):
        report(done, len(rows))
        counts = row.candidate.scores.counts
        places = np.array([place_of[image_id] for image_id in counts.image_ids], np.intp)
        traits = counts.image_traits()
        if not known[places].all():  # sources mostly have the same images, and their truth is one
            shown[places], known[places] = traits.shown[:, : len(class_names)], True

        def spread(values: Array, places: Array = places) -> Array:
            everywhere = np.full(len(image_ids), np.nan)
            everywhere[places] = values
            return everywhere

        scores[row.candidate.key] = spread(counts.per_image(row.choice.value).iou)
        if not row.candidate.scores.of_masks:
            best[row.candidate.key] = spread(traits.best_thresholds)
    return ImageFacts(image_ids, class_names, shown, scores, best)
