"""What a run has beside both networks is a source on every page, scored as the core scores it."""

import base64
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.datasets import Dataset
from orandnet_core.mask_store import MaskStore
from orandnet_core.metrics import MASK_THRESHOLD, bootstrap, difference, per_image, thresholds
from orandnet_core.scoring import mask_source, score, store_source
from orandnet_core.store import CamStore
from pages.components.sources import further_sources, shown_sources
from tests.pages.in_viewer import Shown, catch_viewer
from tests.pages.opening import captions, opened, settled
from tests.pages.workspace import make_outputs

COMPARE, FUSE = "analysis/compare.py", "analysis/fuse.py"


@pytest.fixture
def run_dir(workspace: Path, sample: Dataset) -> Path:
    """The run `sample` with all that later stages make."""
    folder = workspace / "runs" / "sample"
    make_outputs(folder, sample)
    return folder


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What the viewer was last given on Inspect and Fuse."""
    return catch_viewer(monkeypatch, "components.panes", "components.viewer")


def shown_table(app: AppTest) -> dict[str, dict[str, object]]:
    table = next(frame.value for frame in app.dataframe if "source" in frame.value.columns)
    return {row["source"]: row for row in table.to_dict("records")}


def test_a_split_has_the_sources_whose_images_are_there(run_dir: Path, sample: Dataset):
    shutil.copytree(run_dir / "cams-cnn", run_dir / "cams-amn")
    shutil.copytree(run_dir / "cams-cnn", run_dir / "cams-refine")
    shutil.copytree(run_dir / "evaluate" / "val", run_dir / "evaluate" / "val-single")
    on_train, on_val = (further_sources(run_dir, sample, split) for split in ("train", "val"))
    assert list(on_train) == ["cams-refine", "cams-walk", "cams-amn", "masks"]
    assert list(on_val) == ["cams-refine", "cams-walk", "cams-amn", "segment", "segment-single"]
    labels = [source.label for source in on_val.values()]
    assert labels == ["Refined", "Random walk", "amn", "Segmentation", "Segmentation, one scale"]
    assert further_sources(None, sample, "train") == {}


def test_compare_scores_a_store_and_masks_as_the_core_does(app: AppTest, run_dir: Path, sample: Dataset):
    page = opened(app, COMPARE)
    page.get_by_key("compare_rule").set_value("oracle").run()
    page.get_by_key("compare_sources").set_value(["cnn", "cams-walk", "masks"]).run()
    table = shown_table(settled(page))
    assert set(table) == {"CNN", "Random walk", "Pseudo-masks"}
    ids = sample.image_ids("train")
    walk = score(sample, "train", store_source(CamStore(run_dir / "cams-walk")))
    masks = score(sample, "train", mask_source(MaskStore(run_dir / "masks"), ids, "masks"))
    cnn = score(sample, "train", store_source(CamStore(run_dir / "cams-cnn")))
    best = thresholds.oracle(walk.counts)
    assert table["Random walk"]["threshold"] == best.value
    assert table["Random walk"]["miou"] == pytest.approx(100 * walk.at(best)[0].mean_iou)
    row, found = table["Pseudo-masks"], masks.at(thresholds.fixed(0.5))[0]
    assert row["miou"] == pytest.approx(100 * found.mean_iou)
    assert row["recall"] == pytest.approx(100 * found.mean_recall)
    assert (row["threshold"], row["rule"], row["chosen_on"]) == (0.25, "fixed", "no images (the recipe)")
    at = thresholds.oracle(cnn.counts).value
    gain = difference(bootstrap(masks.counts), 0.5, bootstrap(cnn.counts), at)
    assert row["difference"] == pytest.approx(100 * gain.value)
    assert row["difference_interval"] == f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}"


@pytest.mark.parametrize("rule", ["no_labels", "precision_target", "calibrated"])
def test_predictions_have_one_point_under_every_rule(app: AppTest, run_dir: Path, rule: str):
    page = opened(app, COMPARE, split="val", compare_sources=["CNN", "Segmentation"])
    page.get_by_key("compare_rule").set_value(rule).run()
    if rule == "calibrated":
        page.number_input(key="compare_annotated").set_value(1).run()
    row = shown_table(settled(page))["Segmentation"]
    assert np.isnan(row["threshold"])
    assert row["rule"] == "argmax, one scale"
    result = json.loads((run_dir / "evaluate" / "result.json").read_text())["scores"][0]
    if rule == "calibrated":
        assert "2 images" in captions(page), "the image that calibrates the others is left out here too"
    else:
        assert row["miou"] == pytest.approx(100 * result["miou"])
        low, high = (100 * result[f"miou_{end}"] for end in ("low", "high"))
        assert row["miou_interval"] == f"{low:.1f} to {high:.1f}"
    traces = [
        trace
        for chart in page.get("plotly_chart")
        for trace in json.loads(chart.proto.spec)["data"]
        if trace.get("name") == "Segmentation"
    ]
    point = next(trace for trace in traces if trace["mode"] == "markers")
    recall = np.frombuffer(base64.b64decode(point["x"]["bdata"]))
    assert recall.tolist() == pytest.approx([result["recall"]])


def test_sources_that_another_run_lacks_are_said(app: AppTest, workspace: Path, run_dir: Path):
    shutil.copytree(run_dir / "cams-cnn", workspace / "runs" / "other" / "cams-cnn")
    shutil.copytree(run_dir / "cams-vit", workspace / "runs" / "other" / "cams-vit")
    shutil.copy(run_dir / "config.json", workspace / "runs" / "other" / "config.json")
    page = opened(app, COMPARE, run="sample", compare_runs=["other"])
    page.get_by_key("compare_sources").set_value(["and", "masks"]).run()
    assert set(shown_table(settled(page))) == {"AND · sample", "AND · other", "Pseudo-masks · sample"}
    assert "Pseudo-masks of other" in captions(page)


def test_differences_are_left_out_where_the_images_differ(app: AppTest, run_dir: Path, sample: Dataset):
    MaskStore(run_dir / "masks").path_of(sample.image_ids("train")[0]).unlink()
    page = opened(app, COMPARE)
    page.get_by_key("compare_sources").set_value(["cnn", "and", "masks"]).run()
    settled(page)
    ask = next(button for button in page.button if "8 of 9 images" in button.label)
    ask.click().run()
    table = shown_table(settled(page))
    assert table["Pseudo-masks"]["difference_interval"] == ""
    assert table["AND"]["difference_interval"] != ""
    assert "Scored on other images than CNN (9)" in captions(page)
    page.get_by_key("compare_y").set_value("Pseudo-masks").run()
    assert "of 8 images" in captions(settled(page)), "images that both have are pairs"


def test_inspect_shows_them_and_makes_the_mask_from_them(app: AppTest, run_dir: Path, sample: Dataset, shown):
    first = sample.image_ids("train")[0]
    page = opened(app, "analysis/inspect_page.py", beside=["Random walk", "Pseudo-masks"])
    assert list(shown.sources) == ["cnn", "vit", "cams-walk", "masks"]
    stored = MaskStore(run_dir / "masks").read(first)
    np.testing.assert_array_equal(shown.sources["masks"].labels, stored)
    assert shown.sources["masks"].subtitle == "of walk · above 0.25 · margin 0.1"
    walk = CamStore(run_dir / "cams-walk").read(first).full_size()
    np.testing.assert_array_equal(shown.sources["cams-walk"].cam, walk)
    assert shown["live"].usual[-2:] == ["cams-walk", "masks"]
    page.session_state["mask"] = "masks"
    page.run()
    assert shown.setting["rule"] == "masks"
    page.selectbox("split").set_value("val").run()
    assert not page.exception, "the split has no pseudo-masks"
    assert list(shown.sources) == ["cnn", "vit", "cams-walk"]
    assert shown.setting["rule"] == "and"


def test_what_cannot_be_read_is_said_and_the_rest_is_shown(
    app: AppTest, run_dir: Path, sample: Dataset, shown
):
    path = MaskStore(run_dir / "masks").path_of(sample.image_ids("train")[0])
    path.write_bytes(b"no picture")
    page = opened(app, "analysis/inspect_page.py", beside=["Random walk", "Pseudo-masks"])
    assert list(shown.sources) == ["cnn", "vit", "cams-walk"]
    assert str(path) in captions(page)


def test_a_class_that_a_store_lacks_counts_as_0(run_dir: Path, sample: Dataset):
    (first, *_) = sample.image_ids("train")
    source = further_sources(run_dir, sample, "train")["cams-walk"]
    stored = CamStore(run_dir / "cams-walk").read(first)
    size_hw = stored.size_hw
    absent = next(k for k in range(1, sample.num_classes) if k not in stored.class_ids)
    class_ids = np.union1d(stored.class_ids, [absent])
    (found,) = shown_sources([source], first, class_ids, size_hw)
    assert not found.cam[class_ids == absent].any()
    np.testing.assert_array_equal(found.cam[class_ids != absent], stored.full_size())


def test_images_are_sorted_by_any_source(app: AppTest, run_dir: Path, sample: Dataset, shown):
    page = opened(app, "analysis/inspect_page.py", sort="by IoU")
    page.selectbox("sort_source").set_value("masks").run()
    settled(page)
    assert "by IoU of Pseudo-masks" in captions(page)
    masks = score(
        sample, "train", mask_source(MaskStore(run_dir / "masks"), sample.image_ids("train"), "masks")
    )
    found = per_image(masks.counts, MASK_THRESHOLD)
    iou_of = dict(zip(found.image_ids, found.iou, strict=True))
    scores = []
    for _ in sample.image_ids("train"):
        scores.append(iou_of[page.text_input("image").value])
        if page.button("step_right").disabled:
            break
        page.button("step_right").click().run()
    assert scores == sorted(scores)
    assert len(scores) == 9


def test_fuse_shows_them_beside(app: AppTest, run_dir: Path, sample: Dataset, shown):
    opened(app, FUSE, fuse_beside=["Random walk", "Pseudo-masks"])
    assert list(shown.sources) == ["cnn", "vit", "cams-walk", "masks"]
    assert shown["live"].usual[-2:] == ["cams-walk", "masks"]


def test_one_source_alone_is_shown_once(app: AppTest, run_dir: Path):
    page = opened(app, COMPARE, compare_sources=["Random walk"])
    assert page.multiselect(key="compare_class_sources").value == ["Random walk"]
