"""Masks in VOC's layout, as torchvision's `VOCSegmentation` and our own `voc12` read them."""

from orandnet_core.array_files import write_atomically
from orandnet_core.interchange.exporting import Export, MaskOf, flat_name, put_photo
from orandnet_core.render import mask_png_bytes

__all__ = ["VocExport"]


class VocExport:
    """`VOCdevkit/VOC2012/` with `JPEGImages`, `SegmentationClass`, `ImageSets/Segmentation/SPLIT.txt`.

    Masks are 8-bit PNGs with VOC's palette; 255 stays 255. Files and lists have images by `flat_name`:
    the layout knows no ids with spaces or slashes.

    Args:
        to: where to.
        mask_of: (H, W) uint8 by image id.
    """

    def __init__(self, to: Export, mask_of: MaskOf):
        self._to, self._mask_of = to, mask_of
        self._root = to.out / "VOCdevkit" / "VOC2012"
        self._names: list[str] = []

    def add(self, image_id: str) -> None:
        """Write an image; DataError where its photo or mask cannot be read."""
        mask, name = self._mask_of(image_id), flat_name(image_id)
        if self._to.photos:
            put_photo(self._to.dataset, image_id, self._root / "JPEGImages" / f"{name}.jpg")
        write_atomically(self._root / "SegmentationClass" / f"{name}.png", mask_png_bytes(mask))
        self._names.append(name)

    def finish(self) -> None:
        """Write the split's list and the class names."""
        listed = "".join(f"{name}\n" for name in self._names)
        path = self._root / "ImageSets" / "Segmentation" / f"{self._to.split}.txt"
        write_atomically(path, listed.encode())
        names = "".join(f"{name}\n" for name in self._to.dataset.class_names)
        write_atomically(self._root / "classes.txt", names.encode())
