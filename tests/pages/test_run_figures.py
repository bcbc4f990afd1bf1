"""What a run reported, read while it is still being written."""

import json
from pathlib import Path

import numpy as np

from pages.components.run_figures import stage_figures


def write(run_dir: Path, *lines: dict | str) -> None:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    with (run_dir / "metrics.jsonl").open("a") as file:
        file.write(text)


def line(stage: str, done: int, **figures: float) -> dict:
    return {
        "time": 1000.0 + done,
        "stage": stage,
        "done": done,
        "total": 100,
        "rate": 1,
        "eta_s": 1,
    } | figures


def test_nothing_yet(tmp_path: Path):
    assert stage_figures(tmp_path) == {}


def test_stages_with_their_curves(tmp_path: Path):
    write(
        tmp_path,
        line("classify-cnn", 0),
        line("classify-cnn", 10, loss=0.7, lr=0.1),
        line("classify-cnn", 20, loss=0.5, map=0.25),
        line("cams-cnn", 3),
    )
    stages = stage_figures(tmp_path)
    assert list(stages) == ["classify-cnn", "cams-cnn"]
    cnn = stages["classify-cnn"]
    assert (cnn.done, cnn.total, cnn.time_s) == (20, 100, 1020.0)
    assert set(cnn.curves) == {"Loss", "mAP"}
    assert np.array_equal(cnn.curves["Loss"], [[10, 20], [0.7, 0.5]])
    assert stages["cams-cnn"].curves == {}


def test_it_grows_and_a_step_taken_again_counts_once(tmp_path: Path):
    write(tmp_path, line("classify-cnn", 10, loss=0.7), line("classify-cnn", 20, loss=0.9))
    assert len(stage_figures(tmp_path)["classify-cnn"].curves["Loss"][0]) == 2
    write(tmp_path, line("classify-cnn", 20, loss=0.4), line("classify-cnn", 30, loss=0.3))
    steps, losses = stage_figures(tmp_path)["classify-cnn"].curves["Loss"]
    assert steps.tolist() == [10, 20, 30]
    assert losses.tolist() == [0.7, 0.4, 0.3]


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path):
    write(
        tmp_path,
        '{"stage": "classify-cnn", "done": 1',
        "[]",
        "",
        '{"stage": "x"}',
        line("cams-vit", 1),
        '{"ti',
    )
    assert list(stage_figures(tmp_path)) == ["cams-vit"]


def test_long_curves_are_thinned_with_both_ends(tmp_path: Path):
    write(tmp_path, *(line("classify-cnn", step, loss=1 / (step + 1)) for step in range(1500)))
    steps, losses = stage_figures(tmp_path)["classify-cnn"].curves["Loss"]
    assert len(steps) == 400
    assert (steps[0], steps[-1]) == (0, 1499)
    assert np.allclose(losses, 1 / (steps + 1))
