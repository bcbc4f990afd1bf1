"""CAMs of whole splits: made once, resumed, shared between processes, and never stopped by one bad file."""

import argparse
import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

from orandnet_core.backbones import Network, build_classifier, load_classifier, save_classifier
from orandnet_core.cams import compute_cam
from orandnet_core.errors import ConfigError, DataError, StoreError, WeightsError
from orandnet_core.store import CamStore
from train import cams as stage
from train.cams import cams, cams_dir
from train.classify import classifier_path
from train.config import CamConfig, override
from train.per_image import parse_shard


@pytest.fixture
def run_dir(tmp_path, squares):
    """A run whose two classifiers are there, with random weights."""
    torch.manual_seed(0)
    for source, network in {
        "cnn": Network(model="test_resnet", head="conv", class_names=squares.class_names),
        "vit": Network(model="test_vit", head="cls+patch", class_names=squares.class_names, image_px=48),
    }.items():
        classifier = build_classifier(network)
        if source == "cnn":
            torch.nn.init.uniform_(classifier.head.weight)  # positive: every map has something
        save_classifier(classifier_path(tmp_path / "run", source), classifier)
    return tmp_path / "run"


@pytest.fixture
def computed(monkeypatch):
    """How many CAMs have been computed so far."""
    calls = []
    monkeypatch.setattr(
        stage, "compute_cam", lambda *args, **more: calls.append(1) or compute_cam(*args, **more)
    )
    return calls


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("cnn", {}),
        ("cnn", {"cnn_cams.output_stride": 16, "cnn_cams.scales": (0.5, 1.0, 2.0)}),
        ("vit", {"vit_cams.long_side_px": 96, "vit_cams.options": (("normalise", "minmax"),)}),
        ("vit", {"vit_cams.method": "transformer_attribution", "vit_cams.flip": False}),
    ],
)
def test_every_image_of_the_splits_gets_its_cams(tiny_recipe, squares, run_dir, source, changes):
    recipe = override(tiny_recipe, changes)
    result = cams(recipe, source, squares, run_dir, splits=["val"])
    assert (result.made, result.kept, result.failed) == (4, 0, ())
    store = CamStore(cams_dir(run_dir, source))
    assert store.image_ids() == tuple(sorted(squares.image_ids("val")))
    for image_id in store.image_ids():
        stored = store.read(image_id)
        assert stored.class_ids.tolist() == squares.class_ids(image_id).tolist()
        assert stored.size_hw == (48, 48)
        assert stored.cam.shape[1:] == (12, 12)
        np.testing.assert_allclose(stored.cam.max((1, 2)), 1, atol=1e-3)


def test_what_is_stored_is_what_compute_cam_gives(tiny_recipe, squares, run_dir):
    cams(tiny_recipe, "cnn", squares, run_dir, splits=["val"])
    image_id = squares.image_ids("val")[1]
    stored = CamStore(cams_dir(run_dir, "cnn")).read(image_id)
    classifier = load_classifier(classifier_path(run_dir, "cnn"))
    expected = compute_cam(
        classifier, squares.image(image_id), squares.class_ids(image_id), "cam", output_hw=(12, 12)
    )
    np.testing.assert_allclose(stored.cam, expected, atol=2e-3)


def test_the_card_says_where_the_cams_come_from(tiny_recipe, squares, run_dir):
    cams(tiny_recipe, "vit", squares, run_dir, splits=["val"])
    card = CamStore(cams_dir(run_dir, "vit")).card
    assert (card["source"], card["recipe"], card["dataset"]) == ("vit", "tiny", "squares")
    assert (card["method"], card["scales"], card["flip"]) == ("patch_cam", [1.0], True)
    assert card["splits"] == {"val": squares.fingerprint("val")}
    assert card["network"]["model"] == "test_vit"
    assert len(card["weights_sha256"]) == 64


def test_what_is_there_is_kept_and_what_is_damaged_made_anew(tiny_recipe, squares, run_dir, computed):
    cams(tiny_recipe, "cnn", squares, run_dir, splits=["val"])
    store = CamStore(cams_dir(run_dir, "cnn"))
    before = store.fingerprint
    assert len(computed) == 4
    damaged = next(store.root.glob("??/*.npz"))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    result = cams(tiny_recipe, "cnn", squares, run_dir, splits=["val"])
    assert (result.made, result.kept, len(computed)) == (1, 3, 5)
    assert store.fingerprint == before
    result = cams(tiny_recipe, "cnn", squares, run_dir)
    assert (result.made, result.kept, len(computed)) == (8, 4, 13)
    assert set(store.card["splits"]) == {"train", "val"}


