"""Two runs on the Runs page: recipe, curves and results recomputed by the core; and the search in the log."""

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.datasets import Dataset
from orandnet_core.mask_store import MaskStore
from orandnet_core.metrics import bootstrap, difference
from orandnet_core.scoring import mask_source, score
from pages.components.run_comparison import config_differences
from tests.pages.opening import captions, opened, settled
from tests.pages.test_run_figures import line, write
from tests.pages.workspace import make_outputs

PAGE = "training/runs.py"


@pytest.fixture
def runs(workspace: Path, sample: Dataset) -> Path:
    """Two runs that differ in seed and masks; returns the folder of both."""
    folder = workspace / "runs"
    shutil.copytree(folder / "sample", folder / "other")
    for name, shift_px in (("sample", 8), ("other", 2)):
        make_outputs(folder / name, sample, shift_px)
        for stage in ("refine", "irn", "segment"):
            write(folder / name, *(line(stage, step, loss=1 / (step + 1)) for step in range(3)))
    config = json.loads((folder / "other" / "config.json").read_text())
    config["seed"], config["masks"]["source"] = 7, "and"
    del config["evaluate"]["crf"]
    (folder / "other" / "config.json").write_text(json.dumps(config))
    return folder


def compared(app: AppTest) -> AppTest:
    return opened(app, PAGE, shown="sample", runs_with="other")


def results(app: AppTest) -> list[dict[str, object]]:
    return next(frame.value for frame in app.dataframe if "score" in frame.value.columns).to_dict("records")


def test_only_fields_that_differ_are_listed(app: AppTest, runs: Path):
    found = config_differences(runs / "sample", runs / "other")
    assert set(found) == {("seed", "0", "7"), ("masks.source", "walk", "and"), ("evaluate.crf", '""', "–")}
    table = next(table.value for table in compared(app).table if "Field" in table.value.columns)
    assert dict(zip(table["Field"], table["other"], strict=True)) == {
        "`seed`": "`7`", "`masks.source`": "`and`", "`evaluate.crf`": "`–`"
    }  # fmt: skip


def test_results_are_paired_as_the_core_pairs_them(app: AppTest, runs: Path, sample: Dataset):
    rows = {(row["what"], row["score"]): row for row in results(compared(app))}
    assert {what for what, _ in rows} == {"Pseudo-masks · train", "Segmentation · val"}
    for what, split, folder in (
        ("Pseudo-masks · train", "train", "masks"),
        ("Segmentation · val", "val", "evaluate/val"),
    ):
        ids = sample.image_ids(split)
        ours, theirs = (
            bootstrap(score(sample, split, mask_source(MaskStore(runs / run / folder), ids, run)).counts)
            for run in ("sample", "other")
        )
        for label, metric in (("Precision", "precision"), ("mIoU", "iou")):
            row, gain = rows[what, label], difference(theirs, 0.5, ours, 0.5, metric)
            assert row["sample"] == pytest.approx(100 * ours.at(metric, 0.5)[0])
            assert row["other"] == pytest.approx(100 * theirs.at(metric, 0.5)[0])
            assert row["difference"] == pytest.approx(100 * gain.value)
            assert row["difference: 95%"] == f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}"
            assert row["sure"] == gain.excludes_zero


def test_other_images_give_no_difference(app: AppTest, runs: Path, sample: Dataset):
    MaskStore(runs / "other" / "masks").path_of(sample.image_ids("train")[2]).unlink()
    row = next(row for row in results(compared(app)) if row["what"].startswith("Pseudo-masks"))
    assert row["difference"] != row["difference"]
    assert row["difference: 95%"] == "other images"


def test_all_trainings_of_both_are_drawn(app: AppTest, runs: Path):
    names = [
        {trace["name"] for trace in json.loads(chart.proto.spec)["data"]}
        for chart in compared(app).get("plotly_chart")
    ]
    assert {
        f"{stage} · {run}" for stage in ("refine", "irn", "segment") for run in ("sample", "other")
    } in names
    assert {"refine", "irn", "segment"} in names, "those of the run alone"


def test_the_address_names_both_runs_and_follows_the_choice(app: AppTest, runs: Path):
    page = opened(app, PAGE, shown="other")
    assert any("**other**" in text.value for text in page.markdown)
    page.selectbox(key="runs_with").set_value("sample").run()
    assert results(settled(page))[0]["other"] is not None
    page.session_state["runs_selected"] = "sample"
    page.run()
    assert page.query_params["shown"] in ("sample", ["sample"])
    assert page.selectbox(key="runs_with").value is None, "a run is not compared with itself"


def test_runs_on_different_data_are_said_to_be(app: AppTest, runs: Path, workspace: Path):
    shutil.copytree(workspace / "data" / "scenes", workspace / "elsewhere")
    config = json.loads((runs / "other" / "config.json").read_text())
    config["data"] |= {"root": str(workspace / "elsewhere")}
    (runs / "other" / "config.json").write_text(json.dumps(config))
    page = compared(app)
    assert "They ran on different data" in captions(page)
    assert not [frame for frame in page.dataframe if "score" in frame.value.columns]


def test_the_log_is_searched_beyond_what_is_shown(app: AppTest, runs: Path):
    lines = ["scene_0007: DataError, no such image", *(f"step {number}" for number in range(900)), "the end"]
    (runs / "sample" / "log.txt").write_text("\n".join(lines))
    page = opened(app, PAGE, shown="sample")
    shown = page.main.code[0].value.splitlines()
    assert shown[-1] == "the end"
    assert lines[0] not in shown
    page.text_input(key="runs_find").set_value("dataerror").run()
    assert page.main.code[0].value == lines[0]
    assert "1 of the log's last 902 lines contain “dataerror”" in captions(page)
    page.text_input(key="runs_find").set_value("nowhere").run()
    assert not page.exception
    assert "0 of the log's" in captions(page)
