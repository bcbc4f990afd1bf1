"""71 background thresholds: one pass over the images against one pass a threshold.

Theirs, twice. `per_class_loops` is the evaluation that WSSS codes share (SEAM, MCTformer, AMN: a
dense score tensor of all 21 classes with the threshold as background, argmax, and boolean masks
class by class, once more for every threshold). `per_threshold_bincount` is the best that can be
done without our idea: argmax over the present classes only and one bincount. All read the same
files in the same way, and all must give the same TP, predicted and target pixels at every
threshold. Ours gives all 256 thresholds and the per-image counts besides.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image

from benchmarks.table import Row, seconds_of
from orandnet_core.datasets import read_mask
from orandnet_core.metrics import THRESHOLDS, ImageCounts, confusion, image_counts
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.store import CamStore

IMAGES, SIZE_HW, NUM_CLASSES = 4, (375, 500), 21
INDICES = range(20, 91)  # 71 of THRESHOLDS, from 0.08 to 0.35

Array = np.ndarray
Read = Callable[[str], tuple[Array, Array, Array]]
Counts = tuple[Array, Array, Array]


def rows() -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        image_ids, read = _make_images(Path(folder))
        ours, our_counts = seconds_of(lambda: one_pass(image_ids, read), repeats=3)
        for label, evaluate in (
            ("per-class loops", per_class_loops),
            ("a bincount a threshold", per_threshold_bincount),
        ):
            theirs, their_counts = seconds_of(lambda evaluate=evaluate: evaluate(image_ids, read))
            same = all(np.array_equal(a, b) for a, b in zip(our_counts, their_counts, strict=True))
            yield Row(f"71 thresholds, {IMAGES} VOC-sized images, against {label}", ours, theirs, same)


def one_pass(image_ids: list[str], read: Read) -> Counts:
    """(71, C) true positives, predicted and target pixels."""
    parts = []
    for image_id in image_ids:
        cam, class_ids, mask = read(image_id)
        parts.append(image_counts(cam, class_ids, mask, NUM_CLASSES, image_id))
    metrics = ImageCounts.merged(parts, NUM_CLASSES).total().metrics
    chosen = list(INDICES)
    target = np.broadcast_to(metrics.target, metrics.predicted.shape)
    return tuple(counts[:, chosen].T for counts in (metrics.true_positive, metrics.predicted, target))


def per_class_loops(image_ids: list[str], read: Read) -> Counts:
    true_positive, predicted, target = np.zeros((3, len(INDICES), NUM_CLASSES), np.int64)
    for row, index in enumerate(INDICES):
        for image_id in image_ids:
            cam, class_ids, gt = read(image_id)
            tensor = np.zeros((NUM_CLASSES, *gt.shape), np.float32)
            tensor[class_ids] = cam
            tensor[0] = THRESHOLDS[index]
            predict = np.argmax(tensor, axis=0).astype(np.uint8)
            cal = gt < 255
            mask = (predict == gt) * cal
            for i in range(NUM_CLASSES):
                predicted[row, i] += np.sum((predict == i) * cal)
                target[row, i] += np.sum((gt == i) * cal)
                true_positive[row, i] += np.sum((gt == i) * mask)
    return true_positive, predicted, target


def per_threshold_bincount(image_ids: list[str], read: Read) -> Counts:
    matrices = np.zeros((len(INDICES), NUM_CLASSES, NUM_CLASSES), np.int64)
    for row, index in enumerate(INDICES):
        for image_id in image_ids:
            cam, class_ids, mask = read(image_id)
            matrices[row] += confusion(mask, pseudo_mask(cam, class_ids, THRESHOLDS[index]), NUM_CLASSES)
    return np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(axis=1), matrices.sum(axis=2)


def _make_images(folder: Path) -> tuple[list[str], Read]:
    """Blobs and maps that half know them, two classes an image, stored as the product stores them."""
    rng = np.random.default_rng(0)
    store = CamStore(folder / "cams")
    image_ids = [f"image-{number}" for number in range(IMAGES)]
    for image_id in image_ids:
        class_ids = np.sort(rng.choice(np.arange(1, NUM_CLASSES), 2, replace=False))
        blobs, noise = (
            np.stack(
                [
                    cv2.resize(rng.random((5, 6)), SIZE_HW[::-1], interpolation=cv2.INTER_CUBIC)
                    for _ in class_ids
                ]
            )
            for _ in range(2)
        )
        mask = np.where(blobs.max(axis=0) > 0.7, class_ids[blobs.argmax(axis=0)], 0).astype(np.uint8)
        mask[cv2.Laplacian(mask, cv2.CV_16S) != 0] = 255
        cam = (0.6 * blobs + 0.4 * noise).clip(0)
        store.write(image_id, cam / cam.max(axis=(1, 2), keepdims=True), class_ids, SIZE_HW)
        Image.fromarray(mask).save(folder / f"{image_id}.png")

    def read(image_id: str) -> tuple[Array, Array, Array]:
        stored = store.read(image_id)
        return stored.full_size(), stored.class_ids, read_mask(folder / f"{image_id}.png")

    return image_ids, read