def test_changed_labels_are_made_anew(tiny_recipe, squares, run_dir):
    cams(tiny_recipe, "cnn", squares, run_dir, splits=["val"])
    image_id = squares.image_ids("val")[0]
    labels = dict(squares.image_labels_by_id)
    labels[image_id] = 1 - labels[image_id]
    relabelled = dataclasses.replace(squares, image_labels_by_id=labels)
    assert cams(tiny_recipe, "cnn", relabelled, run_dir, splits=["val"]).made == 1
    stored = CamStore(cams_dir(run_dir, "cnn")).read(image_id)
    assert stored.class_ids.tolist() == relabelled.class_ids(image_id).tolist()


def test_a_run_that_was_stopped_goes_on(tiny_recipe, squares, run_dir, monkeypatch):
    made = []

    def compute_some(*args, **more):
        made.append(1)
        if len(made) == 4:
            raise KeyboardInterrupt
        return compute_cam(*args, **more)

    monkeypatch.setattr(stage, "compute_cam", compute_some)
    with pytest.raises(KeyboardInterrupt):
        cams(tiny_recipe, "cnn", squares, run_dir)
    assert len(CamStore(cams_dir(run_dir, "cnn"))) == 3
    result = cams(tiny_recipe, "cnn", squares, run_dir)
    assert (result.made, result.kept) == (9, 3)


def test_shards_share_the_work(tiny_recipe, squares, run_dir):
    results = [cams(tiny_recipe, "cnn", squares, run_dir, shard=(number, 5)) for number in range(1, 6)]
    assert [result.made for result in results] == [3, 3, 2, 2, 2]
    whole = cams(tiny_recipe, "cnn", squares, run_dir)
    assert (whole.made, whole.kept) == (0, 12)
    both = squares.image_ids("train") + squares.image_ids("val")
    assert CamStore(cams_dir(run_dir, "cnn")).image_ids() == tuple(sorted(both))
    stages = {json.loads(line)["stage"] for line in (run_dir / "metrics.jsonl").read_text().splitlines()}
    assert stages == {"cams-cnn", *(f"cams-cnn {number}/5" for number in range(1, 6))}


def test_a_bad_image_is_listed_and_passed_over(tiny_recipe, squares, run_dir, monkeypatch, capsys):
    first, second, third, fourth = squares.image_ids("val")
    squares.image_path_of(second).write_bytes(b"no image")

    def compute_or_fail(classifier, image, *args, **more):
        if np.array_equal(image, squares.image(fourth)):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return compute_cam(classifier, image, *args, **more)

    monkeypatch.setattr(stage, "compute_cam", compute_or_fail)
    result = cams(tiny_recipe, "cnn", squares, run_dir, splits=["val"])
    assert result.made == 2
    assert result.failed == (second, fourth)
    assert "square_009.jpg: not an image" in result.reasons[second]
    assert "out of memory" in result.reasons[fourth]
    assert "2 made now, 2 failed" in result.summary
    assert CamStore(cams_dir(run_dir, "cnn")).image_ids() == (first, third)


def test_a_map_that_is_no_number_is_a_failed_image(tiny_recipe, squares, run_dir, monkeypatch):
    monkeypatch.setattr(stage, "compute_cam", lambda *_, **__: np.full((1, 12, 12), np.nan, np.float32))
    result = cams(tiny_recipe, "cnn", squares, run_dir, splits=["val"])
    assert result.made == 0
    assert len(result.failed) == 4
    assert all("nan" in reason or "classes" in reason for reason in result.reasons.values())


def test_an_image_without_labels_is_a_failed_image(tiny_recipe, squares, run_dir):
    missing = squares.image_ids("val")[2]
    labels = {name: row for name, row in squares.image_labels_by_id.items() if name != missing}
    result = cams(
        tiny_recipe, "cnn", dataclasses.replace(squares, image_labels_by_id=labels), run_dir, splits=["val"]
    )
    assert result.failed == (missing,)
    assert "no image-level labels" in result.reasons[missing]


