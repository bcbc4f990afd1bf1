"""Training the segmentation network on squares: it learns, resumes, follows the curriculum, refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from orandnet_core.errors import CheckpointError, ConfigError, DataError
from orandnet_core.segmentation import SegmentationNetwork, build_segmenter, load_segmenter, segment
from orandnet_core.segmentation_loss import cross_entropy
from train import segment as stage
from train.config import Recipe, from_dict, override, to_dict
from train.loop import LoopConfig
from train.segment import Masks, network_path
from train.training import accelerator_for, training_loader

ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "segment.encoder": "test_resnet",
    "segment.weights": "none",
    "segment.masks": "truth",
    "segment.augment.crop_px": 32,
    "segment.augment.resize": (0.8, 1.2),
    "segment.epochs": 3,
    "segment.batch_size": 4,
    "segment.learning_rate": 1e-3,
    "segment.head_rate_factor": 1.0,
}
CURRICULUM = {"segment.curriculum.kind": "scale", "segment.curriculum.phases": ((0.5, 0.5), (0.5, 1.0))}


@pytest.fixture
def recipe(tiny_recipe):
    return override(tiny_recipe, TINY)


def weights(run_dir):
    return load_segmenter(network_path(run_dir)).state_dict()


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_network_is_trained_saved_and_not_trained_again(recipe, squares, tmp_path):
    result = stage.segment(recipe, squares, tmp_path)
    assert (result["images"], result["steps"], result["pixels"]) == (8, 6, 6 * 4 * 32**2)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {"loss", "lr", "images_per_s"} <= set().union(*lines)
    assert {line["stage"] for line in lines} == {"segment"}
    network = load_segmenter(network_path(tmp_path)).network
    assert (network.class_names, network.activation) == (("red", "green", "blue"), "softmax")
    written = network_path(tmp_path).stat().st_mtime_ns
    assert stage.segment(recipe, squares, tmp_path) == result
    assert network_path(tmp_path).stat().st_mtime_ns == written


@pytest.mark.parametrize("loss", ["cross_entropy", "smoothed_bce"])
def test_it_learns_the_squares(recipe, squares, tmp_path, loss):
    longer = {"segment.epochs": 30, "segment.learning_rate": 0.01, "segment.loss": loss}
    stage.segment(override(recipe, longer), squares, tmp_path)
    segmenter = load_segmenter(network_path(tmp_path))
    right = [
        np.mean(segment(segmenter, squares.image(image_id)) == squares.mask(image_id))
        for image_id in squares.image_ids("train")
    ]
    empty = [np.mean(squares.mask(image_id) == 0) for image_id in squares.image_ids("train")]
    assert np.mean(right) > 0.93 > np.mean(empty)


def loaded(recipe, dataset, config, monkeypatch, tmp_path):
    """The batches that the training is given, in place of a training."""
    taken = []

    def fit(model, optimizer, loss_of, loader_from, loop, accelerator, **_):
        taken.extend(tuple(part.shape) for part, _ in loader_from(0))
        return 0.0

    monkeypatch.setattr(stage, "fit", fit)
    stage.segment(override(recipe, config), dataset, tmp_path)
    return taken


def test_the_curriculum_changes_what_the_loader_gives(recipe, squares, tmp_path, monkeypatch):
    small, large = (16, 3, 16, 16), (4, 3, 32, 32)
    assert loaded(recipe, squares, CURRICULUM, monkeypatch, tmp_path / "a") == [small] * 3 + [large] * 3
    kept = CURRICULUM | {"segment.curriculum.grow_batch": False}
    assert loaded(recipe, squares, kept, monkeypatch, tmp_path / "b") == [(4, 3, 16, 16)] * 3 + [large] * 3
    assert loaded(recipe, squares, {}, monkeypatch, tmp_path / "c") == [large] * 6


def test_the_control_gives_as_many_pixels_at_full_size(recipe, squares, tmp_path, monkeypatch):
    frugal = CURRICULUM | {"segment.curriculum.grow_batch": False}
    scaled = loaded(recipe, squares, frugal, monkeypatch, tmp_path / "a")
    control = loaded(
        recipe, squares, frugal | {"segment.curriculum.kind": "equal_compute"}, monkeypatch, tmp_path / "b"
    )
    assert {shape[1:] for shape in control} == {(3, 32, 32)}
    pixels = [sum(shape[0] * shape[2] * shape[3] for shape in shapes) for shapes in (scaled, control)]
    assert pixels[0] == pixels[1] == 3 * 4 * (16**2 + 32**2)


def test_samples_of_a_step_follow_its_size_from_any_start(recipe, squares):
    """Micro-steps of one step have its size, also where a resumed training comes in."""
    accelerator = accelerator_for("float32", batch_size=4, accumulate=2)
    loop = LoopConfig(steps=4, seed=0, identity="", accumulate=2)

    class Keys(torch.utils.data.Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, key):
            return torch.tensor(key)

    def given(start):
        loader = training_loader(
            Keys(),
            lambda step: 4 - 2 * (step > 1),
            loop,
            accelerator,
            start=start,
            of_step=lambda step: 10 * step,
        )
        return [batch.tolist() for batch in loader]

    whole = given(0)
    assert [len(batch) for batch in whole] == [2, 2, 2, 2, 1, 1, 1, 1]
    assert [{key[2] for key in batch} for batch in whole] == [{0}] * 2 + [{10}] * 2 + [{20}] * 2 + [{30}] * 2
    for start in range(4):
        assert given(start) == whole[2 * start :]


KILLED = """
import json, os, signal, sys
sys.path[:0] = [{root!r}]
from pathlib import Path
import torch, train.loop
from orandnet_core.datasets import voc12
from train import segment
from train.config import Recipe, from_dict
torch.set_num_threads(1)
train.loop.CHECKPOINT_EVERY_S = -1.0
steps = 0
one_step = train.loop._step
def dying(*args):
    global steps
    steps += 1
    if steps > {die_after}:
        os.kill(os.getpid(), signal.SIGKILL)
    return one_step(*args)
