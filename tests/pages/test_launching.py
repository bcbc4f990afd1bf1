"""What a launch makes of recipe, data set and overrides, before anything runs."""

import shlex
from pathlib import Path

import pytest

from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError
from pages.components.launching import (
    STAGES,
    Launch,
    fitted_overrides,
    fitting_recipe,
    stage_words,
)
from pages.components.selection import DatasetRef
from train import stages
from train.open_run import add_run_arguments, resolve
from train.recipes import RECIPES
from train.workspace import sample_dir


@pytest.fixture
def builtin(workspace: Path) -> DatasetRef:
    return DatasetRef("scenes", "scenes", sample_dir())


@pytest.fixture
def voc_like(tmp_path: Path) -> DatasetRef:
    return DatasetRef("mine", "folder", tmp_path / "my data")


def resolved(launch: Launch):
    """The recipe that `python -m train` reads from the launch's command line."""
    import argparse

    words = launch.command(Path("/runs/x"))
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    assert words[1:4] == ["-m", "train", "run"]
    return resolve(parser.parse_args(words[4:]))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("recipe", list(RECIPES))
def test_a_stage_is_told_in_words(recipe: str, stage: str, sample: Dataset):
    config = RECIPES[recipe]()
    assert "on " in stage_words(stages.STAGES[stage], config, None)


def test_the_words_of_training_and_of_going_through_the_images(sample: Dataset):
    config = RECIPES["scenes"]()
    train, val = (len(sample.image_ids(split)) for split in ("train", "val"))
    cnn = f"`resnet10t` for {config.cnn.epochs} epochs on train ({train} images)"
    assert stage_words(stages.STAGES["classify-cnn"], config, sample) == cnn
    cams = f"`cam` on train, val ({train + val} images)"
    assert stage_words(stages.STAGES["cams-cnn"], config, sample) == cams


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_the_command_runs_what_is_shown(recipe: str, voc_like: DatasetRef):
    overrides = {
        "cnn.epochs": "2",
        "vit.augment.area": "0.5,1",
        "fusion.background_threshold": "0.25",
        "seed": "3",
    }
    launch = Launch(recipe, voc_like, overrides, weights="none")
    config = resolved(launch)
    assert config.data.root == str(voc_like.root.resolve())
    assert (config.cnn.epochs, config.vit.augment.area, config.seed) == (2, (0.5, 1.0), 3)
    assert config.fusion == launch.config().fusion
    assert (config.cnn.weights, config.vit.weights) == ("none", "none")


def test_the_sample_is_left_to_its_recipe(builtin: DatasetRef):
    assert "--data" not in Launch("scenes", builtin).command(Path("/runs/x"))
    assert "--data" in Launch("voc12_cpu", builtin).command(Path("/runs/x"))


def test_an_override_that_does_not_fit_is_named(builtin: DatasetRef):
    with pytest.raises(ConfigError, match=r"cnn\.epochs"):
        Launch("scenes", builtin, {"cnn.epochs": "many"}).start()
    with pytest.raises(ConfigError, match="run name"):
        Launch("scenes", builtin, run="../elsewhere").start()


def test_a_recipe_is_fitted_to_the_data_set(voc_like: DatasetRef, sample: Dataset):
    changes = fitted_overrides("voc12_cpu", voc_like, sample)
    assert changes == {"data.kind": "folder", "data.train_split": "train"}
    config = Launch("voc12_cpu", voc_like, changes).config()
    assert {config.data.train_split, config.data.eval_split, *config.data.cam_splits} <= set(sample.splits)


def test_splits_that_are_not_there_are_replaced_by_what_is(voc_like: DatasetRef, sample: Dataset):
    from dataclasses import replace

    only_all = replace(sample, splits={"all": sample.image_ids("train")})
    changes = fitted_overrides("scenes", voc_like, only_all)
    assert changes["data.train_split"] == changes["data.eval_split"] == changes["data.cam_splits"] == "all"


def test_nothing_changes_where_the_recipe_fits(builtin: DatasetRef, sample: Dataset):
    assert fitted_overrides("scenes", builtin, sample) == {}
    assert fitted_overrides("scenes", builtin, None) == {}


@pytest.mark.parametrize(
    ("kind", "recipe"), [("scenes", "scenes"), ("voc12", "voc12_cpu"), ("folder", "voc12_cpu")]
)
def test_the_recipe_offered_first_suits_the_data(kind: str, recipe: str):
    assert fitting_recipe(kind) == recipe


def test_the_command_can_be_pasted(voc_like: DatasetRef):
    words = Launch("scenes", voc_like).command(Path("/runs/x"))
    assert shlex.split(shlex.join(words)) == [str(word) for word in words]
