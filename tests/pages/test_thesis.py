"""The Thesis page: pseudo-masks against the networks that they train, recomputed; and its empty states."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from scipy.stats import spearmanr
from streamlit.testing.v1 import AppTest

from orandnet_core.datasets import Dataset
from orandnet_core.mask_store import MaskStore
from orandnet_core.metrics import bootstrap, thresholds
from orandnet_core.scoring import mask_source, score
from pages.components import thesis
from pages.components.comparison import parquet_bytes
from pages.components.selection import DatasetRef
from tests.pages.opening import captions, opened, settled
from tests.pages.workspace import make_outputs
from train.records import StageRecord, write_record

PAGE = "analysis/thesis.py"
SHIFTS_PX = {"sample": 6, "sharp": 1, "blunt": 14}


def add_run(workspace: Path, dataset: Dataset, name: str, shift_px: int, **config: object) -> Path:
    folder = workspace / "runs" / name
    if not folder.exists():
        shutil.copytree(workspace / "runs" / "sample", folder)
    make_outputs(folder, dataset, shift_px)
    values = json.loads((folder / "config.json").read_text())
    values["segment"]["curriculum"]["kind"] = config.get("curriculum", "none")
    values["segment"]["masks"] = config.get("masks", "masks")
    (folder / "config.json").write_text(json.dumps(values))
    return folder


@pytest.fixture
def runs(workspace: Path, sample: Dataset) -> Path:
    """Three runs, better and worse; returns the folder of all."""
    for name, shift_px in SHIFTS_PX.items():
        add_run(workspace, sample, name, shift_px, curriculum="scale" if name == "sharp" else "none")
    return workspace / "runs"


def by_hand(runs: Path, dataset: Dataset, name: str) -> dict[str, float]:
    """Of the pseudo-masks and the network, percent."""
    ids = dataset.image_ids("train")
    scores = score(dataset, "train", mask_source(MaskStore(runs / name / "masks"), ids, "masks"))
    masks = scores.at(thresholds.fixed(0.5))[0]
    network = json.loads((runs / name / "evaluate" / "result.json").read_text())["scores"][0]
    interval = bootstrap(scores.counts).interval("precision", 0.5)
    return {
        "masks_precision": 100 * float(masks.mean_precision),
        "masks_recall": 100 * float(masks.mean_recall),
        "masks_miou": 100 * float(masks.mean_iou),
        "segmentation_miou": 100 * network["miou"],
        "low": 100 * interval.low,
    }


def shown_table(app: AppTest) -> dict[str, dict[str, object]]:
    table = next(frame.value for frame in app.dataframe if "masks_miou" in frame.value.columns)
    return {row["run"]: row for row in table.to_dict("records")}


def test_the_numbers_are_those_of_the_core(app: AppTest, runs: Path, sample: Dataset):
    page = opened(app, PAGE)
    table = shown_table(page)
    expected = {name: by_hand(runs, sample, name) for name in SHIFTS_PX}
    assert set(table) == set(SHIFTS_PX)
    for name, scores in expected.items():
        low = scores.pop("low")
        assert {column: table[name][column] for column in scores} == pytest.approx(scores)
        assert table[name]["masks_precision_95"].startswith(f"{low:.1f} to ")
    assert table["sharp"]["curriculum"] == "scale"
    assert table["sharp"]["masks from"] == "Random walk"
    tables = [table.value for table in page.table]
    correlation = next(table for table in tables if "Spearman" in table.columns)
    correlation = correlation.set_index("Of the pseudo-masks")
    network = [scores["segmentation_miou"] for scores in expected.values()]
    for label, column in (("Precision", "masks_precision"), ("mIoU", "masks_miou")):
        value = spearmanr([scores[column] for scores in expected.values()], network).statistic
        assert correlation["Spearman"][label] == f"{value:+.2f}"
    assert "33.3%" in correlation["As strong by chance in"]["mIoU"], "two of six orders are as strict"
    assert any("over 3 runs" in text.value and "few" in text.value for text in page.markdown)
    assert "train (9 images)" in captions(page)
    assert "val (3 images)" in captions(page)


def test_a_mark_a_run_in_each_chart(app: AppTest, runs: Path):
    figure = json.loads(opened(app, PAGE).get("plotly_chart")[0].proto.spec)
    assert {trace["name"] for trace in figure["data"]} == {
        "Random walk, curriculum", "Random walk, no curriculum"
    }  # fmt: skip
    assert {trace["marker"]["symbol"] for trace in figure["data"]} == {"circle", "diamond"}
    for axis in ("x", "x2", "x3"):
        named = [name for trace in figure["data"] if trace["xaxis"] == axis for name in trace["text"]]
        assert sorted(named) == sorted(SHIFTS_PX)


def test_the_download_carries_both_protocols(runs: Path, sample: Dataset, workspace: Path):
    ref = DatasetRef("scenes", "scenes", workspace / "data" / "scenes")
    trained, left_out = thesis.trained_runs(ref, sample)
    assert left_out == {}
    sources = thesis.mask_sources(sample, trained)
    marks = thesis.marks_of(sample, trained, sources, "val", False, lambda done, total: None)
    read = pyarrow.parquet.read_table(io.BytesIO(parquet_bytes(thesis.mark_table(marks)))).to_pylist()
    row = next(row for row in read if row["run"] == "blunt")
    assert (row["masks_split"], row["masks_threshold"], row["masks_images"]) == ("train", 0.25, 9)
    assert (row["segmentation_split"], row["segmentation_threshold_rule"]) == ("val", "argmax, one scale")
    assert row["masks_precision_low"] <= row["masks_precision"] <= row["masks_precision_high"]
    key = thesis.marks_key(sample, trained, sources, "val", False)
    MaskStore(runs / "blunt" / "masks").write(
        sample.image_ids("train")[0], np.zeros_like(sample.mask(sample.image_ids("train")[0]))
    )
    thesis.opened.__globals__["_opened_masks"].clear()
    again = thesis.mask_sources(sample, trained)
    assert thesis.marks_key(sample, trained, again, "val", False) != key, "a mask made anew is scored anew"


def test_no_run_has_both_yet(app: AppTest, workspace: Path):
    page = opened(app, PAGE)
    assert "python -m train run scenes" in page.info[0].value
    assert not page.get("plotly_chart")
    assert any("no pseudo-masks yet" in text.value for text in page.markdown)


def test_one_run_alone_says_how_to_make_a_second(app: AppTest, workspace: Path, sample: Dataset):
    make_outputs(workspace / "runs" / "sample", sample)
    page = opened(app, PAGE)
    assert "Only **sample** has" in page.info[0].value
    assert "python -m train study" in page.info[0].value
    assert "--source and --seeds 1" in page.info[0].value
    assert list(shown_table(page)) == ["sample"]
    assert "too few" in captions(page)


def test_runs_that_cannot_say_are_left_out_with_the_reason(app: AppTest, workspace: Path, runs: Path, sample):
    add_run(workspace, sample, "bound", 0, masks="truth")
    shutil.copytree(runs / "sample", runs / "half")
    (runs / "half" / "evaluate" / "result.json").unlink()
    for stage, inputs in (("masks", {}), ("segment", {"masks": "old"})):
        record = StageRecord(stage=stage, key="new", began_s=1.0, finished_s=2.0, inputs=inputs)
        write_record(runs / "blunt", record)
    page = settled(opened(app, PAGE))
    assert set(shown_table(page)) == {"sample", "sharp"}
    said = "\n".join(text.value for text in page.markdown)
    assert "**bound**: trained on truth" in said
    assert "**half**: its segmentation network is not evaluated yet" in said
    assert "**blunt**: its pseudo-masks were made anew after the training" in said
