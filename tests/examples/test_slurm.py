"""The Slurm examples, with a Slurm that writes down what it is asked for."""

import argparse
import importlib
import os
import subprocess
from pathlib import Path

import pytest

from train.__main__ import COMMANDS
from train.per_image import WHOLE
from train.workspace import ROOT

FOLDER = ROOT / "examples" / "slurm"


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """`srun`, `scontrol` and a Python that note their arguments and environment, and exit as told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("srun", "scontrol", "python"):
        exit_code = f"${{{name.upper()}_EXIT:-0}}"
        noted = f'printf "%s\\n" "$@" > {tmp_path}/{name}.txt; env > {tmp_path}/{name}.env'
        script = f'#!/bin/sh\n{noted}\nexit "{exit_code}"\n'
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return folder


def submitted(script: str, tools: Path, *words: str, **environ: str) -> int:
    """Run a job's script as Slurm does; returns its exit code."""
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHON": str(tools / "python"), "SLURM_JOB_ID": "17"}
    done = subprocess.run(
        ["bash", str(FOLDER / script), *words], cwd=ROOT, env=env | environ, capture_output=True, text=True
    )
    assert not done.stderr, done.stderr
    return done.returncode


def asked(tools: Path, name: str) -> list[str] | None:
    path = tools.parent / f"{name}.txt"
    return path.read_text().splitlines() if path.exists() else None


def parsed(words: list[str]) -> argparse.Namespace:
    """What the command line of `python -m train` makes of these words."""
    parser = argparse.ArgumentParser()
    command = importlib.import_module(COMMANDS[words[0]][0])
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(words)


@pytest.mark.parametrize("script", sorted(path.name for path in FOLDER.iterdir()))
def test_the_script_is_bash(script):
    assert subprocess.run(["bash", "-n", str(FOLDER / script)], check=False).returncode == 0
    options = [line for line in (FOLDER / script).read_text().splitlines() if line.startswith("#SBATCH")]
    assert options
    assert all(option.startswith("#SBATCH --") for option in options)


def test_a_run_is_one_step_of_all_processes(tools):
    assert submitted("run.sbatch", tools, "voc12_paper", "--data", "my data") == 0
    words = asked(tools, "srun")
    assert words[:4] == ["--kill-on-bad-exit=1", str(tools / "python"), "-m", "train"]
    args = parsed(words[4:])
    assert (args.named, args.data) == ("voc12_paper", Path("my data"))
    assert asked(tools, "scontrol") is None


def test_a_process_gets_the_cores_that_the_job_asks_for_each(tools):
    """srun no longer takes sbatch's --cpus-per-task over: it must be told."""
    assert submitted("run.sbatch", tools, "scenes", SLURM_CPUS_PER_TASK="6") == 0
    environ = (tools.parent / "srun.env").read_text().splitlines()
    assert {"SRUN_CPUS_PER_TASK=6", "OMP_NUM_THREADS=6"} <= set(environ)


@pytest.mark.parametrize(("code", "again"), [("143", ["requeue", "17"]), ("2", None)])
def test_what_was_stopped_is_queued_again_and_what_failed_is_not(tools, code, again):
    assert submitted("run.sbatch", tools, "scenes", SRUN_EXIT=code) == int(code)
    assert asked(tools, "scontrol") == again


@pytest.mark.parametrize("first", [1, 5])
@pytest.mark.parametrize("stage", ["cams", "refine", "crf", "ir-labels", "walk", "masks", "evaluate"])
def test_the_tasks_of_an_array_are_the_shards_of_a_stage(tools, stage, first):
    shards = []
    for task in range(first, first + 3):
        environ = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_MIN": first, "SLURM_ARRAY_TASK_COUNT": 3}
        words = [stage, "--recipe", "scenes"]
        assert submitted("array.sbatch", tools, *words, **{k: str(v) for k, v in environ.items()}) == 0
        said = asked(tools, "python")
        assert said[:2] == ["-m", "train"]
        args = parsed(said[2:])
        assert args.recipe == "scenes"
        shards.append(args.shard)
    assert shards == [(1, 3), (2, 3), (3, 3)]
    assert WHOLE not in shards
