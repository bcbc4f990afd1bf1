"""The random walk over whole splits: what is stored is what the core gives, made once, in any shares."""

import dataclasses

import numpy as np
import pytest
import torch

import train.walk as stage
from orandnet_core.errors import ConfigError, StoreError, WeightsError
from orandnet_core.fusion import or_cam
from orandnet_core.irn import IrnNetwork, build_irn, load_irn, random_walk, relations, save_irn
from orandnet_core.store import CamStore
from tests.train.maps import make_store
from train.config import override
from train.irn import irn_path
from train.walk import walk
from train.workspace import cam_stores, cams_dir


def make_irn(run_dir, seed):
    torch.manual_seed(seed)
    network = build_irn(IrnNetwork(model="test_resnet", displacement_channels=8))
    torch.nn.init.constant_(network.boundary.bias, -1.0)
    save_irn(irn_path(run_dir), network)


@pytest.fixture
def run_dir(tmp_path, squares):
    """A run with a network of random weights and maps of three sources."""
    for source, blur_px in (("cnn", 3.0), ("vit", 2.0), ("refine", 2.5)):
        make_store(tmp_path / "run", squares, source, blur_px)
    make_irn(tmp_path / "run", 0)
    return tmp_path / "run"


@pytest.fixture
def recipe(tiny_recipe):
    return override(tiny_recipe, {"walk.radius": 3, "walk.exp_times": 4})


def stored(run_dir, source, image_id):
    return CamStore(cams_dir(run_dir, source)).read(image_id)


def expected(run_dir, squares, image_id, cam, axes=(0, 1, 2), **changes):
    boundary, _ = relations(load_irn(irn_path(run_dir)), squares.image(image_id))
    settings = {"radius": 3, "beta": 10.0, "steps": 16} | changes
    maps = random_walk(torch.tensor(cam), boundary, **settings).numpy()
    return maps / maps.max(axis=axes, keepdims=True)


def test_every_image_of_the_splits_walks_from_the_refined_maps(recipe, squares, run_dir):
    result = walk(recipe, squares, run_dir)
    assert (result.made, result.failed) == (12, ())
    for image_id in squares.image_ids("val"):
        walked = stored(run_dir, "walk", image_id)
        refined = stored(run_dir, "refine", image_id)
        assert walked.class_ids.tolist() == refined.class_ids.tolist()
        assert walked.cam.max() == 1
        np.testing.assert_allclose(walked.cam, expected(run_dir, squares, image_id, refined.cam), atol=1e-3)
    assert "walk" in cam_stores(run_dir)


def test_any_source_and_settings(recipe, squares, run_dir):
    changes = {"walk.source": "or", "walk.normalised_by": "class", "walk.beta": 2.0, "walk.exp_times": 3}
    walk(override(recipe, changes), squares, run_dir, splits=["val"])
    for image_id in squares.image_ids("val"):
        cam = or_cam(*(stored(run_dir, name, image_id).cam for name in ("cnn", "vit")))
        by_hand = expected(run_dir, squares, image_id, cam, axes=(1, 2), beta=2.0, steps=8)
        np.testing.assert_allclose(stored(run_dir, "walk", image_id).cam, by_hand, atol=1e-3)


def test_a_map_of_zeros_stays_one(recipe, squares, run_dir):
    image_id = squares.image_ids("val")[0]
    refined = stored(run_dir, "refine", image_id)
    CamStore(cams_dir(run_dir, "refine")).write(image_id, 0 * refined.cam, refined.class_ids, (48, 48))
    assert walk(recipe, squares, run_dir, splits=["val"]).made == 4
    assert not stored(run_dir, "walk", image_id).cam.any()


