"""The refiner of a run: trained once and to the step, then every image refined; no bad file stops it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import train.__main__ as cli
from orandnet_core.errors import CheckpointError, ConfigError, DataError, StoreError
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.refiner import build_refiner, load_refiner, refine_cam
from orandnet_core.store import CamStore, resize_maps
from train import refine as stage
from train.cam_pairs import CamPairs
from train.config import FusionConfig, RefineConfig, override, to_dict
from train.map_crops import MapCrops, collate
from train.refine import batch_loss, refine, refiner_path, train_refiner
from train.workspace import cam_stores, cams_dir

ROOT = Path(__file__).resolve().parents[2]
PHOTO_PX = 48


def write_cams(run_dir: Path, dataset, *, leave_out=()) -> None:
    """CAMs of both networks: the truth under noise; the ViT's with a spot that is not there."""
    rng = np.random.default_rng(0)
    for source, noise in (("cnn", 0.2), ("vit", 0.4)):
        store = CamStore(cams_dir(run_dir, source))
        store.write_card({"source": source, "dataset": dataset.name})
        for image_id in (*dataset.image_ids("train"), *dataset.image_ids("val")):
            mask, class_ids = dataset.mask(image_id), dataset.class_ids(image_id)
            cam = (mask == class_ids[:, None, None]).astype(np.float32) * (1 - noise)
            cam += noise * rng.random(cam.shape, np.float32)
            if source == "vit":
                cam[:, :8, -8:] = 0.7
            if image_id not in leave_out:
                store.write(image_id, cam, class_ids, mask.shape)


@pytest.fixture
def recipe(tiny_recipe):
    return override(
        tiny_recipe,
        {"refine.epochs": 2, "refine.batch_size": 4, "refine.crop_px": 32, "refine.precision": "float32"},
    )


@pytest.fixture
def run_dir(tmp_path, squares):
    write_cams(tmp_path / "run", squares)
    return tmp_path / "run"


# Training


def test_a_refiner_is_trained_once_and_refines_every_image(recipe, squares, run_dir):
    made = refine(recipe, squares, run_dir)
    both = (*squares.image_ids("train"), *squares.image_ids("val"))
    assert (made.made, made.kept, made.failed) == (len(both), 0, ())
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in lines} == {"refine", "cams-refine"}
    assert {"loss", "lr", "images_per_s"} <= set().union(*lines)
    assert [line for line in lines if line["stage"] == "refine"][-1]["done"] == 2 * 2
    assert list(cam_stores(run_dir)) == ["cnn", "refine", "vit"]
    store = CamStore(cams_dir(run_dir, "refine"))
    assert store.image_ids() == tuple(sorted(both))
    for image_id in both:
        stored = store.read(image_id)
        assert stored.class_ids.tolist() == squares.class_ids(image_id).tolist()
        assert (stored.size_hw, stored.cam.shape[1:]) == ((PHOTO_PX, PHOTO_PX), (12, 12))
        np.testing.assert_allclose(stored.cam.max((1, 2)), 1)

    written = refiner_path(run_dir).stat().st_mtime_ns
    again = refine(recipe, squares, run_dir)
    assert (again.made, again.kept) == (0, len(both))
    assert refiner_path(run_dir).stat().st_mtime_ns == written


def test_what_is_stored_is_the_refined_or_map(recipe, squares, run_dir):
    recipe = override(recipe, {"fusion.gamma_vit": 2.0, "fusion.rule": "mean"})
    refine(recipe, squares, run_dir)
    image_id = squares.image_ids("val")[0]
    cnn, vit = (CamStore(cams_dir(run_dir, source)).read(image_id).cam for source in ("cnn", "vit"))
    expected = refine_cam(load_refiner(refiner_path(run_dir)), fuse(cnn, vit, Fusion("or", gamma_vit=2.0)))
    stored = CamStore(cams_dir(run_dir, "refine")).read(image_id)
    np.testing.assert_allclose(stored.cam, expected, atol=1e-3)


def test_the_refined_map_is_nearer_to_and_than_or_is(recipe, squares, run_dir):
    recipe = override(recipe, {"refine.epochs": 40, "refine.learning_rate": 0.003, "refine.crop_px": 48})
    refine(recipe, squares, run_dir)
    pairs, store = CamPairs(run_dir, recipe.fusion), CamStore(cams_dir(run_dir, "refine"))
    errors = []
    for image_id in squares.image_ids("val"):
        fused = pairs.read(image_id, ("or", "and")).cams
        refined = store.read(image_id).cam
        errors.append([np.abs(cam - fused["and"]).mean() for cam in (refined, fused["or"])])
    refined, unrefined = np.mean(errors, 0)
    assert refined < 0.7 * unrefined


