"""CAM stores of a run without networks: each finds most of every object, with errors of its own."""

from pathlib import Path

import cv2
import numpy as np

from orandnet_core.datasets import Dataset
from orandnet_core.store import CamStore
from train.workspace import cams_dir


def make_store(
    run_dir: Path, dataset: Dataset, source: str, blur_px: float = 3.0, **card: object
) -> CamStore:
    """Fill `cams-<source>` from the data set's masks, blurred and noisy; `card` goes into its card."""
    rng = np.random.default_rng(int(10 * blur_px))
    store = CamStore(cams_dir(run_dir, source))
    store.write_card({"source": source, "recipe": "tiny", "splits": {}, "blur_px": blur_px})
    for image_id in sorted({image_id for ids in dataset.splits.values() for image_id in ids}):
        mask, class_ids = dataset.mask(image_id), dataset.class_ids(image_id)
        cam = np.zeros((len(class_ids), *mask.shape), np.float32)
        for row, class_id in zip(cam, class_ids, strict=True):
            noise = cv2.resize(rng.random((4, 4)).astype(np.float32), mask.shape[::-1])
            row[:] = cv2.GaussianBlur((mask == class_id).astype(np.float32), (0, 0), blur_px) * (0.5 + noise)
            row /= row.max()
        store.write(image_id, cam, class_ids, mask.shape)
    return store
