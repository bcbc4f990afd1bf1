"""One image's masks after the dense CRF: computed beside the app, once for every mask, when asked for."""

import hashlib
from functools import partial

import numpy as np

from orandnet_core.crf_apart import crf_labels_apart
from pages.components.tasks import Report, result_or_progress


def crf_cleaned(photo: np.ndarray, label_maps: np.ndarray, class_ids: np.ndarray) -> np.ndarray | None:
    """Label maps after the CRF; None while they are under way, which is drawn where this is called.

    Args:
        photo: (H, W, 3) uint8 RGB.
        label_maps: (N, H, W) uint8: 0, class ids, 255.
        class_ids: (K,) ascending.
    """
    digest = hashlib.sha256()
    for array in (photo, label_maps, class_ids):
        digest.update(np.ascontiguousarray(array))
    work = partial(_clean, photo, label_maps, class_ids)
    return result_or_progress(f"crf-{digest.hexdigest()[:16]}", "Dense CRF", work)


def _clean(photo: np.ndarray, label_maps: np.ndarray, class_ids: np.ndarray, report: Report) -> np.ndarray:
    report(0, 1)
    return crf_labels_apart(photo, label_maps, class_ids)
