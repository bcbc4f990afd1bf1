"""All stages from the first to the last, through `python -m train run`: the recipe `scenes` in small."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orandnet_core.scenes import make_scenes
from train.__main__ import main
from train.config import override, to_dict
from train.recipes import recipe
from train.records import read_record
from train.stages import STAGES
from train.workspace import ROOT, cam_stores

IMAGES = 12

# What makes the recipe small; the sources, and what reads what, stay as they are.
SMALL = {
    "cnn.model": "test_resnet",
    "cnn.augment.crop_px": 64,
    "cnn.eval_px": 64,
    "cnn.epochs": 2,
    "cnn.batch_size": 4,
    "vit.model": "test_vit",
    "vit.depth": None,
    "vit.image_px": 64,
    "vit.augment.crop_px": 64,
    "vit.eval_px": 64,
    "vit.epochs": 1,
    "vit.batch_size": 4,
    "cnn_cams.scales": (1.0,),
    "cnn_cams.long_side_px": 128,
    "vit_cams.scales": (1.0,),
    "vit_cams.long_side_px": 128,
    "refine.crop_px": 64,
    "refine.epochs": 1,
    "refine.batch_size": 4,
    "irn.model": "test_resnet",
    "irn.augment.crop_px": 64,
    "irn.epochs": 1,
    "irn.batch_size": 4,
    "irn.radius": 4,
    "walk.exp_times": 4,
    "segment.encoder": "test_resnet",
    "segment.augment.crop_px": 64,
    "segment.epochs": 2,
    "segment.batch_size": 4,
    "evaluate.scales": (0.5, 1.0),
    "crf.workers": 1,
    "ir_labels.workers": 1,
    "masks.workers": 1,
}


@pytest.fixture(scope="module", autouse=True)
def workspace(tmp_path_factory):
    """Paces are kept in it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path_factory.mktemp("workspace")))
        yield


@pytest.fixture(scope="module")
def data_root(tmp_path_factory) -> Path:
    return make_scenes(tmp_path_factory.mktemp("data") / "scenes", IMAGES)


@pytest.fixture(scope="module")
def recipe_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.json"
    path.write_text(json.dumps(to_dict(override(recipe("scenes"), {"name": "small"} | SMALL))))
    return path


def command(recipe_path: Path, data_root: Path, run_dir: Path, *words: str) -> list[str]:
    return ["run", str(recipe_path), "--data", str(data_root), "--run-dir", str(run_dir), *words]


