"""The Compare page against the core: every number, every rule, downloads and the click on an image."""

import io
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from streamlit.testing.v1 import AppTest

from orandnet_core.datasets import Dataset
from orandnet_core.fusion import Fusion
from orandnet_core.metrics import THRESHOLDS, bootstrap, difference
from orandnet_core.metrics.thresholds import calibrated, oracle
from orandnet_core.scoring import PairScores
from pages.components import comparison
from pages.components.comparison import Candidate, Row
from pages.components.print_figure import comparison_png
from tests.conftest import until
from tests.pages.opening import captions, opened, settled
from train.settings import FusionSetting, save_setting

COMPARE = "analysis/compare.py"
pytestmark = pytest.mark.usefixtures("workspace")


def shown_table(app: AppTest) -> dict[str, dict[str, object]]:
    table = next(frame.value for frame in app.dataframe if "source" in frame.value.columns)
    return {row["source"]: row for row in table.to_dict("records")}


def chosen(app: AppTest, rule: str) -> AppTest:
    app.get_by_key("compare_rule").set_value(rule).run()
    return settled(app)


def test_the_table_is_what_the_core_says(app: AppTest, scored: PairScores):
    table = shown_table(chosen(opened(app, COMPARE), "oracle"))
    assert list(table) == sorted(table, key=lambda label: -table[label]["miou"])
    labels = {"cnn": "CNN", "vit": "ViT", "mean": "Naive mean", "or": "OR", "and": "AND"}
    assert set(table) == set(labels.values())
    reference = bootstrap(scored.scores["cnn"].counts)
    for name, label in labels.items():
        choice = oracle(scored.scores[name].counts)
        metrics, resampled = scored.scores[name].sweep.at(choice.value), bootstrap(scored.scores[name].counts)
        row, interval = table[label], resampled.interval("iou", choice.value)
        assert row["threshold"] == choice.value
        assert row["miou"] == pytest.approx(100 * metrics.mean_iou)
        assert row["precision"] == pytest.approx(100 * metrics.mean_precision)
        assert row["miou_interval"] == f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
        if name != "cnn":
            gain = difference(resampled, choice.value, reference, oracle(scored.scores["cnn"].counts).value)
            assert row["difference"] == pytest.approx(100 * gain.value)
            assert row["difference_interval"] == f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}"


def test_numbers_stand_before_their_intervals(app: AppTest, monkeypatch: pytest.MonkeyPatch):
    go_on = threading.Event()
    resampled = comparison.resampled

    def held_back(*scores):
        assert go_on.wait(60)
        return resampled(*scores)

    monkeypatch.setattr(comparison, "resampled", held_back)
    app.run()
    app.switch_page(f"pages/{COMPARE}")
    until(lambda: [frame for frame in app.run().dataframe if "source" in frame.value.columns])
    early = shown_table(app)["AND"]
    assert early["miou"] > 0
    assert early["miou_interval"] == ""
    go_on.set()
    late = shown_table(settled(app))["AND"]
    assert late["miou"] == early["miou"]
    assert " to " in late["miou_interval"]


def test_calibrated_is_scored_on_the_rest(app: AppTest, scored: PairScores):
    page = opened(app, COMPARE)
    page.get_by_key("compare_rule").set_value("calibrated").run()
    page.number_input(key="compare_annotated").set_value(3).run()
    row = shown_table(settled(page))["AND"]
    counts = scored.scores["and"].counts
    choice = calibrated(counts, 3)
    rest = counts.select(choice.unseen(counts.image_ids))
    assert row["rule"] == "calibrated"
    assert row["miou"] == pytest.approx(100 * rest.total().at(choice.value).mean_iou)
    assert row["regret"] >= 0
    assert "6 images" in captions(page)


@pytest.mark.parametrize("rule", ["fixed", "precision_over_recall", "no_labels"])
def test_every_rule_names_itself(app: AppTest, rule: str):
    page = chosen(opened(app, COMPARE), rule)
    expected = {"fixed": "fixed", "no_labels": "no labels", "precision_over_recall": "oracle"}[rule]
    # The published rule has seen the masks that it is scored on, and the screen says so.
    assert {row["rule"] for row in shown_table(page).values()} == {expected}


def test_a_target_out_of_reach_is_told_for_each_source(app: AppTest):
    page = opened(app, COMPARE)
    page.get_by_key("compare_rule").set_value("precision_target").run()
    page.number_input(key="compare_target").set_value(99.9).run()
    settled(page)
    assert "no threshold has a precision of 99.9%" in captions(page)
    assert not [frame for frame in page.dataframe if "source" in frame.value.columns]


def test_sources_of_two_runs_and_saved_settings(app: AppTest, workspace: Path):
    shutil.copytree(workspace / "runs" / "sample", workspace / "runs" / "other")
    half = dict.fromkeys(("cnn_threshold", "vit_threshold", "or_threshold", "and_threshold"), 0.5)
    save_setting(
        FusionSetting(name="sharp", fusion=Fusion("and", gamma_vit=2.0), background_threshold=0.25, **half)
    )
    page = opened(app, COMPARE)
    (other,) = page.multiselect(key="compare_runs").options
    page.multiselect(key="compare_runs").set_value([other])
    page.get_by_key("compare_sources").set_value(["and", "saved: sharp"]).run()
    table = shown_table(settled(page))
    names = ("AND", "sharp (saved)")
    assert set(table) == {f"{name} · {run}" for name in names for run in ("sample", "other")}
    assert table["AND · sample"]["miou"] == table["AND · other"]["miou"]
    assert table["sharp (saved) · sample"]["miou"] != table["AND · sample"]["miou"]


