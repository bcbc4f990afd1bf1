"""Compare's closer looks against the core."""

import base64
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.datasets import Dataset
from orandnet_core.fusion import Fusion
from orandnet_core.metrics.budget import budget
from orandnet_core.metrics.paired import paired
from orandnet_core.metrics.thresholds import no_labels
from orandnet_core.scoring import PairScores, score_pair, store_source
from orandnet_core.store import CamStore
from pages.components import catalog
from pages.components.compare_closer import paired_table
from pages.components.insight_charts import spread_table
from tests.pages.opening import captions, opened, settled

COMPARE = "analysis/compare.py"
pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture
def scored(workspace: Path, sample: Dataset) -> PairScores:
    stores = [CamStore(workspace / "runs" / "sample" / f"cams-{name}") for name in ("cnn", "vit")]
    cnn, vit = (store_source(s, n) for s, n in zip(stores, ("cnn", "vit"), strict=True))
    return score_pair(sample, "train", cnn, vit, {"and": Fusion("and")})


def test_a_difference_is_tested_as_the_core_does(app: AppTest, sample: Dataset, scored: PairScores):
    page = opened(app, COMPARE, compare_look="Is it more than chance?")
    values = tuple(no_labels(scored.scores[name].agreement).value for name in ("and", "cnn"))
    found = paired(scored.scores["and"].counts, scored.scores["cnn"].counts, values)
    shown = {metric.label: metric for metric in page.metric}["mIoU, AND − CNN"]
    assert shown.value == f"{100 * found.tests['iou'].mean.value:+.1f} points"
    assert f"p {found.tests['iou'].p:.4f}" in shown.delta
    table = paired_table(found, sample.class_names).to_pylist()
    assert [row["score"] for row in table if row["of"] == "mean"] == ["iou", "precision", "recall"]
    known = int((~np.isnan(found.tests["iou"].per_class)).sum())
    assert len([row for row in table if row["score"] == "iou"]) == 1 + known


def test_the_budget_is_the_cores(app: AppTest, scored: PairScores):
    page = opened(app, COMPARE, compare_look="How many masks to draw?")
    found = budget(scored.scores["and"].counts, scored.scores["and"].agreement)
    figure = json.loads(page.get("plotly_chart")[-1].proto.spec)
    (drawn,) = (trace for trace in figure["data"] if trace.get("name") == "Calibrated")
    assert list(drawn["x"]) == list(found.sizes)
    values = np.frombuffer(base64.b64decode(drawn["y"]["bdata"]))  # as Plotly sends arrays
    assert np.allclose(values, 100 * found.band("calibrated")[0])
    assert "9 images" in captions(page)
    assert {trace["name"] for trace in figure["data"] if "name" in trace} == {
        "Calibrated", "Precision > recall", "No labels", "Fixed",
    }  # fmt: skip
    page.number_input(key="compare_budget_target").set_value(60.0).run()
    settled(page)
    figure = json.loads(page.get("plotly_chart")[-1].proto.spec)
    assert "Precision target" in {trace.get("name") for trace in figure["data"]}


def test_seeds_are_told_apart_from_other_runs(app: AppTest, workspace: Path):
    page = opened(app, COMPARE, compare_look="Spread over seeds")
    assert any("seed" in str(info.value) for info in page.info)
    shutil.copytree(workspace / "runs" / "sample", workspace / "runs" / "other")
    path = workspace / "runs" / "other" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 1}))
    catalog.forget()
    again = opened(AppTest.from_file(app._script_path, default_timeout=60), COMPARE,
                   compare_look="Spread over seeds")  # fmt: skip
    again.multiselect(key="compare_runs").set_value(again.multiselect(key="compare_runs").options).run()
    settled(again)
    table = next(frame.value for frame in again.dataframe if "Seeds" in frame.value.columns)
    assert set(table["Seeds"]) == {2}
    assert set(table["mIoU ±"]) == {0}


def test_the_spread_is_the_standard_deviation():
    rows = [{"iou": value, "precision": 0.5, "recall": 0.5} for value in (0.40, 0.42, 0.44)]
    table = spread_table({"AND": rows})
    assert table["mIoU"] == pytest.approx([42])
    assert table["mIoU ±"] == pytest.approx([2])
    assert table["mIoU range"] == ["40.0 to 44.0"]
