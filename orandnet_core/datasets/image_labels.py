"""Image-level labels of many images: small in memory, read when they are asked for."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from orandnet_core.labels import BACKGROUND, IGNORE_INDEX


class ImageLabels(Mapping[str, np.ndarray]):
    """Multi-hot rows by image id, kept as the few classes that each image has.

    A row of 1,000 classes for each of 100,000 images would be 100 MB; and labels that lie in an XML
    file or a mask an image take minutes to read. So classes are kept as tuples, and `read` is
    called once for an image, when it is first asked for. Images without labels are no members.

    Args:
        image_ids: all images of the data set.
        class_count: C.
        read: the classes (1..C) of an image id, or None where nothing is known of it.
    """

    def __init__(
        self, image_ids: Collection[str], class_count: int, read: Callable[[str], Sequence[int] | None]
    ):
        self._image_ids, self._class_count, self._read = image_ids, class_count, read
        self._known: dict[str, Sequence[int] | None] = {}

    def class_ids(self, image_id: str) -> Sequence[int] | None:
        """The classes (1..C) of an image, or None where it has no labels."""
        if image_id not in self._known:
            self._known[image_id] = self._read(image_id) if image_id in self._image_ids else None
        return self._known[image_id]

    def __getitem__(self, image_id: str) -> np.ndarray:
        """(C,) uint8 multi-hot."""
        present = self.class_ids(image_id)
        if present is None:
            raise KeyError(image_id)
        row = np.zeros(self._class_count, np.uint8)
        row[np.asarray(present, int) - 1] = 1
        return row

    def __iter__(self) -> Iterator[str]:
        return (image_id for image_id in self._image_ids if self.class_ids(image_id) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def classes_in_mask(mask: np.ndarray, class_count: int) -> tuple[int, ...]:
    """The classes (1..C), ascending, of which a mask (H, W) uint8 shows at least one pixel."""
    pixels = np.bincount(mask.ravel(), minlength=IGNORE_INDEX + 1)
    pixels[[BACKGROUND, IGNORE_INDEX]] = 0
    return tuple(int(label) for label in np.flatnonzero(pixels) if label <= class_count)