@pytest.mark.parametrize(
    "changes",
    [
        {"refine.guidance": True},
        {"refine.cell_px": 3},
        {"refine.loss": "reference"},
        {"refine.optimiser": "sgd", "refine.precision": "bfloat16", "refine.accumulate": 2},
        {"refine.crop_px": 200, "refine.flip": False},
    ],
)
def test_every_option_trains_and_refines(recipe, squares, run_dir, changes):
    recipe = override(recipe, changes | {"refine.epochs": 1})
    assert refine(recipe, squares, run_dir).failed == ()
    card = CamStore(cams_dir(run_dir, "refine")).card
    assert card["network"]["guidance"] == recipe.refine.guidance
    assert card["network"]["cell_px"] == recipe.refine.cell_px
    cam = CamStore(cams_dir(run_dir, "refine")).read(squares.image_ids("val")[0]).cam
    assert cam.shape[1:] == (12, 12)
    np.testing.assert_allclose(cam.max((1, 2)), 1)


def test_another_recipe_or_other_cams_in_the_same_folder_are_refused(recipe, squares, run_dir):
    refine(recipe, squares, run_dir)
    with pytest.raises(CheckpointError, match="another recipe or data set"):
        refine(override(recipe, {"seed": 1}), squares, run_dir)
    with pytest.raises(CheckpointError, match="another recipe or data set"):
        refine(override(recipe, {"fusion.offset_vit": 0.1}), squares, run_dir)
    # What the refiner does not look at may change.
    refine(override(recipe, {"fusion.rule": "mean", "fusion.background_threshold": 0.3}), squares, run_dir)
    first = squares.image_ids("train")[0]
    store = CamStore(cams_dir(run_dir, "cnn"))
    stored = store.read(first)
    store.write(first, 1 - stored.cam, stored.class_ids, stored.size_hw)
    with pytest.raises(CheckpointError, match="another recipe or data set"):
        refine(recipe, squares, run_dir)


def test_cams_of_another_split_may_come_later(recipe, squares, tmp_path):
    write_cams(tmp_path / "run", squares, leave_out=squares.image_ids("val"))
    made = refine(recipe, squares, tmp_path / "run", splits=["train"])
    assert made.failed == ()
    write_cams(tmp_path / "run", squares)
    assert refine(recipe, squares, tmp_path / "run").made == len(squares.image_ids("val"))
    assert set(CamStore(cams_dir(tmp_path / "run", "refine")).card["splits"]) == {"train", "val"}


KILLED = """
import os, signal, sys
sys.path[:0] = [{root!r}]
import json, torch
from pathlib import Path
import train.loop
from orandnet_core.datasets import voc12
from train import refine as stage
from train.config import Recipe, from_dict
torch.set_num_threads(1)
train.loop.CHECKPOINT_EVERY_S = -1.0
loss, steps = stage.batch_loss, []
def dying(*args):
    steps.append(1)
    if len(steps) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return loss(*args)
stage.batch_loss = dying
squares = voc12({squares!r}, name="squares", class_names=("red", "green", "blue"))
stage.refine(from_dict(json.loads(Path({recipe!r}).read_text()), Recipe), squares, Path({run!r}))
"""


