"""Training the IRN, end to end on squares: boundaries come where labels change, and it resumes to the bit."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import train.irn as stage
from orandnet_core.backbones import Network, build_classifier, save_classifier
from orandnet_core.datasets import voc12
from orandnet_core.errors import CheckpointError, ConfigError, DataError
from orandnet_core.irn import load_irn, relations
from orandnet_core.mask_store import MaskStore
from tests.conftest import ROOT
from train.classify import classifier_path
from train.config import IrnConfig, PairAugmentConfig, WalkConfig, override, to_dict
from train.irn import irn, irn_path

TINY = IrnConfig(
    model="test_resnet",
    weights="none",
    backbone_rate_factor=1.0,
    boundary_channels=16,
    displacement_channels=16,
    radius=5,
    augment=PairAugmentConfig(crop_px=64, resize=(0.8, 1.2), colour_jitter=0.0),
    epochs=2,
    batch_size=4,
    learning_rate=0.01,
)


@pytest.fixture
def recipe(tiny_recipe):
    return dataclasses.replace(tiny_recipe, irn=TINY)


@pytest.fixture
def run_dir(tmp_path, squares):
    """A run whose IR labels are the squares' masks, all but a band around each square."""
    labels = MaskStore(tmp_path / "run" / "ir-labels")
    for image_id in squares.image_ids("train"):
        mask = squares.mask(image_id)
        steps = np.stack([np.roll(mask, shift, axis) for shift in (-2, 2) for axis in (0, 1)])
        labels.write(image_id, np.where((steps != mask).any(0), 255, mask).astype(np.uint8))
    return tmp_path / "run"


def weights_of(run_dir):
    return load_irn(irn_path(run_dir)).state_dict()


def test_it_is_trained_saved_and_not_trained_again(recipe, squares, run_dir):
    result = irn(recipe, squares, run_dir)
    assert (result["images"], result["steps"]) == (8, 4)
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in lines} == {"irn"}
    assert {"loss", "lr", "images_per_s", "memory_gb"} <= set().union(*lines)
    network = load_irn(irn_path(run_dir))
    assert network.network.boundary_channels == 16
    assert network.mean_displacement.any()
    written = irn_path(run_dir).stat().st_mtime_ns
    assert irn(recipe, squares, run_dir) == result
    assert irn_path(run_dir).stat().st_mtime_ns == written


def changes_within(mask, cells):
    """Where another label lies within so many cells, in rows and columns."""
    padded = np.pad(mask, cells, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * cells + 1,) * 2)
    return windows.min((2, 3)) != windows.max((2, 3))


def test_boundaries_come_where_labels_change(tiny_recipe, tmp_path):
    """Bright squares on dark ground; the labels say nothing of a band of two cells around the edge."""
    rng = np.random.default_rng(0)
    root, side = tmp_path / "bright", 96
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    ids = [f"{number:02d}" for number in range(8)]
    labels = MaskStore(tmp_path / "run" / "ir-labels")
    for image_id in ids:
        mask = np.zeros((side, side), np.uint8)
        top, left = rng.integers(8, 48, 2)
        mask[top : top + 40, left : left + 40] = 1
        photo = np.where(mask[..., None] == 1, 190, 70) + rng.integers(-30, 30, (side, side, 3))
        Image.fromarray(photo.astype(np.uint8)).save(root / "JPEGImages" / f"{image_id}.jpg")
        Image.fromarray(mask).save(root / "SegmentationClass" / f"{image_id}.png")
        label = mask.copy()
        label[top - 4 : top + 44, left - 4 : left + 44] = 255
        label[top + 4 : top + 36, left + 4 : left + 36] = 1
        labels.write(image_id, label)
    for split in ("train", "val"):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(ids))
    dataset = voc12(root, name="bright", class_names=("thing",))
    config = dataclasses.replace(
        TINY, epochs=40, augment=PairAugmentConfig(crop_px=96, resize=(0.9, 1.1), colour_jitter=0.0)
    )
    irn(dataclasses.replace(tiny_recipe, irn=config), dataset, tmp_path / "run")
    network = load_irn(irn_path(tmp_path / "run"))
    for image_id in ids[:4]:
        boundary = relations(network, dataset.image(image_id))[0].numpy()
        mask = dataset.mask(image_id)[2::4, 2::4]
        near, grown = changes_within(mask, 1), changes_within(mask, 2)
        assert boundary[near].mean() > 0.3
        assert boundary[~grown].mean() < 0.03