def test_a_full_disk_ends_the_run(tiny_recipe, squares, run_dir, monkeypatch):
    def full(*_):
        raise StoreError("No space left on device")

    monkeypatch.setattr(CamStore, "write", full)
    with pytest.raises(StoreError, match="No space left"):
        cams(tiny_recipe, "cnn", squares, run_dir)


def test_cams_of_other_settings_are_not_mixed(tiny_recipe, squares, run_dir):
    cams(tiny_recipe, "cnn", squares, run_dir, splits=["val"])
    other = override(tiny_recipe, {"cnn_cams.scales": (1.0, 2.0), "cnn_cams.flip": False})
    with pytest.raises(StoreError, match="another flip, scales: add --anew"):
        cams(other, "cnn", squares, run_dir)
    result = cams(other, "cnn", squares, run_dir, splits=["val"], anew=True)
    assert (result.made, result.kept) == (4, 0)
    assert cams(other, "cnn", squares, run_dir, splits=["val"], anew=True).kept == 4
    torch.manual_seed(1)
    path = classifier_path(run_dir, "cnn")
    save_classifier(path, build_classifier(load_classifier(path).network))
    with pytest.raises(StoreError, match="another weights_sha256"):
        cams(other, "cnn", squares, run_dir)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"cnn_cams": CamConfig(method="patch_cam")}, ConfigError, "'patch_cam' is not for a cnn"),
        ({"cnn_cams": CamConfig(method="cam", options=(("steps", 1),))}, ConfigError, "no option 'steps'"),
        (
            {"cnn_cams": CamConfig(method="cam", options=(("normalise", "no"),))},
            ConfigError,
            "normalise 'no'",
        ),
        ({"data.cam_splits": ("tset",)}, DataError, "no split 'tset'"),
    ],
)
def test_wrong_settings_stop_before_the_first_image(
    tiny_recipe, squares, run_dir, computed, changes, error, words
):
    with pytest.raises(error, match=words):
        cams(override(tiny_recipe, changes), "cnn", squares, run_dir)
    assert computed == []


def test_a_classifier_that_is_not_there_or_knows_other_classes(tiny_recipe, squares, run_dir, tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        cams(tiny_recipe, "cnn", squares, tmp_path / "elsewhere")
    other = tmp_path / "other.safetensors"
    save_classifier(
        other, build_classifier(Network(model="test_resnet", head="conv", class_names=("cat", "dog")))
    )
    with pytest.raises(ConfigError, match="knows 2 classes, squares has 3"):
        cams(tiny_recipe, "cnn", squares, run_dir, weights_path=other)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_a_shard_is_i_of_n(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected I/N"):
        parse_shard(text)


@pytest.fixture
def command(squares, run_dir, tiny_recipe, monkeypatch):
    """Run `python -m train cams` in this process."""
    import train.open_run
    from train.__main__ import main

    monkeypatch.setattr(train.open_run, "_load", lambda _: tiny_recipe)
    monkeypatch.setattr(train.open_run, "open_recipe_dataset", lambda _: squares)

    def run(*arguments: str) -> int:
        return main(["cams", "--data", str(squares.root), "--run-dir", str(run_dir), *arguments])

    return run


def test_the_command(command, run_dir, squares, capsys):
    assert command("--split", "val", "--shard", "1/2", "--source", "cnn") == 0
    assert "cnn: CAMs of 2 images, 2 made now, 0 failed" in capsys.readouterr().out
    squares.image_path_of(squares.image_ids("val")[1]).write_bytes(b"no image")
    assert command("--split", "val") == 1
    output = capsys.readouterr()
    assert "cnn: CAMs of 3 images, 1 made now, 1 failed" in output.out
    assert "vit: CAMs of 3 images, 3 made now, 1 failed" in output.out
    assert f"{squares.image_ids('val')[1]}: DataError" in output.err
    assert command("--source", "cnn", "--classifier", str(run_dir / "nothing")) == 2
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--classifier", "x"), "say which"), (("--anew", "--shard", "1/2"), "--anew with --shard")],
)
def test_arguments_that_exclude_each_other(command, arguments, words, capsys):
    assert command(*arguments) == 2
    assert words in capsys.readouterr().err


def test_the_parser_needs_no_store(capsys):
    from train.__main__ import main

    with pytest.raises(SystemExit) as end:
        main(["cams", "--help"])
    assert end.value.code == 0
    assert "--shard I/N" in capsys.readouterr().out
    assert "train.cams" in sys.modules
