"""What every stage's command line offers: TensorBoard, determinism, a config that several processes write."""

import argparse
import json
import sys

import pytest
import torch
from timm.models import vision_transformer

from orandnet_core.errors import ConfigError
from train import open_run as opening
from train import progress
from train.open_run import add_run_arguments, open_run
from train.progress import Progress
from train.tensorboard import follow


@pytest.fixture
def opened(squares, tmp_path, monkeypatch):
    """Open the run `tmp_path/run` on the squares with these arguments."""
    monkeypatch.setattr(opening, "open_recipe_dataset", lambda config: squares)
    monkeypatch.setattr(progress, "listeners", [])

    def opens(*words: str, **how: bool):
        parser = argparse.ArgumentParser()
        add_run_arguments(parser)
        return open_run(parser.parse_args(["--run-dir", str(tmp_path / "run"), *words]), **how)

    return opens


def test_the_config_is_written_resolved(opened, tmp_path):
    opened("--set", "cnn.epochs=7")
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (written["name"], written["cnn"]["epochs"]) == ("scenes", 7)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]


@pytest.fixture
def configured(opened, tmp_path):
    """The run's config once it was opened with fields of its own."""
    opened("--set", "cnn.epochs=7", "--set", "seed=3", "--set", "masks.source=amn")
    return (tmp_path / "run" / "config.json").read_bytes()


def test_a_run_keeps_its_own_recipe_where_none_is_named(opened, configured, tmp_path):
    config, *_ = opened()
    assert (config.cnn.epochs, config.seed, config.masks.source) == (7, 3, "amn")
    assert (tmp_path / "run" / "config.json").read_bytes() == configured
    assert opened("--recipe", "scenes")[0].seed == 0
    assert opened("--set", "seed=4")[0].seed == 4


@pytest.mark.parametrize("words", [(), ("--recipe", "scenes"), ("--set", "seed=5")])
def test_what_measures_leaves_the_config_alone(opened, configured, tmp_path, words):
    config, *_ = opened(*words, write=False)
    assert config.seed == {(): 3, ("--set", "seed=5"): 5}.get(words, 0)
    assert (tmp_path / "run" / "config.json").read_bytes() == configured


def test_what_tensorboard_shows_is_what_was_reported(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr(progress, "listeners", [])
    close = follow(tmp_path)
    with Progress("classify-cnn", 3, run_dir=tmp_path) as bar:
        for loss in (0.5, 0.25, 0.125):
            bar.advance(loss=loss, what="a word")
    close()
    written = EventAccumulator(str(tmp_path / "tensorboard"))
    written.Reload()
    assert [(event.step, event.value) for event in written.Scalars("classify-cnn/loss")] == [
        (1, 0.5),
        (2, 0.25),
        (3, 0.125),
    ]
    assert "classify-cnn/what" not in written.Tags()["scalars"]


def test_the_option_follows_the_run(opened, tmp_path):
    opened("--tensorboard")
    assert len(progress.listeners) == 1
    assert (tmp_path / "run" / "tensorboard").is_dir()


def test_without_the_package_it_is_said(opened, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        opened("--tensorboard")


def test_one_process_of_many_writes_for_tensorboard(opened, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    opened("--tensorboard")
    assert progress.listeners == []


def test_deterministic_algorithms_only(opened, monkeypatch):
    monkeypatch.setattr(vision_transformer, "resample_abs_pos_embed", None)  # put back after this test
    try:
        opened("--deterministic")
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