@pytest.mark.parametrize("die_at", [1, 3])
def test_a_killed_training_resumes_to_the_same_weights(recipe, squares, run_dir, monkeypatch, die_at):
    irn(recipe, squares, run_dir)
    expected = weights_of(run_dir)
    (run_dir / "irn").rename(run_dir / "whole")
    monkeypatch.setattr("train.loop.CHECKPOINT_EVERY_S", -1.0)
    pair_loss, steps = stage.pair_loss, []

    def killed(*arguments):
        if len(steps) == die_at:
            raise KeyboardInterrupt
        steps.append(1)
        return pair_loss(*arguments)

    monkeypatch.setattr(stage, "pair_loss", killed)
    with pytest.raises(KeyboardInterrupt):
        irn(recipe, squares, run_dir)
    monkeypatch.setattr(stage, "pair_loss", lambda *arguments: steps.append(1) or pair_loss(*arguments))
    irn(recipe, squares, run_dir)
    assert len(steps) == 4
    resumed = weights_of(run_dir)
    assert all(torch.equal(resumed[name], value) for name, value in expected.items())


def test_a_frozen_backbone_is_that_of_the_runs_cnn(recipe, squares, run_dir):
    torch.manual_seed(1)
    cnn = build_classifier(Network(model="test_resnet", head="conv", class_names=squares.class_names))
    save_classifier(classifier_path(run_dir, "cnn"), cnn)
    frozen = override(recipe, {"irn.weights": "cnn", "irn.backbone_rate_factor": 0.0})
    first = irn(frozen, squares, run_dir)
    trained, own = load_irn(irn_path(run_dir)).backbone.state_dict(), cnn.backbone.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in trained.items())
    save_classifier(
        classifier_path(run_dir, "cnn"),
        build_classifier(Network(model="test_efficientnet", head="conv", class_names=squares.class_names)),
    )
    (run_dir / "irn" / "result.json").rename(run_dir / "old.json")
    with pytest.raises(ConfigError, match="the run's CNN, test_efficientnet: set irn.model to it"):
        irn(frozen, squares, run_dir)
    assert first["images"] == 8


def test_only_images_with_a_label_are_learned_from(recipe, squares, run_dir):
    missing, damaged = squares.image_ids("train")[:2]
    (run_dir / "ir-labels" / f"{missing}.png").unlink()
    (run_dir / "ir-labels" / f"{damaged}.png").write_bytes(b"no mask")
    assert irn(recipe, squares, run_dir)["images"] == 7


def test_other_labels_are_another_training(recipe, squares, run_dir):
    irn(recipe, squares, run_dir)
    image_id = squares.image_ids("train")[0]
    MaskStore(run_dir / "ir-labels").write(image_id, np.zeros((48, 48), np.uint8))
    with pytest.raises(CheckpointError, match="another recipe or data set"):
        irn(recipe, squares, run_dir)


def test_without_labels_there_is_nothing_to_learn(recipe, squares, tmp_path):
    with pytest.raises(DataError, match="no IR label of any image of train; make them with"):
        irn(recipe, squares, tmp_path / "elsewhere")


