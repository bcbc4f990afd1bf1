"""Masks as an image folder that Hugging Face `datasets` loads, without depending on it."""

import json

import numpy as np

from orandnet_core.array_files import write_atomically
from orandnet_core.datasets.image_ids import path_below
from orandnet_core.interchange.exporting import Export, MaskOf, put_photo
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX, class_name
from orandnet_core.render import mask_png_bytes

__all__ = ["ImageFolderExport"]


class ImageFolderExport:
    """`SPLIT/metadata.jsonl` with `file_name`, `mask_file_name`, `image_id` and `classes`.

    `load_dataset("imagefolder", data_dir=...)` gives the columns `image`, `mask`, `image_id`,
    `classes`. Masks are palette PNGs; 255 stays 255.

    Args:
        to: where to; its photographs are always copied, as the layout needs them.
        mask_of: (H, W) uint8 by image id.
    """

    def __init__(self, to: Export, mask_of: MaskOf):
        self._to, self._mask_of = to, mask_of
        self._rows: list[str] = []

    def add(self, image_id: str) -> None:
        """Write an image; DataError where its photo or mask cannot be read."""
        mask, names = self._mask_of(image_id), self._to.dataset.class_names
        root = self._to.out / self._to.split
        photo_path = path_below(root / "images", image_id, ".jpg")
        mask_path = path_below(root / "masks", image_id, ".png")
        put_photo(self._to.dataset, image_id, photo_path)
        write_atomically(mask_path, mask_png_bytes(mask))
        shown = [k for k in np.unique(mask).tolist() if k not in (BACKGROUND, IGNORE_INDEX)]
        row = {
            "file_name": photo_path.relative_to(root).as_posix(),
            "mask_file_name": mask_path.relative_to(root).as_posix(),
            "image_id": image_id,
            "classes": [class_name(names, k) for k in shown],
        }
        self._rows.append(json.dumps(row, ensure_ascii=False) + "\n")

    def finish(self) -> None:
        """Write the table, and what the values of masks mean."""
        write_atomically(self._to.out / self._to.split / "metadata.jsonl", "".join(self._rows).encode())
        names = self._to.dataset.class_names
        listed = "\n".join(f"{at}. {name}" for at, name in enumerate(names, 1))
        text = (
            f"---\ntask_categories:\n- image-segmentation\n---\n# {self._to.dataset.name}\n\n"
            "```python\nfrom datasets import load_dataset\n\n"
            'load_dataset("imagefolder", data_dir=".")\n```\n\n'
            f"Values of a mask: 0 background, {IGNORE_INDEX} ignored, and\n\n{listed}\n"
        )
        write_atomically(self._to.out / "README.md", text.encode())
