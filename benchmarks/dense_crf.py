"""The dense CRF of one photograph on one core: with the labels that are present, and with all 21 of VOC.

Both are the same mean field. The published codes pass all labels after a segmentation network
(DeepLab's), and the absent ones get the least probability there is: they change nothing and cost
most of the time. IR labels need two label maps cleaned; ours share what only the photograph decides.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from sklearn.datasets import load_sample_image

from benchmarks.table import Row, seconds_of
from orandnet_core.crf import IRN, PSA, crf_labels, crf_scores

SIZE_HW, ALL_LABELS, REPEATS = (375, 500), 21, 3
CLASS_IDS = np.array([5, 15])
LEAST = 1e-5  # a score of 0 is no probability


def rows() -> Iterator[Row]:
    image = cv2.resize(load_sample_image("china.jpg"), SIZE_HW[::-1], interpolation=cv2.INTER_AREA)
    scores = _scores()
    ours, refined = seconds_of(lambda: crf_scores(image, scores, PSA), REPEATS)
    everything = _with_absent(scores)
    theirs, all_refined = seconds_of(lambda: crf_scores(image, everything, PSA), REPEATS)
    present = all_refined.argmax(axis=0)
    same = np.mean(np.array([0, *CLASS_IDS])[refined.argmax(axis=0)] == present) > 0.999
    size = f"{SIZE_HW[0]} x {SIZE_HW[1]}"
    name = f"dense CRF of an image of {size}, {len(scores)} labels present, against all {ALL_LABELS}"
    yield Row(name, ours, theirs, bool(same))

    maps = _label_maps(scores)
    ours, together = seconds_of(lambda: crf_labels(image, maps, CLASS_IDS, IRN), REPEATS)
    theirs, apart = seconds_of(lambda: [crf_labels(image, each, CLASS_IDS, IRN) for each in maps], REPEATS)
    name = f"IR label of an image of {size}, both maps at once, against one after the other"
    yield Row(name, ours, theirs, bool(np.array_equal(together, apart)))


def _scores() -> np.ndarray:
    """(3, H, W) float32: smooth blobs of two classes, and background, which sum to 1."""
    rng = np.random.default_rng(0)
    blobs = [
        cv2.resize(rng.random((5, 6), np.float32), SIZE_HW[::-1], interpolation=cv2.INTER_CUBIC)
        for _ in range(1 + len(CLASS_IDS))
    ]
    scores = np.stack(blobs).clip(0.01, 1) ** 2
    return scores / scores.sum(axis=0)


def _with_absent(scores: np.ndarray) -> np.ndarray:
    """(21, H, W): the same, and the least score for every label that is absent."""
    everything = np.full((ALL_LABELS, *scores.shape[1:]), LEAST, np.float32)
    everything[[0, *CLASS_IDS]] = scores
    return everything


def _label_maps(scores: np.ndarray) -> np.ndarray:
    """(2, H, W) uint8: little foreground, and much."""
    best = CLASS_IDS[scores[1:].argmax(axis=0)]
    return np.stack([np.where(scores[1:].max(axis=0) > t, best, 0) for t in (0.6, 0.3)]).astype(np.uint8)
