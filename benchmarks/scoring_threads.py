"""Scoring in parallel: a thread a core against one thread, on images of VOC's size.

Two networks and all their fusions from one pass over two stores, as *Compare* asks for them. Nothing is kept
on disk, so that both sides read every map and count it anew.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from benchmarks.made_workspace import DATASET, RUN, make_workspace
from benchmarks.table import Row, seconds_of
from orandnet_core.datasets import open_dataset
from orandnet_core.scoring import PairScores, score_pair, store_source
from orandnet_core.scoring_pass import WORKERS
from orandnet_core.store import CamStore
from pages.components.scores import NETWORKS, STANDARD
from train.workspace import cams_dir

IMAGES = 160  # four in five are scored
SIZE_HW = (375, 500)
SPLIT = "train"


def rows() -> Iterator[Row]:
    cv2.setNumThreads(1)  # as everything else: only the pass itself is in parallel
    with TemporaryDirectory() as folder:
        make_workspace(Path(folder), IMAGES, size_hw=SIZE_HW)
        ours, in_parallel = seconds_of(lambda: _scored(Path(folder), WORKERS), repeats=2)
        theirs, one_by_one = seconds_of(lambda: _scored(Path(folder), 1), repeats=2)
    same = all(
        np.array_equal(each.sweep.levels, one_by_one.scores[name].sweep.levels)
        for name, each in in_parallel.scores.items()
    )
    images = in_parallel.scores["cnn"].card.images
    yield Row(
        f"scoring {images} images of {SIZE_HW[0]} x {SIZE_HW[1]} by all rules, {WORKERS} threads against one",
        ours, theirs, same,
    )  # fmt: skip


def _scored(workspace: Path, workers: int) -> PairScores:
    dataset = open_dataset(workspace / "data" / DATASET, "folder")
    networks = (store_source(CamStore(cams_dir(workspace / "runs" / RUN, name)), name) for name in NETWORKS)
    return score_pair(dataset, SPLIT, *networks, STANDARD, workers=workers)
