"""Pseudo-masks of whole splits: threshold, margin and CRF, from any source."""

import numpy as np
import pytest

from orandnet_core.crf import IRN, crf_labels
from orandnet_core.datasets.images import read_mask
from orandnet_core.errors import ConfigError, StoreError
from orandnet_core.fusion import mean_cam
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.store import CamStore
from tests.train.maps import make_store
from train.config import MaskConfig, override
from train.masks import masks
from train.workspace import cams_dir


@pytest.fixture
def run_dir(tmp_path, squares):
    for source, blur_px in (("cnn", 3.0), ("vit", 2.0), ("walk", 1.0)):
        make_store(tmp_path / "run", squares, source, blur_px)
    return tmp_path / "run"


@pytest.fixture
def recipe(tiny_recipe):
    return override(tiny_recipe, {"masks.workers": 1})


def read(run_dir, image_id):
    return read_mask(run_dir / "masks" / f"{image_id}.png")


def stored(run_dir, source, image_id):
    return CamStore(cams_dir(run_dir, source)).read(image_id)


def test_by_default_the_walks_maps_at_a_fixed_threshold(recipe, squares, run_dir):
    result = masks(recipe, squares, run_dir)
    assert (result.made, result.failed) == (8, ())
    for image_id in squares.image_ids("train"):
        walk = stored(run_dir, "walk", image_id)
        expected = pseudo_mask(walk.full_size(), walk.class_ids, 0.25)
        np.testing.assert_array_equal(read(run_dir, image_id), expected)
    assert masks(recipe, squares, run_dir).kept == 8


def test_any_fusion_at_the_threshold_of_the_fuse_page(recipe, squares, run_dir):
    changes = {"masks.source": "mean", "masks.background_threshold": None, "fusion.background_threshold": 0.6}
    masks(override(recipe, changes), squares, run_dir, splits=["val"])
    for image_id in squares.image_ids("val"):
        cnn, vit = (stored(run_dir, name, image_id) for name in ("cnn", "vit"))
        expected = pseudo_mask(mean_cam(cnn.full_size(), vit.full_size()), cnn.class_ids, 0.6)
        np.testing.assert_array_equal(read(run_dir, image_id), expected)


def test_the_margin_ignores_what_is_near_the_threshold_and_the_crf_does_not_fill_it(recipe, squares, run_dir):
    pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    changes = {"masks.margin": 0.1, "masks.crf": "irn", "masks.workers": 2}
    masks(override(recipe, changes), squares, run_dir, splits=["val"])
    for image_id in squares.image_ids("val"):
        walk = stored(run_dir, "walk", image_id)
        cam, class_ids = walk.full_size(), walk.class_ids
        expected = crf_labels(squares.image(image_id), pseudo_mask(cam, class_ids, 0.25), class_ids, IRN)
        expected[np.abs(cam.max(axis=0) - 0.25) < 0.1] = 255
        assert 0 < np.mean(expected == 255) < 0.5
        np.testing.assert_array_equal(read(run_dir, image_id), expected)


def test_masks_of_other_settings_are_not_mixed(recipe, squares, run_dir):
    masks(recipe, squares, run_dir)
    other = override(recipe, {"masks.background_threshold": 0.4, "masks.source": "vit"})
    with pytest.raises(StoreError, match="another background_threshold, maps, maps_made_by: add --anew"):
        masks(other, squares, run_dir)
    assert masks(other, squares, run_dir, anew=True).made == 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"masks.background_threshold": None}, "are both empty: set one"),
        ({"masks.source": "refine"}, "not of 'refine'"),
    ],
)
def test_what_stops_before_the_first_image(recipe, squares, run_dir, changes, words):
    with pytest.raises(ConfigError, match=words):
        masks(override(recipe, changes), squares, run_dir)
    assert not (run_dir / "masks").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": ""}, "name a source"),
        ({"background_threshold": -0.1}, r"must lie in \[0, 1\]"),
        ({"margin": 2.0}, r"margin 2.0: must lie in \[0, 1\]"),
        ({"crf": "walk"}, "masks.crf 'walk': choose one of"),
        ({"workers": -2}, "must not be negative"),
    ],
)
def test_wrong_settings_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        MaskConfig(**changes)


def test_the_command(recipe, squares, run_dir, monkeypatch, capsys):
    import train.open_run
    from train.__main__ import main

    monkeypatch.setattr(train.open_run, "_load", lambda _: recipe)
    monkeypatch.setattr(train.open_run, "open_recipe_dataset", lambda _: squares)
    command = ["masks", "--data", str(squares.root), "--run-dir", str(run_dir), "--split", "val"]
    assert main([*command, "--set", "masks.margin=0.05"]) == 0
    assert f"masks: 4 images, 4 made now, 0 failed -> {run_dir / 'masks'}" in capsys.readouterr().out