def test_each_part_has_its_rate(recipe):
    config = dataclasses.replace(
        TINY, optimiser="sgd", momentum=0.5, displacement_rate_factor=10.0, backbone_rate_factor=0.1
    )
    optimizer = stage._optimiser(stage._model(config, ROOT), config)
    assert [group["initial_lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.1, 0.001])
    assert {group["momentum"] for group in optimizer.param_groups} == {0.5}
    frozen = dataclasses.replace(config, backbone_rate_factor=0.0, weights="hub")
    assert len(stage._optimiser(stage._model(config, ROOT), frozen).param_groups) == 2


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (IrnConfig, {"weights": "none"}, "a backbone that starts from nothing has to learn"),
        (IrnConfig, {"radius": 1}, "radius 1: from 2 on"),
        (IrnConfig, {"epochs": 0}, "epochs 0: must be positive"),
        (IrnConfig, {"accumulate": 3}, "must divide batch_size 8"),
        (IrnConfig, {"optimiser": "lion"}, "optimiser 'lion': choose one of"),
        (IrnConfig, {"momentum": 1.0}, r"must lie in \[0, 1\)"),
        (IrnConfig, {"learning_rate": 0.0}, "must be positive"),
        (IrnConfig, {"backbone_rate_factor": -1.0}, "must not be negative"),
        (IrnConfig, {"displacement_rate_factor": 0.0}, "must be positive"),
        (WalkConfig, {"source": ""}, "name a source"),
        (WalkConfig, {"radius": 0}, "radius 0: from 2 on"),
        (WalkConfig, {"beta": 0.0}, "must be positive"),
        (WalkConfig, {"exp_times": 20}, r"must lie in \[0, 16\]"),
        (WalkConfig, {"normalised_by": "split"}, "choose one of"),
    ],
)
def test_wrong_settings_are_refused(kind, changes, words):
    with pytest.raises(ConfigError, match=words):
        kind(**changes)


def test_the_command(recipe, squares, run_dir, monkeypatch, capsys):
    import train.open_run
    from train.__main__ import main

    monkeypatch.setattr(train.open_run, "_load", lambda _: recipe)
    monkeypatch.setattr(train.open_run, "open_recipe_dataset", lambda _: squares)
    command = ["irn", "--data", str(squares.root), "--run-dir", str(run_dir)]
    assert main([*command, "--set", "irn.epochs=1"]) == 0
    assert "irn: 8 images, 2 steps" in capsys.readouterr().out
    assert main([*command, "--set", "irn.radius=0"]) == 2
    assert "radius 0" in capsys.readouterr().err


TWO_RANKS = """
import sys
sys.path[:0] = [{root!r}]
import json, torch
from pathlib import Path
from orandnet_core.datasets import voc12
from train.config import Recipe, from_dict
from train.irn import irn
recipe = from_dict(json.loads(Path({recipe!r}).read_text()), Recipe)
torch.set_num_threads(1)
squares = voc12({squares!r}, name="squares", class_names=("red", "green", "blue"))
irn(recipe, squares, Path({run!r}))
"""


@pytest.mark.slow
def test_two_processes_train_to_the_same_weights_as_one(recipe, squares, run_dir):
    # Frozen, as batch statistics of half a batch are others; from the run's CNN, as none may start frozen.
    torch.manual_seed(1)
    cnn = build_classifier(Network(model="test_resnet", head="conv", class_names=squares.class_names))
    save_classifier(classifier_path(run_dir, "cnn"), cnn)
    changes = {"irn.weights": "cnn", "irn.backbone_rate_factor": 0.0, "irn.precision": "float32"}
    # With SGD a difference in rounding stays one; AdamW makes steps of it where gradients vanish.
    recipe = override(recipe, changes | {"irn.optimiser": "sgd", "irn.learning_rate": 0.05})
    irn(recipe, squares, run_dir)
    one = weights_of(run_dir)
    (run_dir / "irn").rename(run_dir / "one")
    (run_dir / "recipe.json").write_text(json.dumps(to_dict(recipe)))
    script = run_dir / "rank.py"
    paths = {"recipe": run_dir / "recipe.json", "squares": squares.root, "run": run_dir, "root": ROOT}
    script.write_text(TWO_RANKS.format(**{name: str(path) for name, path in paths.items()}))
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29541"]
    done = subprocess.run([*launch, str(script)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    for name, value in weights_of(run_dir).items():
        torch.testing.assert_close(value, one[name], atol=1e-4, rtol=1e-3)
