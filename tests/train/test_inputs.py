"""What no stage of a run made runs its readers again when it changes, and only then."""

import os
import shutil

import numpy as np
import pytest

from orandnet_core.mask_store import MaskStore
from orandnet_core.store import CamStore
from tests.train.maps import make_store
from train.config import override
from train.plan import next_step
from train.records import StageRecord, write_record
from train.stages import stage
from train.workspace import cams_dir


@pytest.fixture
def run_dir(tmp_path, squares):
    """A run whose CAMs were all imported: no stage made them, so none has a record."""
    for source, blur_px in (("cnn", 3.0), ("vit", 2.0), ("amn", 1.0), ("refine", 1.5)):
        make_store(tmp_path / "run", squares, source, blur_px)
    return tmp_path / "run"


@pytest.fixture
def inputs(tiny_recipe, squares, run_dir):
    """The inputs of a stage, under changes of the recipe."""

    def of(name, **changes):
        recipe = override(tiny_recipe, {key.replace("__", "."): value for key, value in changes.items()})
        return next_step(stage(name), recipe, squares, run_dir).inputs

    return of


@pytest.mark.parametrize(
    ("name", "changes", "store"),
    [
        ("masks", {"masks__source": "amn"}, "amn"),
        ("masks", {"masks__source": "refine"}, "refine"),
        ("masks", {"masks__source": "and"}, "vit"),
        ("crf", {"crf__source": "amn"}, "amn"),
        ("walk", {"walk__source": "amn"}, "amn"),
        ("ir-labels", {"ir_labels__source": "amn"}, "amn"),
        ("ir-labels", {"ir_labels__source": "trimap"}, "cnn"),
        ("refine", {}, "cnn"),
    ],
)
def test_imported_maps_are_known_by_what_they_hold(inputs, squares, run_dir, name, changes, store):
    before = inputs(name, **changes)
    assert inputs(name, **changes) == before
    cams, image_id = CamStore(cams_dir(run_dir, store)), squares.image_ids("train")[0]
    stored = cams.read(image_id)
    cams.write(image_id, stored.cam * 0.5, stored.class_ids, stored.size_hw)
    after = inputs(name, **changes)
    changed = [key for key in after if after[key] != before[key]]
    assert changed == ["refine" if store == "refine" else f"cams-{store}"]


def test_maps_that_a_stage_made_are_known_by_its_record(inputs, run_dir):
    write_record(run_dir, StageRecord(stage="cams-cnn", key="the key", began_s=0))
    assert inputs("refine")["cams-cnn"] == "the key"
    assert "cams-cnn" not in inputs("masks", masks__source="vit")


def test_maps_that_are_not_there_yet_are_an_input_too(inputs):
    assert inputs("masks", masks__source="mct")["cams-mct"] == "unknown"


def test_masks_of_a_folder_are_known_by_what_they_hold(inputs, squares, tmp_path):
    store = MaskStore(tmp_path / "masks")
    ids = squares.image_ids("train")
    for image_id in ids[:-1]:
        store.write(image_id, squares.mask(image_id))
    before = inputs("segment", segment__masks=str(store.root))
    os.utime(store.path_of(ids[0]), (1, 1))  # as a copy has it
    assert inputs("segment", segment__masks=str(store.root)) == before
    store.write(ids[-1], squares.mask(ids[-1]))
    more = inputs("segment", segment__masks=str(store.root))
    store.write(ids[0], np.zeros((48, 48), np.uint8))
    other = inputs("segment", segment__masks=str(store.root))
    assert len({each["masks to learn from"] for each in (before, more, other)}) == 3
    assert "masks to learn from" not in inputs("segment", segment__masks="masks")


def test_the_data_sets_own_masks_are_known_by_what_they_hold(inputs, squares):
    before = inputs("segment", segment__masks="truth")
    first, second = map(squares.mask_path_of, squares.image_ids("train")[:2])
    shutil.copyfile(first, second)
    assert inputs("segment", segment__masks="truth") != before


def test_a_photograph_replaced_under_its_name_is_another_input(inputs, squares):
    before = inputs("cams-cnn")
    first, second = map(squares.image_path_of, squares.image_ids("train")[:2])
    os.utime(first, (1, 1))  # as a copy has it
    assert inputs("cams-cnn") == before
    shutil.copyfile(first, second)
    after = inputs("cams-cnn")
    second.unlink()
    gone = inputs("cams-cnn")
    assert {key for key in after if after[key] != before[key]} == {"photographs of train"}
    assert len({each["photographs of train"] for each in (before, after, gone)}) == 3


def test_other_ground_truth_is_evaluated_again(inputs, squares):
    before = inputs("evaluate")
    first, second = map(squares.mask_path_of, squares.image_ids("val")[:2])
    shutil.copyfile(first, second)
    after = inputs("evaluate")
    assert [key for key in after if after[key] != before[key]] == ["masks of val"]
    second.unlink()
    assert inputs("evaluate")["masks of val"] not in (before["masks of val"], after["masks of val"])
