"""The command beside a figure: what was asked for and nothing of this machine, and it comes back the same."""

import argparse
import importlib
import shlex

import pytest

from train.__main__ import COMMANDS
from train.kept_command import kept_command
from train.results import read_rows
from train.workspace import ROOT


def parsed(command: str, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m train")
    subparsers = parser.add_subparsers()
    importlib.import_module(COMMANDS[command][0]).add_parser(subparsers)
    return parser.parse_args([command, *words])


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "work"))
    run = tmp_path / "work" / "runs" / "mine"
    run.mkdir(parents=True)
    (run / "config.json").write_text("{}")
    return tmp_path / "work"


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("score", "score --recipe scenes"),
        ("score --split train --split val --results docs/results.json",
         "score --recipe scenes --split train --split val"),
        ("score --recipe voc12_paper --data /voc --split val --calibrate-on train --set seed=2",
         "score --recipe voc12_paper --data <root> --split val --calibrate-on train --set seed=2"),
        ("score --run-dir {work}/runs/mine", "score --run-dir workspace/runs/mine"),
        ("score --run-dir {work}/runs/new", "score --recipe scenes --run-dir workspace/runs/new"),
        ("score --run-dir /elsewhere/run --recipe /home/me/own.json",
         "score --recipe <own.json> --run-dir <run>"),
        ("errors --source cnn --source and --top 5 --pictures out --by recall",
         "errors --recipe scenes --source cnn --source and --by recall"),
        ("evaluate --run-dir {work}/runs/mine --split val test --source segment-b --anew --shard 1/1 "
         "--set evaluate.crf=deeplab --set segment.masks=/masks/of/mine",
         "evaluate --run-dir workspace/runs/mine --split val test --source segment-b "
         "--set evaluate.crf=deeplab --set segment.masks=<mine>"),
        ("segmentations --row segment=runs/a,{work}/runs/mine --row segment+curriculum=/x/c --single",
         "segmentations --recipe scenes --row segment=runs/a,workspace/runs/mine "
         "--row segment+curriculum=<c> --single"),
        ("study --recipe voc12_cpu --data d --weights w --split test --seeds 1 --curriculum none scale "
         "--set segment.augment.resize=0.3,0.7 --tensorboard --deterministic",
         "study --recipe voc12_cpu --data <root> --weights <folder> --curriculum none scale --seeds 1 "
         "--split test --deterministic --set segment.augment.resize=0.3,0.7"),
        ("study --curriculum none scale equal_compute --weights none",
         "study --recipe scenes --weights none"),
        ("classify --source vit --weights /weights",
         "classify --recipe scenes --weights <folder> --source vit"),
    ],
)  # fmt: skip
def test_what_was_asked_for_and_nothing_of_this_machine(workspace, words, kept):
    args = parsed(*words.format(work=workspace).split())
    assert kept_command(args) == f"python -m train {kept}"


def test_values_that_a_shell_would_take_apart_are_quoted():
    assert kept_command(parsed("score", "--set", "cnn.scales=(1, 2)")).endswith("--set 'cnn.scales=(1, 2)'")


def test_what_was_kept_asks_for_the_same_again(workspace):
    words = ["--recipe", "scenes", "--split", "a", "b", "--source", "x", "--set", "evaluate.scales=1,2"]
    args = parsed("evaluate", *words, "--set", "evaluate.flip=false")
    again = parsed(*shlex.split(kept_command(args))[3:])
    assert vars(again) | {"parser": None} == vars(args) | {"parser": None}


def test_the_published_figures_have_commands_that_are_understood():
    commands = {row["command"] for row in read_rows(ROOT / "docs" / "results.json")}
    each = [part.replace("<", "").replace(">", "") for command in commands for part in command.split("&&")]
    parts = map(shlex.split, each)
    trained = [words[3:] for words in parts if words[:3] == ["python", "-m", "train"]]
    assert trained
    for words in trained:
        parsed(*words)


def test_another_command_with_some_of_the_arguments():
    args = parsed("study", "--recipe", "voc12_cpu", "--data", "/voc", "--seeds", "1", "--set", "seed=2")
    told = kept_command(args, "adopt", only=("recipe", "run_dir", "data"))
    assert told == "python -m train adopt --recipe voc12_cpu --data <root>"


@pytest.mark.parametrize("command", ["score", "errors", "report", "scales", "evaluate", "segmentations"])
def test_what_measures_takes_no_option_that_it_would_not_heed(command, capsys):
    row = ["--row", "segment=a"] if command == "segmentations" else []
    ignored = ["--tensorboard", "--deterministic", "--weights=none"]
    for word in [*ignored, *(["--run-dir=x"] if command == "segmentations" else [])]:
        with pytest.raises(SystemExit):
            parsed(command, *row, word)
    assert "unrecognized arguments" in capsys.readouterr().err
