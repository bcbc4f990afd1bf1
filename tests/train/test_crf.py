"""The CRF as a CAM source: as the core makes it, found by its name, and of any other source."""

import numpy as np
import pytest

from orandnet_core.crf import PSA, crf_cam
from orandnet_core.errors import ConfigError, StoreError
from orandnet_core.store import CamStore, resize_maps
from tests.train.maps import make_store
from train.config import CrfConfig, override
from train.crf import crf
from train.workspace import cam_stores

pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")


@pytest.fixture
def run_dir(tmp_path, squares):
    for source, blur_px in (("cnn", 3.0), ("vit", 2.0), ("refine", 2.5)):
        make_store(tmp_path / "run", squares, source, blur_px)
    return tmp_path / "run"


@pytest.fixture
def recipe(tiny_recipe):
    return override(tiny_recipe, {"crf.workers": 1})


def test_the_store_is_a_source_of_the_run_with_the_cores_maps(recipe, squares, run_dir):
    result = crf(recipe, squares, run_dir)
    assert (result.made, result.failed) == (12, ())
    store = CamStore(cam_stores(run_dir)["crf"])
    assert store.card["maps"] == "refine"
    assert store.card["method"] == "dense CRF (psa)"
    for image_id in squares.image_ids("val"):
        before, after = CamStore(cam_stores(run_dir)["refine"]).read(image_id), store.read(image_id)
        assert after.class_ids.tolist() == squares.class_ids(image_id).tolist()
        assert after.size_hw == before.size_hw
        expected = crf_cam(squares.image(image_id), before.full_size(), 4.0, PSA)
        np.testing.assert_allclose(after.cam, resize_maps(expected, after.cam.shape[1:]), atol=1e-3)
        assert np.abs(after.cam - before.cam).mean() > 0.02
    assert crf(recipe, squares, run_dir).kept == 12


def test_processes_make_what_one_process_makes(recipe, squares, run_dir):
    fused = override(recipe, {"crf.source": "and"})
    crf(fused, squares, run_dir, splits=["val"])
    store = CamStore(cam_stores(run_dir)["crf"])
    alone = {image_id: store.read(image_id).cam for image_id in store.image_ids()}
    result = crf(override(fused, {"crf.workers": 2}), squares, run_dir, splits=["val"], anew=False)
    assert result.kept == len(alone) == 4
    for image_id in alone:
        next(store.root.glob(f"??/{image_id}.npz")).unlink()
    assert crf(override(fused, {"crf.workers": 2}), squares, run_dir, splits=["val"]).made == 4
    for image_id, cam in alone.items():
        np.testing.assert_array_equal(store.read(image_id).cam, cam)


def test_maps_of_another_source_are_not_mixed(recipe, squares, run_dir):
    crf(recipe, squares, run_dir, splits=["val"])
    with pytest.raises(StoreError, match="made with another background_power, maps, maps_made_by"):
        crf(override(recipe, {"crf.source": "cnn", "crf.background_power": 2}), squares, run_dir)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "crf"}, "name another source"),
        ({"preset": ""}, "choose one of irn, psa, deeplab"),
        ({"background_power": 0}, "must be positive"),
        ({"workers": -1}, "must not be negative"),
    ],
)
def test_wrong_settings_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        CrfConfig(**changes)


def test_the_command(recipe, squares, run_dir, monkeypatch, capsys):
    import train.open_run
    from train.__main__ import main

    monkeypatch.setattr(train.open_run, "_load", lambda _: recipe)
    monkeypatch.setattr(train.open_run, "open_recipe_dataset", lambda _: squares)
    command = ["crf", "--data", str(squares.root), "--run-dir", str(run_dir), "--split", "val"]
    assert main([*command, "--set", "crf.source=or"]) == 0
    assert f"crf: 4 images, 4 made now, 0 failed -> {run_dir / 'cams-crf'}" in capsys.readouterr().out
