import numpy as np
import pytest

from benchmarks.made_workspace import in_train, make_workspace, one_block_read
from orandnet_core import scoring
from orandnet_core.datasets import open_dataset
from orandnet_core.datasets.check import check
from orandnet_core.scoring import score, store_source
from orandnet_core.scoring_pass import BLOCK
from orandnet_core.store import CamStore


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "workspace"
    make_workspace(root, 700, classes=5, processes=1)
    return root


def test_it_is_a_data_set_in_order_with_cams_of_two_sources(workspace):
    dataset = open_dataset(workspace / "data" / "made", "folder")
    assert {split: len(ids) for split, ids in dataset.splits.items()} == {"train": 512, "val": 188}
    report = check(dataset)
    assert (report.usable, report.problems.error_count) == (700, 0)
    for source in ("cnn", "vit"):
        store = CamStore(workspace / "runs" / "made" / f"cams-{source}")
        assert len(store) == 700
        np.testing.assert_array_equal(store.read("0000300").class_ids, dataset.class_ids("0000300"))


def test_the_counts_of_one_block_are_those_of_all(workspace, tmp_path):
    dataset = open_dataset(workspace / "data" / "made", "folder")
    source = store_source(CamStore(workspace / "runs" / "made" / "cams-cnn"), "cnn")
    every, one_pass = score(dataset, "train", source), scoring.run_pass
    with one_block_read():
        assert scoring.run_pass is not one_pass
        short = score(dataset, "train", source, cache_dir=tmp_path)
    assert scoring.run_pass is one_pass
    assert short.counts.image_ids == every.counts.image_ids
    np.testing.assert_array_equal(short.sweep.levels, every.sweep.levels)


def test_train_is_whole_blocks_where_there_are_any():
    assert in_train(100) == 80
    assert in_train(100_000) % BLOCK == 0
    assert 0.79 < in_train(100_000) / 100_000 <= 0.8