train.loop._step = dying
squares = voc12({squares!r}, name="squares", class_names=("red", "green", "blue"))
segment.segment(from_dict(json.loads(Path({recipe!r}).read_text()), Recipe), squares, Path({run!r}))
"""


@pytest.mark.parametrize("die_after", [2, 4])
def test_kill_9_and_resume_gives_the_same_weights(recipe, squares, tmp_path, die_after):
    """Once in the phase of small images, once in that of large ones."""
    recipe = override(recipe, CURRICULUM)
    stage.segment(recipe, squares, tmp_path / "whole")
    (tmp_path / "recipe.json").write_text(json.dumps(to_dict(recipe)))
    assert from_dict(json.loads(json.dumps(to_dict(recipe))), Recipe) == recipe
    script = KILLED.format(
        root=str(ROOT),
        die_after=die_after,
        squares=str(squares.root),
        recipe=str(tmp_path / "recipe.json"),
        run=str(tmp_path / "cut"),
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120,
                            env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not network_path(tmp_path / "cut").exists()
    stage.segment(recipe, squares, tmp_path / "cut")
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


def test_seed_masks_and_curriculum_decide_the_weights(recipe, squares, tmp_path):
    stage.segment(recipe, squares, tmp_path / "a")
    stage.segment(recipe, squares, tmp_path / "b")
    stage.segment(override(recipe, {"seed": 1}), squares, tmp_path / "c")
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))
    with pytest.raises(CheckpointError, match="another recipe or data set"):
        stage.segment(override(recipe, CURRICULUM), squares, tmp_path / "a")


def test_pseudo_masks_come_from_the_run_or_from_a_folder(recipe, squares, tmp_path):
    ids = squares.image_ids("train")
    folder = tmp_path / "run" / "masks"
    folder.mkdir(parents=True)
    for image_id in ids[:5]:
        Image.fromarray(squares.mask(image_id)).save(folder / f"{image_id}.png")
    of_run = override(recipe, {"segment.masks": "masks", "segment.epochs": 1})
    assert stage.segment(of_run, squares, tmp_path / "run")["images"] == 5
    elsewhere = override(of_run, {"segment.masks": str(folder)})
    assert stage.segment(elsewhere, squares, tmp_path / "other")["images"] == 5
    before = Masks.of("masks", squares, tmp_path / "run").fingerprint(ids[:5])
    moved = shutil.copytree(folder, tmp_path / "moved")
    assert Masks.of(str(moved), squares, tmp_path).fingerprint(ids[:5]) == before
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(folder / f"{ids[0]}.png")
    assert Masks.of("masks", squares, tmp_path / "run").fingerprint(ids[:5]) != before
    with pytest.raises(CheckpointError):
        stage.segment(of_run, squares, tmp_path / "run")


def test_the_encoder_may_start_from_the_runs_own_cnn(recipe, squares, tmp_path, monkeypatch):
    from orandnet_core.backbones import Network, build_classifier, save_classifier
    from train.classify import classifier_path

    torch.manual_seed(7)
    network = Network(model="test_resnet", head="conv", class_names=squares.class_names)
    classifier = build_classifier(network)
    save_classifier(classifier_path(tmp_path, "cnn"), classifier)
    made = []
    monkeypatch.setattr(stage, "fit", lambda model, *_, **__: made.append(model) or 0.0)
    of_cnn = override(recipe, {"segment.weights": "cnn"})
    identity = stage.segment(of_cnn, squares, tmp_path)["identity"]
    ours, theirs = made[0].encoder.state_dict(), classifier.backbone.state_dict()
    assert all(torch.equal(value, theirs[name.removeprefix("model.")]) for name, value in ours.items())
    save_classifier(classifier_path(tmp_path, "cnn"), build_classifier(network))
    assert stage.segment(of_cnn, squares, tmp_path)["identity"] != identity
    with pytest.raises(ConfigError, match="run's CNN, test_resnet: set segment.encoder to it"):
        stage.segment(override(of_cnn, {"segment.encoder": "test_efficientnet"}), squares, tmp_path)


@pytest.mark.parametrize(
    ("starts_from", "frozen", "kept"), [("cnn", True, True), ("cnn", False, False), ("none", True, False)]
)
def test_statistics_that_came_with_the_encoders_weights_can_stay(
    starts_from, frozen, kept, recipe, squares, tmp_path
):
    from orandnet_core.backbones import Network, build_classifier, save_classifier
    from train.classify import classifier_path

    torch.manual_seed(7)
    classifier = build_classifier(Network(model="test_resnet", head="conv", class_names=squares.class_names))
    classifier.train()
    classifier(torch.randn(4, 3, 64, 64))  # statistics that are not those of a fresh network
    save_classifier(classifier_path(tmp_path, "cnn"), classifier)
    changed = {"segment.weights": starts_from, "segment.frozen_statistics": frozen}
    stage.segment(override(recipe, changed), squares, tmp_path)
    trained = load_segmenter(network_path(tmp_path)).model
    before = {name: value for name, value in classifier.backbone.state_dict().items() if "running" in name}
    after = {name.removeprefix("model."): value for name, value in trained.encoder.state_dict().items()}
    assert len(before) > 4
    assert all(torch.equal(value, after[name]) for name, value in before.items()) == kept
    decoders = [v for name, v in trained.decoder.state_dict().items() if name.endswith("running_mean")]
    assert decoders, "the decoder has none to begin with, and learns them"
    assert all(value.abs().max() > 0 for value in decoders)
    weights_before = classifier.backbone.state_dict()
    assert any(not torch.equal(weights_before[n], v) for n, v in after.items() if n.endswith("weight"))


def test_no_mask_says_how_to_make_them(recipe, squares, tmp_path):
    with pytest.raises(DataError, match=r"masks: no mask of any image of train.*python -m train masks"):
        stage.segment(override(recipe, {"segment.masks": "masks"}), squares, tmp_path)


def test_batches_that_leave_one_image_are_refused(recipe, squares, tmp_path):
    with pytest.raises(ConfigError, match="leaves 1 image to each of 4"):
        stage.segment(override(recipe, {"segment.accumulate": 4}), squares, tmp_path)


def test_decoder_and_encoder_learn_at_their_own_rates(recipe, squares, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        stage, "fit", lambda model, optimizer, *_, **__: made.append((model, optimizer)) or 0.0
    )
    config = {"segment.optimiser": "sgd", "segment.momentum": 0.8, "segment.head_rate_factor": 10.0}
    stage.segment(override(recipe, config | {"segment.weight_decay": 0.2}), squares, tmp_path)
    model, optimizer = made[0]
    rate_of = {id(p): group["initial_lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {rate_of[id(p)] for p in model.encoder.parameters()} == {1e-3}
    others = {id(p) for p in model.parameters()} - {id(p) for p in model.encoder.parameters()}
    assert {rate_of[each] for each in others} == {1e-2}
    assert {group["momentum"] for group in optimizer.param_groups} == {0.8}
    decay_of = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {decay_of[id(p)] for p in model.parameters() if p.ndim > 1} == {0.2}


@pytest.mark.parametrize("encoder", ["tf_efficientnet_lite0", "resnet10t"])
def test_statistics_over_all_processes_keep_the_activations(encoder):
    """timm's normalisation layers, as of the default encoder, hold activations."""
    network = SegmentationNetwork(architecture="deeplabv3plus", encoder=encoder, class_names=("a",))
    torch.manual_seed(0)
    model = build_segmenter(network)
    images = torch.randn(2, 3, 64, 64)
    model(images)  # statistics that are not those of a fresh network
    with torch.inference_mode():
        expected = model.eval()(images)
        shared = stage.with_shared_statistics(model)
        assert torch.equal(shared(images), expected)
    norms = [module for module in shared.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert len(norms) > 10
    assert {isinstance(module, nn.SyncBatchNorm) for module in norms} == {True}
    assert shared.state_dict().keys() == build_segmenter(network).state_dict().keys()


def test_shares_of_a_batch_count_by_their_decided_pixels():
    """Two processes' losses, weighted and averaged as gradients are, give the loss of the whole batch."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(4, 3, 6, 6, generator=generator)
    masks = torch.randint(0, 3, (4, 6, 6), generator=generator)
    masks[0], masks[2, :3] = 255, 255
    shares = [slice(0, 2), slice(2, 4)]
    counts = [(masks[share] != 255).sum().float() for share in shares]

    class Pair:
        num_processes = 2

        def reduce(self, count, how):
            assert how == "mean"
            assert count in counts
            return sum(counts) / 2

    parts = [
        cross_entropy(scores[share], masks[share]) * stage.weight_of_share(masks[share], Pair())
        for share in shares
    ]
    torch.testing.assert_close(sum(parts) / 2, cross_entropy(scores, masks))


def test_the_command_trains_and_says_where(recipe, squares, tmp_path, capsys):
    from train.__main__ import main

    (tmp_path / "recipe.json").write_text(json.dumps(to_dict(override(recipe, {"segment.epochs": 1}))))
    (squares.root / "classes.txt").write_text("red\ngreen\nblue\n")
    arguments = ["--recipe", str(tmp_path / "recipe.json"), "--data", str(squares.root)]
    assert main(["segment", *arguments, "--run-dir", str(tmp_path / "run")]) == 0
    assert "segment: 8 images, 2 steps" in capsys.readouterr().out
    assert network_path(tmp_path / "run").is_file()
