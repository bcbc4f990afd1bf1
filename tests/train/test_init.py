"""A recipe for a data set of one's own: its splits, its sizes, what is said about it, and that it runs."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from orandnet_core.datasets import open_dataset
from orandnet_core.errors import ConfigError, DataError
from train.__main__ import main
from train.config import Recipe, from_dict, override
from train.init import own_recipe, remarks, split_overrides, typical_short_side
from train.recipes import RECIPES, recipe


@pytest.fixture
def own_data(tmp_path):
    """Thirty images of 100 x 140 px, of cats but for one dog, without masks."""
    folder = tmp_path / "my data!"
    (folder / "images").mkdir(parents=True)
    rows = ["image_id,classes"]
    for number in range(30):
        pixels = np.full((100, 140, 3), number, np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        rows.append(f"{number},{'dog' if number == 7 else 'cat'}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def test_the_file_is_a_recipe_that_runs_on_the_folder(own_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", str(own_data), "--recipe", "voc12_cpu"]) == 0
    said = capsys.readouterr().out
    assert "my data!: 2 classes" in said
    assert "python -m train run my-data.json --dry-run" in said
    written = from_dict(json.loads((tmp_path / "my-data.json").read_text()), Recipe)
    assert written.name == "my-data"
    assert (written.data.kind, written.data.root) == ("folder", str(own_data.resolve()))
    dataset = open_dataset(own_data)
    named = {
        written.data.train_split,
        written.data.eval_split,
        *written.data.cam_splits,
        *written.evaluate.splits,
    }
    assert named <= set(dataset.splits)


def test_what_is_there_is_not_replaced_unasked(own_data, tmp_path, capsys):
    out = tmp_path / "mine.json"
    words = ["init", str(own_data), "--out", str(out)]
    assert main(words) == 0
    out.write_text("changed by hand")
    assert main(words) == 2
    assert "--force" in capsys.readouterr().err
    assert out.read_text() == "changed by hand"
    assert main([*words, "--force"]) == 0
    assert json.loads(out.read_text())["name"] == "my-data"


@pytest.mark.parametrize(("words", "said"), [(["--out", "x.yaml"], "ends in .json"), ([], "no such folder")])
def test_what_cannot_be_done_is_said(own_data, tmp_path, capsys, words, said):
    folder = own_data if words else tmp_path / "absent"
    assert main(["init", str(folder), *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("base", RECIPES)
def test_small_data_gets_more_epochs_and_smaller_crops(base, own_data):
    dataset = open_dataset(own_data)
    config, plain = own_recipe(base, dataset, "folder", "own"), recipe(base)
    times = 1 if base == "scenes" else 10
    assert config.cnn.epochs == plain.cnn.epochs * times
    assert config.segment.epochs == plain.segment.epochs * times
    assert config.cnn.augment.crop_px == 96
    assert config.segment.augment.crop_px == 96
    assert config.vit == override(plain, {"vit.epochs": plain.vit.epochs * times}).vit, "a ViT has one size"


def test_data_as_large_as_the_recipes_keeps_its_epochs(own_data):
    dataset = open_dataset(own_data)
    many = dataclasses.replace(dataset, splits={"train": dataset.image_ids("train") * 2000, "val": ("1",)})
    config = own_recipe("voc12_cpu", many, "folder", "own")
    assert config.cnn.epochs == recipe("voc12_cpu").cnn.epochs


@pytest.mark.parametrize(
    ("splits", "train", "evaluated", "cams", "scored"),
    [
        (("train", "val"), "train", "val", ("train", "val"), ("val",)),
        (("train",), "train", "train", ("train",), ("train",)),
        (("all",), "all", "all", ("all",), ("all",)),
        (("train", "test"), "train", "train", ("train",), ("train",)),
    ],
)
@pytest.mark.parametrize("base", ["voc12_cpu", "voc12_paper"])
def test_splits_that_are_not_there_are_replaced(own_data, base, splits, train, evaluated, cams, scored):
    dataset = dataclasses.replace(open_dataset(own_data), splits=dict.fromkeys(splits, ("1",)))
    config = override(recipe(base), split_overrides(recipe(base), dataset))
    assert (config.data.train_split, config.data.eval_split) == (train, evaluated)
    assert config.data.cam_splits == cams
    assert config.evaluate.splits == scored


def test_what_should_be_known_before_training_is_said(own_data):
    dataset = open_dataset(own_data)
    config = own_recipe("voc12_cpu", dataset, "folder", "own")
    said = remarks(dataset, config)
    assert said[0] == "classes with few training images: dog (1)"
    assert said[1].startswith("no masks of val")
    assert len(said) == 2


def test_images_that_cannot_be_read_are_left_out_of_the_size(own_data):
    dataset = open_dataset(own_data)
    assert typical_short_side(dataset) == 100
    (own_data / "images" / "3.png").write_bytes(b"no image")
    assert typical_short_side(dataset) == 100
    for path in (own_data / "images").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(DataError, match="train data check"):
        typical_short_side(dataset)


def test_a_recipe_of_the_file_goes_through_run(own_data, tmp_path):
    """What `--recipe` takes for a file is what `init` writes."""
    from train.open_run import _load

    out = tmp_path / "mine.json"
    assert main(["init", str(own_data), "--out", str(out)]) == 0
    assert _load(str(out)).data.root == str(own_data.resolve())
    with pytest.raises(ConfigError, match="no recipe 'mine'"):
        _load("mine")
