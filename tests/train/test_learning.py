import json

import pytest

from orandnet_core.scenes import make_scenes
from train.__main__ import main
from train.learning import learning_row
from train.results import read_rows

RESULT = {"map": 0.5, "seconds": 90, "eval_split": "val", "images": 6}


def test_a_step_that_was_taken_again_counts_as_it_went_the_last_time(tiny_recipe, squares, tmp_path):
    figures = [
        *[{"done": done, "loss": loss} for done, loss in [(2, 0.9), (4, 0.7)]],
        {"done": 4, "map": 0.2},
        *[{"done": done, "loss": loss} for done, loss in [(6, 9.0), (6, 0.5), (8, 0.3)]],
        {"done": 8, "map": 0.4},
        {"done": 8, "map": 0.5},
        {"done": 9},
    ]
    lines = [json.dumps({"stage": "classify-cnn", **figure}) for figure in figures]
    others = [json.dumps({"stage": "classify-vit", "done": 4, "map": 0.9}), '{"stage": "classify-cnn", "do']
    (tmp_path / "metrics.jsonl").write_text("\n".join([*others, *lines]) + "\n")
    row = learning_row(tiny_recipe, squares, "cnn", RESULT, tmp_path)
    assert [(point["step"], point["map"]) for point in row["curve"]] == [(4, 0.2), (8, 0.5)]
    assert [point["loss"] for point in row["curve"]] == pytest.approx([0.8, 0.4])
    assert (row["split"], row["images"], row["training_s"], row["map"]) == ("val", 6, 90, 0.5)


def test_the_command_keeps_how_it_learned(tmp_path, monkeypatch):
    root = make_scenes(tmp_path / "scenes", 64)
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path))
    words = ["classify", "--source", "cnn", "--recipe", "scenes", "--set", "cnn.epochs=2"]
    results = tmp_path / "results.json"
    assert main([*words, "--data", str(root), "--results", str(results)]) == 0
    (row,) = read_rows(results)
    assert (row["stage"], row["source"], len(row["curve"])) == ("classify-cnn", "cnn", 2)
    assert row["curve"][-1]["map"] == pytest.approx(row["map"])
    assert row["command"] == (
        "python -m train classify --recipe scenes --data <root> --source cnn --set cnn.epochs=2"
    )
