import json

import pytest

from orandnet_core.errors import DataError
from train.results import COLUMNS, read_rows, write_rows

BENCHMARK = {
    "benchmark": "a walk",
    "ours": 0.5,
    "theirs": 100.0,
    "ratio": 200.0,
    "unit": "s",
    "same_answer": True,
    "device": "2 CPU cores",
    "command": "python -m benchmarks random_walk",
}
TRAINING = {
    "dataset": "squares",
    "recipe": "tiny",
    "split": "val",
    "images": 6,
    "source": "cnn",
    "stage": "classify-cnn",
    "map": 0.5,
    "training_s": 90.0,
    "device": "2 CPU cores",
    "curve": [{"step": 4, "loss": 0.25, "map": 0.2}, {"step": 8, "loss": 0.125, "map": 0.5}],
    "command": "python -m train classify",
}


@pytest.mark.parametrize("content", ["{", '{"a": 1}', "[1]"])
def test_a_damaged_results_file_is_named(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"results\.json"):
        read_rows(path)


@pytest.mark.parametrize(
    ("row", "title", "line"),
    [
        (BENCHMARK, "## Benchmarks", "| a walk | 0.5 s | 100 s | 200x | yes | 2 CPU cores |"),
        (TRAINING, "**Training of cnn**: 2 minutes on 2 CPU cores, mAP 50.0", "| 2 | 8 | 0.1250 | 50.0 |"),
    ],
)
def test_what_is_not_a_score_has_a_table_of_its_own(tmp_path, row, title, line):
    path = tmp_path / "results.json"
    write_rows(path, [row])
    write_rows(path, [row])  # takes the place of the first
    page = path.with_suffix(".md").read_text()
    assert page.count(title) == page.count(line) == page.count(row["command"]) == 1
    (written,) = json.loads(path.read_text())
    assert set(COLUMNS) <= set(written)
    assert written["miou"] is None
    assert row.items() <= written.items()