def process(*words: str, **environ: str) -> subprocess.CompletedProcess:
    # One thread: sums come in the same order however many processes share the machine.
    env = os.environ | {"OMP_NUM_THREADS": "1"} | environ
    return subprocess.run(list(words), cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def made(recipe_path, data_root, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """The run's folder, made by one command, and what that said."""
    run_dir = tmp_path_factory.mktemp("runs") / "small"
    done = process(sys.executable, "-m", "train", *command(recipe_path, data_root, run_dir))
    assert done.returncode == 0, done.stderr[-3000:]
    return run_dir, done


def outputs(run_dir: Path) -> dict[str, bytes]:
    """What the stages made: weights, CAMs, labels, masks and predictions by path."""
    kinds = (".safetensors", ".npz", ".png")
    files = (path for path in run_dir.rglob("*") if path.suffix in kinds)
    return {str(path.relative_to(run_dir)): path.read_bytes() for path in sorted(files)}


def test_one_command_runs_every_stage(made):
    run_dir, done = made
    said = done.stdout.splitlines()
    for name in STAGES:
        assert f"{name}: not made yet" in said
        record = read_record(run_dir, name)
        assert record.finished_s > record.began_s
        assert record.failed == {}
        assert any(line == f"{name}: {record.summary}" for line in said)
    assert set(cam_stores(run_dir)) == {"cnn", "vit", "refine", "crf", "walk"}
    assert "mIoU" in read_record(run_dir, "evaluate").summary
    trained, evaluated = (
        len(list((run_dir / "masks").glob("*.png"))),
        len(list((run_dir / "evaluate" / "val").glob("*.png"))),
    )
    assert (trained, evaluated) == (IMAGES * 3 // 4, IMAGES // 4)


def test_nothing_is_run_again_and_what_changed_is(made, recipe_path, data_root, capsys):
    run_dir, _ = made
    before = outputs(run_dir)
    assert main(command(recipe_path, data_root, run_dir)) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(STAGES)
    assert all(line.endswith("(unchanged)") for line in said)
    assert main(command(recipe_path, data_root, run_dir, "--set", "evaluate.flip=False")) == 0
    said = capsys.readouterr().out.splitlines()
    assert "evaluate: its config changed (flip True -> False), made anew" in said
    assert sum(line.endswith("(unchanged)") for line in said) == len(STAGES) - 1
    assert main(command(recipe_path, data_root, run_dir)) == 0
    assert outputs(run_dir) == before, "the same command makes the same files"


def test_a_dry_run_says_what_would_run_and_touches_nothing(made, recipe_path, data_root, capsys):
    run_dir, _ = made
    before = {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")}
    assert main(command(recipe_path, data_root, run_dir, "--dry-run", "--set", "segment.epochs=5")) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()][: len(STAGES) + 2]
    assert [row[0] for row in table] == ["stage", *STAGES, "in"]
    assert [row[0] for row in table if row[1:] == ["unchanged"]] == [
        name for name in STAGES if name not in ("segment", "evaluate")
    ]
    said = {row[0]: " ".join(row[-9:]) for row in table}
    assert said["segment"].endswith("its config changed (epochs 2 -> 5), made anew")
    assert said["evaluate"].endswith("its input changed (segment), made anew")
    assert {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")} == before


def test_a_stage_run_by_its_own_command_is_known_to_the_run(made, recipe_path, data_root, capsys):
    run_dir, _ = made
    words = ["--recipe", str(recipe_path), "--data", str(data_root), "--run-dir", str(run_dir)]
    before = read_record(run_dir, "crf")
    (run_dir / "crf" / "stage.json").unlink()
    assert main(["crf", *words, "--shard", "1/2"]) == 0
    assert read_record(run_dir, "crf") is None, "a shard is not the stage"
    assert main(["crf", *words]) == 0
    record = read_record(run_dir, "crf")
    assert (record.key, record.inputs) == (before.key, before.inputs)
    assert main(["cams", *words, "--source", "cnn"]) == 0
    assert read_record(run_dir, "cams-cnn").summary != record.summary, "nothing new: the old record stays"
    capsys.readouterr()
    assert main(command(recipe_path, data_root, run_dir)) == 0
    assert all(line.endswith("(unchanged)") for line in capsys.readouterr().out.splitlines())


# As Slurm's: two processes of one step on this machine.
SRUN = """#!/bin/bash
shift
export SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST=localhost SLURM_STEP_TASKS_PER_NODE=2 SLURM_NODEID=0
SLURM_PROCID=0 SLURM_LOCALID=0 "$@" & first=$!
SLURM_PROCID=1 SLURM_LOCALID=1 "$@" & second=$!
wait $first && wait $second
"""


@pytest.mark.slow
def test_two_processes_make_the_per_image_files_of_one(made, recipe_path, data_root, tmp_path):
    """Given the same trained networks, stages that go through the images share them and differ in nothing."""
    one, two = made[0], tmp_path / "two"
    shutil.copytree(one, two)
    shared = [name for name, stage in STAGES.items() if not stage.training]
    expected = outputs(two)
    for name in shared:
        for folder in STAGES[name].folders(two):
            shutil.rmtree(folder)
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text(SRUN)
    srun.chmod(0o755)
    environ = {"PATH": f"{srun.parent}:{os.environ['PATH']}", "PYTHON": sys.executable}
    environ |= {"SLURM_JOB_ID": "17", "SLURM_CPUS_PER_TASK": "1", "CUDA_VISIBLE_DEVICES": ""}
    script = ROOT / "examples" / "slurm" / "run.sbatch"
    done = process("bash", str(script), *command(recipe_path, data_root, two)[1:], **environ)
    assert done.returncode == 0, done.stderr[-3000:]
    assert outputs(two) == expected
    said = done.stdout.splitlines()
    assert [line for line in said if line.startswith("cams-cnn")] == [
        "cams-cnn: not made yet",
        f"cams-cnn: {IMAGES} images, {IMAGES} made now, 0 failed",
    ]
    lines = map(json.loads, (two / "metrics.jsonl").read_text().splitlines())
    assert {f"{name} {number}/2" for name in ("cams-vit", "walk") for number in (1, 2)} <= {
        line["stage"] for line in lines
    }