def test_sources_of_one_name_are_told_apart(app: AppTest, workspace: Path):
    half = dict.fromkeys(("cnn_threshold", "vit_threshold", "or_threshold", "and_threshold"), 0.5)
    save_setting(FusionSetting(name="AND", fusion=Fusion("and"), background_threshold=0.4, **half))
    runs = workspace / "runs"
    shutil.copytree(runs / "sample" / "cams-cnn", runs / "sample" / "cams-AND")
    page = opened(app, COMPARE, compare_look="Is it more than chance?")
    assert "saved" not in captions(page)
    page.get_by_key("compare_sources").set_value(["and", "cams-AND", "saved: AND"]).run()
    table = shown_table(settled(page))
    assert set(table) == {"AND (and)", "AND (cams-AND)", "AND (saved)"}
    assert page.selectbox(key="compare_test").options == ["AND (and)", "AND (cams-AND)", "AND (saved)"]
    assert "the rule chooses its threshold" in captions(page)


def test_no_source_says_what_to_do(app: AppTest):
    page = opened(app, COMPARE)
    page.get_by_key("compare_sources").set_value([]).run()
    assert not page.exception
    assert "Choose a source" in captions(page)


def scatter(app: AppTest) -> dict:
    """The points of the chart of images."""
    for chart in app.get("plotly_chart"):
        for trace in json.loads(chart.proto.spec)["data"]:
            if trace.get("hovertemplate", "").startswith("%{customdata}<br>"):
                return trace
    raise AssertionError("no chart of images")


def test_every_image_is_a_point_that_knows_its_name(app: AppTest, sample: Dataset):
    page = opened(app, COMPARE)
    assert set(scatter(page)["customdata"]) == set(sample.image_ids("train"))
    assert "of 9 images" in captions(page)


@given(arrays(float, st.integers(0, 60), elements=st.floats(-1, 1) | st.just(np.nan)), st.integers(2, 40))
def test_a_large_split_shows_a_spread_with_both_extremes(differences: np.ndarray, most: int):
    shown = comparison.spread(differences, most)
    known = differences[~np.isnan(differences)]
    assert len(shown) == len(set(shown)) == min(most, len(known))
    if len(known):
        assert (np.diff(differences[shown]) >= 0).all()
        assert differences[shown[0]] == known.min()
        assert differences[shown[-1]] == known.max()


def rows(scored: PairScores) -> list[Row]:
    found = []
    for name in ("cnn", "and"):
        scores = scored.scores[name]
        choice = oracle(scores.counts)
        metrics, card = scores.at(choice)
        found.append(
            Row(
                Candidate(name, name.upper(), name, 0, scores),
                choice,
                metrics,
                card,
                bootstrap(scores.counts),
            )
        )
    return found


def test_files_carry_numbers_intervals_and_protocol(scored: PairScores):
    cnn, fused = rows(scored)
    table = comparison.table_of([cnn, fused], cnn)
    read = pyarrow.parquet.read_table(io.BytesIO(comparison.parquet_bytes(table))).to_pylist()
    assert [row["label"] for row in read] == ["CNN", "AND"]
    assert read[1]["miou"] == pytest.approx(fused.metrics.mean_iou)
    assert read[1]["miou_low"] <= read[1]["miou"] <= read[1]["miou_high"]
    assert read[1]["compared_to"] == "CNN"
    assert read[0]["miou_difference"] is None
    protocol = fused.card.as_dict()
    assert {name: read[1][name] for name in protocol} == protocol
    text = comparison.csv_bytes(table).decode()
    assert text.splitlines()[0].startswith('"label","miou","miou_low"')
    assert text.count("\n") == 3


def test_a_row_without_threshold_keeps_its_reason(scored: PairScores):
    cnn, fused = rows(scored)
    table = comparison.table_of([cnn, Row(fused.candidate, problem="no threshold reaches it")], cnn)
    assert table.to_pylist()[1]["problem"] == "no threshold reaches it"
    assert table.to_pylist()[1]["miou"] is None


def test_curves_have_a_row_a_source_and_threshold(scored: PairScores):
    candidates = [row.candidate for row in rows(scored)]
    table = comparison.curves_table(candidates)
    assert table.num_rows == 2 * len(THRESHOLDS)
    assert np.allclose(
        table["miou"].to_numpy()[:256], scored.scores["cnn"].sweep.metrics.mean_iou, equal_nan=True
    )


def test_the_picture_is_a_png_of_print_size(scored: PairScores):
    found = rows(scored)
    content = comparison_png(
        [comparison.curve_of(row) for row in found], THRESHOLDS, [row.card for row in found]
    )
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 800
