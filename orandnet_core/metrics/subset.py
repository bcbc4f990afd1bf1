"""Counts of some of the images, without a copy: read from those of all of them as they are asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from orandnet_core.errors import DataError
from orandnet_core.metrics.intervals import Bootstrap, bootstrap
from orandnet_core.metrics.per_image import ImageTraits, PerImage, image_traits, per_image
from orandnet_core.metrics.sweep import Counts, ImageCounts, Sweep

__all__ = ["CountsOfSome"]


@dataclass(frozen=True)
class CountsOfSome:
    """The counts of a subset; only a block at a time is in memory.

    Attributes:
        whole: the counts of all images.
        image_ids: those of the subset, in the order of the whole; at least one.
    """

    whole: Counts = field(repr=False)
    image_ids: tuple[str, ...] = field(repr=False)

    @property
    def num_classes(self) -> int:
        return self.whole.num_classes

    def blocks(self) -> Iterator[ImageCounts]:
        """The images in order, some at a time."""
        wanted = set(self.image_ids)
        for block in self.whole.blocks():
            ids = [image_id for image_id in block.image_ids if image_id in wanted]
            if ids:
                yield block.select(ids)

    def select(self, image_ids: Iterable[str]) -> ImageCounts:
        """The counts of fewer, in memory, in the order given; DataError for an id outside the subset."""
        image_ids = tuple(image_ids)
        if outside := set(image_ids).difference(self.image_ids):
            raise DataError(f"{min(outside)!r} is not among the {len(self.image_ids)} images chosen")
        return self.whole.select(image_ids)

    def total(self) -> Sweep:
        """The sum over the subset."""
        return Sweep.sum_of(self.blocks())

    def without(self, image_ids: Iterable[str]) -> "CountsOfSome":
        """The counts of all but some."""
        left_out = set(image_ids)
        ids = tuple(image_id for image_id in self.image_ids if image_id not in left_out)
        return CountsOfSome(self.whole, ids)

    def bootstrap(self) -> Bootstrap:
        """`metrics.bootstrap` of the subset."""
        return bootstrap(self)

    def per_image(self, threshold: float) -> PerImage:
        """`metrics.per_image` at a threshold."""
        return per_image(self, threshold)

    def image_traits(self) -> ImageTraits:
        """`metrics.image_traits` of the subset."""
        return image_traits(self)
