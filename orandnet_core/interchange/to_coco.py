"""Masks as COCO annotations: run lengths or polygons, as `pycocotools.coco.COCO` reads them."""

import json
from typing import Any

import numpy as np
from pycocotools import mask as run_lengths

from orandnet_core.array_files import write_atomically
from orandnet_core.datasets.image_ids import path_below
from orandnet_core.interchange.exporting import Export, MaskOf, put_photo
from orandnet_core.interchange.polygons import polygons_of
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX

__all__ = ["SEGMENTATIONS", "CocoExport"]

SEGMENTATIONS = ("rle", "polygons")


class CocoExport:
    """`annotations/instances_SPLIT.json` and the photographs in `SPLIT/`.

    An annotation is all of a class in an image (semantic masks know no instances). Run lengths and
    polygons alike cover exactly the mask's pixels. Ignored pixels (255), for which COCO has no
    place, are kept as run lengths under `ignored` in the image's record.

    Args:
        to: where to.
        mask_of: (H, W) uint8 by image id.
        segmentation: one of `SEGMENTATIONS`.
    """

    def __init__(self, to: Export, mask_of: MaskOf, segmentation: str = "rle"):
        self._to, self._mask_of, self._segmentation = to, mask_of, segmentation
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, image_id: str) -> None:
        """Take an image; DataError where its photo or mask cannot be read."""
        mask = self._mask_of(image_id)
        if self._to.photos:
            path = path_below(self._to.out / self._to.split, image_id, ".jpg")
            put_photo(self._to.dataset, image_id, path)
        number = len(self._images) + 1
        record = {
            "id": number,
            "file_name": f"{image_id}.jpg",
            "height": mask.shape[0],
            "width": mask.shape[1],
            "image_id": image_id,
        }
        if (mask == IGNORE_INDEX).any():
            record["ignored"] = _run_lengths(mask == IGNORE_INDEX)
        self._images.append(record)
        for class_id in np.unique(mask).tolist():
            if class_id not in (BACKGROUND, IGNORE_INDEX):
                self._annotations.append(self._annotation(number, class_id, mask == class_id))

    def finish(self) -> None:
        """Write the annotations."""
        names = self._to.dataset.class_names
        content = {
            "info": {"description": f"{self._to.dataset.name}, {self._to.split}", "version": "1.0"},
            "licenses": [],
            "images": self._images,
            "annotations": self._annotations,
            "categories": [{"id": at, "name": name, "supercategory": ""} for at, name in enumerate(names, 1)],
        }
        path = self._to.out / "annotations" / f"instances_{self._to.split}.json"
        write_atomically(path, json.dumps(content).encode())

    def _annotation(self, image_number: int, class_id: int, region: np.ndarray) -> dict[str, Any]:
        encoded = _run_lengths(region)
        rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
        left, top = int(columns[0]), int(rows[0])
        return {
            "id": len(self._annotations) + 1,
            "image_id": image_number,
            "category_id": class_id,
            "segmentation": encoded if self._segmentation == "rle" else polygons_of(region),
            "area": int(region.sum()),
            "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
            "iscrowd": 0,
        }


def _run_lengths(region: np.ndarray) -> dict[str, Any]:
    encoded = run_lengths.encode(np.asfortranarray(region, np.uint8))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")}
