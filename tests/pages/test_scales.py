"""The Scales page against the core: every number, every source, and the picture of one image."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.datasets import Dataset
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.mask_scaling import ScaleCounts, scale_counts, scale_mask, scaled_hw
from orandnet_core.mask_store import MaskStore
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.store import CamStore
from pages.components.scale_study import scale_panes
from tests.pages.opening import captions, opened, settled
from train.scales import SCALES

PAGE = "analysis/scales.py"
pytestmark = pytest.mark.usefixtures("workspace")


def shown_table(app: AppTest) -> dict[tuple[float, str], dict[str, float]]:
    table = next(frame.value for frame in app.dataframe if "Scale" in frame.value.columns)
    return {(row["Scale"], row["Mask"]): row for row in table.to_dict("records")}


def and_mask(workspace: Path, image_id: str, threshold: float) -> np.ndarray:
    stores = [CamStore(workspace / "runs" / "sample" / f"cams-{name}") for name in ("cnn", "vit")]
    cnn, vit = (store.read(image_id) for store in stores)
    return pseudo_mask(fuse(cnn.full_size(), vit.full_size(), Fusion("and")), cnn.class_ids, threshold)


def expected(sample: Dataset, mask_of) -> dict[tuple[float, str], ScaleCounts]:
    total: dict[tuple[float, str], ScaleCounts] = {}
    for image_id in sample.image_ids("train"):
        for counts in scale_counts(mask_of(image_id), sample.mask(image_id), sample.num_classes, SCALES):
            key = counts.scale, counts.how
            total[key] = total[key] + counts if key in total else counts
    return total


def check(table: dict, counts: dict) -> None:
    assert set(table) == {
        (1.0, "as it is"), *((scale, how) for scale in SCALES[1:] for how in ("nearest", "majority"))
    }  # fmt: skip
    for (scale, how), row in table.items():
        found = counts[scale, "nearest" if how == "as it is" else how]
        full, reduced = ScaleCounts.metrics(found.full), ScaleCounts.metrics(found.reduced)
        assert row["Precision"] == pytest.approx(100 * full.mean_precision)
        assert row["Recall"] == pytest.approx(100 * full.mean_recall)
        assert row["mIoU"] == pytest.approx(100 * full.mean_iou)
        assert row["Reduced: precision"] == pytest.approx(100 * reduced.mean_precision)
        assert row["Reduced: recall"] == pytest.approx(100 * reduced.mean_recall)
        assert row["Decided"] == pytest.approx(100 * ScaleCounts.decided(found.full))


def test_the_numbers_are_those_of_the_core(app: AppTest, workspace: Path, sample: Dataset):
    page = opened(app, PAGE)
    page.slider(key="scales_t").set_value(0.5).run()
    settled(page)
    check(shown_table(page), expected(sample, lambda image_id: and_mask(workspace, image_id, 0.5)))
    assert "9 images" in captions(page)
    assert "threshold 0.500 · fixed: by hand" in captions(page)


def test_the_chart_shows_both_ways_at_both_sizes(app: AppTest):
    page = opened(app, PAGE)
    figure = json.loads(page.get("plotly_chart")[0].proto.spec)
    names = {trace["name"] for trace in figure["data"]}
    assert names == {
        f"{how}, {size}"
        for how in ("nearest", "majority")
        for size in ("enlarged again", "at the reduced size")
    }
    assert len(figure["data"]) == 4 * 3
    table = shown_table(page)
    majority = next(
        t for t in figure["data"] if t["name"] == "majority, enlarged again" and t["xaxis"] == "x"
    )
    assert list(majority["x"]) == sorted(SCALES)
    by_scale = [table[scale, "majority"]["Precision"] for scale in (0.25, 0.5, 0.75)]
    assert np.allclose(100 * np.array(majority["y"][:3]), by_scale)


def test_the_runs_own_masks_and_stores_are_sources(app: AppTest, workspace: Path, sample: Dataset):
    run_dir = workspace / "runs" / "sample"
    store = MaskStore(run_dir / "masks")
    store.write_card({"maps": "and"})
    for image_id in sample.image_ids("train"):
        mask = and_mask(workspace, image_id, 0.3)
        mask[:20] = IGNORE_INDEX
        store.write(image_id, mask)
    shutil.copytree(run_dir / "cams-cnn", run_dir / "cams-walk")
    page = opened(app, PAGE)
    options = page.selectbox(key="scales_source").options
    assert {"AND", "Random walk", "Pseudo-masks"} <= set(options)
    page.selectbox(key="scales_source").set_value("masks").run()
    settled(page)
    check(shown_table(page), expected(sample, store.read))
    assert not [slider for slider in page.slider if slider.key == "scales_t"]
    page.selectbox(key="scales_source").set_value("cams-walk").run()
    settled(page)
    walked = shown_table(page)
    page.selectbox(key="scales_source").set_value("cnn").run()
    assert shown_table(settled(page)) == walked


def test_fewer_images_are_counted_when_asked(app: AppTest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pages.components.scale_study.spread", lambda ids, most: list(ids)[:4])
    assert "4 images" in captions(opened(app, PAGE))


def test_an_image_without_a_map_is_passed_over(app: AppTest, workspace: Path, sample: Dataset):
    store = MaskStore(workspace / "runs" / "sample" / "masks")
    store.write_card({})
    for image_id in sample.image_ids("train")[1:]:
        store.write(image_id, sample.mask(image_id))
    page = opened(app, PAGE, scales_source="Pseudo-masks")
    assert "8 images (1 passed over)" in captions(page)
    assert shown_table(page)[1.0, "as it is"]["mIoU"] == 100
    assert any("cannot be shown" in str(warning.proto) for warning in page.warning)


def test_panes_show_the_mask_at_every_scale_and_way():
    rng = np.random.default_rng(0)
    mask, truth = rng.integers(0, 3, (2, 40, 60), np.uint8)
    truth[0] = IGNORE_INDEX
    panes = {pane.key: pane for pane in scale_panes(mask, truth, (40, 60), ("cat", "dog"))}
    assert list(panes) == ["truth", "mask"] + [
        f"{how} {scale}" for scale in SCALES[1:] for how in ("nearest", "majority")
    ]
    np.testing.assert_array_equal(panes["mask"].values, mask)
    small = scale_mask(mask, scaled_hw(mask.shape, 0.5), "majority")
    np.testing.assert_array_equal(panes["majority 0.5"].values, scale_mask(small, (40, 60), "nearest"))
    assert panes["majority 0.5"].subtitle == "30 × 20"
    assert panes["majority 0.5"].names[IGNORE_INDEX] == "undecided"
    assert panes["truth"].names[IGNORE_INDEX] == "ignored"
    reduced = scale_panes(mask, None, (20, 30), ("cat", "dog"))
    assert {pane.values.shape for pane in reduced} == {(20, 30)}
    assert "truth" not in {pane.key for pane in reduced}