def test_kill_9_and_resume_gives_the_same_weights(recipe, squares, tmp_path):
    recipe = override(recipe, {"refine.epochs": 3})
    for name in ("whole", "cut"):
        write_cams(tmp_path / name, squares)
    train_refiner(recipe, squares, tmp_path / "whole")
    (tmp_path / "recipe.json").write_text(json.dumps(to_dict(recipe)))
    script = KILLED.format(
        root=str(ROOT),
        squares=str(squares.root),
        recipe=str(tmp_path / "recipe.json"),
        run=str(tmp_path / "cut"),
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not refiner_path(tmp_path / "cut").exists()
    train_refiner(recipe, squares, tmp_path / "cut")
    done = [
        json.loads(line)["done"] for line in (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    ]
    assert done.count(0) == 1  # the second process began where the first had been
    whole, cut = (load_refiner(refiner_path(tmp_path / name)).state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_shares_of_a_batch_add_up_to_its_loss(recipe, squares, run_dir):
    """As two processes of two images each would have it."""
    crops = MapCrops(squares, CamPairs(run_dir, recipe.fusion), squares.image_ids("train"), recipe.refine, 0)
    samples = [crops[0, index] for index in range(4)]
    assert {len(sample.or_cam) for sample in samples} == {1, 2}
    torch.manual_seed(0)
    model, device = build_refiner(stage.RefinerNetwork()), torch.device("cpu")
    for loss in ("binary", "reference"):
        whole = batch_loss(model, collate(samples), loss, device)
        parts = [batch_loss(model, collate(samples[part::2]), loss, device) for part in range(2)]
        torch.testing.assert_close(sum(parts) / 2, whole)


# Crops


def crops_of(squares, run_dir, recipe, **changes):
    config = override(recipe, {f"refine.{name}": value for name, value in changes.items()}).refine
    return MapCrops(squares, CamPairs(run_dir, recipe.fusion), squares.image_ids("train"), config, 0)


def test_a_crop_is_a_window_of_both_maps_and_the_photo(recipe, squares, run_dir):
    crops = crops_of(squares, run_dir, recipe, guidance=True, crop_px=32)
    pairs, found = CamPairs(run_dir, recipe.fusion), set()
    image_id = crops.image_ids[0]
    fused = pairs.read(image_id, ("or", "and")).cams
    photo = resize_maps(squares.image(image_id).transpose(2, 0, 1), (12, 12))
    for epoch in range(12):
        crop = crops[epoch, 0]
        assert crop.inside.all()
        places = [
            (top, left, flip)
            for top in range(5)
            for left in range(5)
            for flip in (1, -1)
            if np.array_equal(crop.or_cam, fused["or"][:, top : top + 8, left : left + 8][..., ::flip])
        ]
        assert len(places) == 1
        top, left, flip = places[0]
        window = np.s_[:, top : top + 8, left : left + 8]
        np.testing.assert_array_equal(crop.and_cam, fused["and"][window][..., ::flip])
        np.testing.assert_allclose(crop.photo, photo[window][..., ::flip], atol=1.01)
        found.add(places[0])
    assert len(found) > 6
    assert {flip for _, _, flip in found} == {1, -1}
    again = crops_of(squares, run_dir, recipe, guidance=True, crop_px=32)
    assert all(torch.equal(a, b) for a, b in zip(again[3, 0], crops[3, 0], strict=True))


def test_beyond_a_small_image_nothing_counts(recipe, squares, run_dir):
    crops = crops_of(squares, run_dir, recipe, guidance=True, crop_px=80, flip=False)
    crop = crops[0, 1]
    assert crop.or_cam.shape[1:] == crop.inside.shape == crop.photo.shape[1:] == (20, 20)
    assert crop.inside[:12, :12].all()
    assert crop.inside.sum() == 12 * 12
    assert crop.or_cam[:, 12:].abs().max() == 0
    beyond = build_refiner(stage.RefinerNetwork(guidance=True))
    normalised = (crop.photo / 255 - beyond.mean) / beyond.std
    assert normalised[:, 12:].abs().max() < 0.02


def test_cams_that_cannot_be_read_are_passed_over_in_training(recipe, squares, run_dir, caplog):
    crops = crops_of(squares, run_dir, recipe)
    victim = crops.image_ids[2]
    path = next(CamStore(cams_dir(run_dir, "vit")).root.glob(f"??/{victim}.npz"))
    path.write_bytes(b"no CAM")
    assert torch.equal(crops[0, 2].or_cam, crops[0, 3].or_cam)
    assert "passed over" in caplog.text
    for path in CamStore(cams_dir(run_dir, "cnn")).root.glob("??/*.npz"):
        path.write_bytes(b"no CAM")
    with pytest.raises(DataError, match="none of the CAMs of 8 images can be read"):
        crops[0, 0]


# Refining


def test_images_without_cams_are_listed_and_the_rest_is_made(recipe, squares, tmp_path, capsys):
    missing = squares.image_ids("val")[1]
    run_dir = tmp_path / "run"
    write_cams(run_dir, squares, leave_out=[missing])
    made = refine(recipe, squares, run_dir)
    assert made.failed == (missing,)
    assert "no CAM of" in made.reasons[missing]
    assert len(CamStore(cams_dir(run_dir, "refine"))) == 11


def test_cams_of_other_classes_than_the_labels_are_listed(recipe, squares, run_dir):
    victim = squares.image_ids("val")[0]
    for source in ("cnn", "vit"):
        store = CamStore(cams_dir(run_dir, source))
        stored = store.read(victim)
        other = np.setdiff1d([1, 2, 3], stored.class_ids)[:1]
        store.write(victim, stored.cam[:1], other, stored.size_hw)
    made = refine(recipe, squares, run_dir)
    assert made.failed == (victim,)
    assert "labels" in made.reasons[victim]


def test_two_networks_that_disagree_on_the_classes_are_an_error_of_that_image(recipe, squares, run_dir):
    victim = squares.image_ids("val")[0]
    store = CamStore(cams_dir(run_dir, "vit"))
    stored = store.read(victim)
    store.write(victim, stored.cam[:1], np.setdiff1d([1, 2, 3], stored.class_ids)[:1], stored.size_hw)
    with pytest.raises(DataError, match=r"cams-cnn has classes .* cams-vit has classes"):
        CamPairs(run_dir, recipe.fusion).read(victim, ("or",))


def test_without_any_cams_the_message_says_what_makes_them(recipe, squares, tmp_path):
    with pytest.raises(DataError, match=r"none of 8 images has CAMs in both.*python -m train cams"):
        refine(recipe, squares, tmp_path)


def test_shards_share_the_images_of_a_trained_refiner(recipe, squares, run_dir):
    with pytest.raises(ConfigError, match="without it first"):
        refine(recipe, squares, run_dir, shard=(1, 2))
    train_refiner(recipe, squares, run_dir)
    made = [refine(recipe, squares, run_dir, shard=(number, 5)).made for number in range(1, 6)]
    assert made == [3, 3, 2, 2, 2]
    assert refine(recipe, squares, run_dir).made == 0


def test_a_store_of_another_refiner_is_not_mixed_with(recipe, squares, run_dir):
    refine(recipe, squares, run_dir)
    store = CamStore(cams_dir(run_dir, "refine"))
    store.write_card(store.card | {"weights_sha256": "0" * 16})
    with pytest.raises(StoreError, match="made with another weights_sha256.*--anew"):
        refine(recipe, squares, run_dir)
    assert refine(recipe, squares, run_dir, anew=True).made == 12


def test_the_command_says_what_it_made(recipe, squares, run_dir, monkeypatch, capsys):
    monkeypatch.setattr(stage, "open_run", lambda args: (recipe, squares, run_dir))
    assert cli.main(["refine", "--split", "val"]) == 0
    assert "refine: CAMs of 4 images, 4 made now, 0 failed" in capsys.readouterr().out
    store = CamStore(cams_dir(run_dir, "cnn"))
    next(store.root.glob(f"??/{squares.image_ids('train')[0]}.npz")).unlink()
    assert cli.main(["refine"]) == 1
    assert squares.image_ids("train")[0] in capsys.readouterr().err
    assert cli.main(["refine", "--anew", "--shard", "1/2"]) == 2


# Fusing


@pytest.mark.parametrize(
    ("config", "rule", "expected"),
    [
        (FusionConfig(rule="and", gamma_cnn=0.5), "or", Fusion("or", gamma_cnn=0.5)),
        (FusionConfig(rule="and", gamma_cnn=0.5), "and", Fusion("and", gamma_cnn=0.5)),
        (FusionConfig(rule="or", weight_vit=2.0), "and", Fusion("and", weight_vit=2.0)),
        # Two witnesses are no brighter map.
        (FusionConfig(rule="noisy_or", weight_vit=2.0), "or", Fusion("or")),
        (FusionConfig(rule="noisy_or", weight_vit=2.0), "noisy_or", Fusion("noisy_or", weight_vit=2.0)),
    ],
)
def test_every_rule_gets_the_knobs_of_the_recipe(squares, run_dir, config, rule, expected):
    image_id = squares.image_ids("val")[0]
    cnn, vit = (CamStore(cams_dir(run_dir, source)).read(image_id) for source in ("cnn", "vit"))
    fused = CamPairs(run_dir, config).read(image_id, (rule,))
    np.testing.assert_array_equal(fused.cams[rule], fuse(cnn.cam, vit.cam, expected))
    full = CamPairs(run_dir, config).read(image_id, (rule,), cell_px=1)
    np.testing.assert_allclose(full.cams[rule], fuse(cnn.full_size(), vit.full_size(), expected), atol=1e-6)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("architecture", "unet", "refine.architecture 'unet': choose one of"),
        ("weights", "hub", "starts from nothing"),
        ("loss", "softmax", "choose one of"),
        ("crop_px", 3, "at least cell_px"),
        ("epochs", 0, "must be positive"),
        ("accumulate", 3, "must divide batch_size"),
    ],
)
def test_a_wrong_config_says_what_is_wrong(path, value, message):
    with pytest.raises(ConfigError, match=message):
        RefineConfig(**{path: value})


def test_the_names_in_the_config_are_those_of_the_core():
    from orandnet_core.refiner import ARCHITECTURES, LOSSES
    from train.config import REFINER_LOSSES, REFINERS

    assert tuple(ARCHITECTURES) == REFINERS
    assert tuple(LOSSES) == REFINER_LOSSES