def test_a_stopped_walk_goes_on_in_shards(recipe, squares, run_dir, monkeypatch):
    walked, calls = stage.walked, []

    def some(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return walked(*arguments)

    monkeypatch.setattr(stage, "walked", some)
    with pytest.raises(KeyboardInterrupt):
        walk(recipe, squares, run_dir)
    assert len(CamStore(cams_dir(run_dir, "walk"))) == 3
    results = [walk(recipe, squares, run_dir, shard=(number, 5)) for number in range(1, 6)]
    assert sum(result.kept for result in results) == 3
    assert sum(result.made for result in results) == 9
    assert walk(recipe, squares, run_dir).kept == 12


def test_a_bad_image_is_listed_and_passed_over(recipe, squares, run_dir):
    first, second = squares.image_ids("val")[:2]
    squares.image_path_of(first).write_bytes(b"no image")
    damaged = next(cams_dir(run_dir, "refine").glob(f"??/{second}.npz"))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    result = walk(recipe, squares, run_dir, splits=["val"])
    assert result.made == 2
    assert "not an image" in result.reasons[first]
    assert "damaged" in result.reasons[second]


def test_maps_of_another_photo_are_refused(recipe, squares, run_dir):
    image_id = squares.image_ids("val")[0]
    refined = stored(run_dir, "refine", image_id)
    CamStore(cams_dir(run_dir, "refine")).write(
        image_id, np.zeros((len(refined.class_ids), 10, 12), np.float32), refined.class_ids, (40, 48)
    )
    result = walk(recipe, squares, run_dir, splits=["val"])
    assert r"maps are (10, 12), a photo of (48, 48) px has (12, 12)" in result.reasons[image_id]


def test_the_card_says_what_made_the_maps_and_others_are_not_mixed(recipe, squares, run_dir):
    walk(recipe, squares, run_dir, splits=["val"])
    card = CamStore(cams_dir(run_dir, "walk")).card
    assert (card["source"], card["maps"], card["method"]) == ("walk", "refine", "random walk")
    assert (card["radius"], card["beta"], card["exp_times"]) == (3, 10.0, 4)
    assert card["network"]["model"] == "test_resnet"
    assert card["splits"] == {"val": squares.fingerprint("val")}
    with pytest.raises(StoreError, match="another beta, maps, maps_made_by: add --anew"):
        walk(override(recipe, {"walk.beta": 4.0, "walk.source": "and"}), squares, run_dir)
    make_irn(run_dir, 1)
    with pytest.raises(StoreError, match="another weights_sha256"):
        walk(recipe, squares, run_dir)
    assert walk(recipe, squares, run_dir, anew=True).made == 12


def test_what_stops_before_the_first_image(recipe, squares, run_dir):
    with pytest.raises(ConfigError, match="not of 'amn'"):
        walk(override(recipe, {"walk.source": "amn"}), squares, run_dir)
    irn_path(run_dir).unlink()
    with pytest.raises(WeightsError, match="no such file; train it with `python -m train irn`"):
        walk(recipe, squares, run_dir)
    assert not cams_dir(run_dir, "walk").exists()


def test_changed_labels_are_made_anew_from_maps_of_those_classes_only(recipe, squares, run_dir):
    walk(recipe, squares, run_dir, splits=["val"])
    image_id = squares.image_ids("val")[0]
    labels = dict(squares.image_labels_by_id)
    labels[image_id] = 1 - labels[image_id]
    relabelled = dataclasses.replace(squares, image_labels_by_id=labels)
    result = walk(recipe, relabelled, run_dir, splits=["val"])
    assert (result.kept, result.made) == (3, 0)
    assert "make the maps anew" in result.reasons[image_id]


def test_the_command(recipe, squares, run_dir, monkeypatch, capsys):
    import train.open_run
    from train.__main__ import main

    monkeypatch.setattr(train.open_run, "_load", lambda _: recipe)
    monkeypatch.setattr(train.open_run, "open_recipe_dataset", lambda _: squares)
    command = ["walk", "--data", str(squares.root), "--run-dir", str(run_dir), "--split", "val"]
    assert main([*command, "--shard", "1/2"]) == 0
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "walk: 2 images, 2 made now, 0 failed" in out
    assert f"walk: 4 images, 2 made now, 0 failed -> {run_dir / 'cams-walk'}" in out
    assert main([*command, "--anew", "--shard", "1/2"]) == 2
