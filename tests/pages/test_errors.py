"""The Errors page against the core: every slice, its images, its pictures and the way to Inspect."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.datasets import Dataset
from orandnet_core.fusion import Fusion
from orandnet_core.metrics.thresholds import fixed, oracle
from orandnet_core.mining import FACETS, KINDS, Mined, backgrounds_of, images_of, mine, ranked, slice_label
from orandnet_core.mining.miner import errors_of_image
from orandnet_core.mining.picture import slice_picture
from orandnet_core.scoring import Source, fused_source, score, store_source
from orandnet_core.store import CamStore
from pages.components.error_charts import clicked_slice, slice_bars
from tests.pages.in_viewer import catch_viewer
from tests.pages.opening import captions, opened, settled
from tests.pages.workspace import make_outputs

PAGE = "analysis/errors.py"
pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture
def source(workspace: Path) -> Source:
    stores = [CamStore(workspace / "runs" / "sample" / f"cams-{name}") for name in ("cnn", "vit")]
    return fused_source("and", *(store_source(s, n) for s, n in zip(stores, ("cnn", "vit"), strict=True)),
                        Fusion("and"))  # fmt: skip


def mined_at(sample: Dataset, source: Source, choice) -> Mined:
    return mine(sample, "train", source, choice, backgrounds_of(sample, "train"))


def shown(app: AppTest) -> dict[str, dict[str, float]]:
    table = next(frame.value for frame in app.dataframe if "Slice" in frame.value.columns)
    return {row["Slice"]: row for row in table.to_dict("records")}


def test_the_slices_are_those_of_the_core(app: AppTest, sample: Dataset, source: Source):
    page = opened(app, PAGE, errors_at="Oracle", errors_facet="Class", errors_by="Precision")
    mined = mined_at(sample, source, oracle(score(sample, "train", source).counts))
    expected = ranked(mined, FACETS["class"], "precision")
    labels = [slice_label(each.where, sample.class_names, mined.backgrounds.names) for each in expected]
    table = shown(page)
    assert list(table) == labels
    for label, each in zip(labels, expected, strict=True):
        assert table[label]["mIoU"] == pytest.approx(100 * each.gains["iou"])
        assert table[label]["Precision"] == pytest.approx(100 * each.gains["precision"])
        assert (table[label]["Pixels"], table[label]["Images"]) == (each.pixels, each.images)
    assert {metric.label: metric.value for metric in page.metric}["mIoU"] == f"{mined.metrics().mean_iou:.1%}"
    assert "oracle: 9 images" in captions(page)


def test_a_slice_shows_its_images_and_one_opens_in_inspect(
    app: AppTest, sample: Dataset, source: Source, monkeypatch: pytest.MonkeyPatch
):
    inspected = catch_viewer(monkeypatch, "components.panes")
    page = opened(app, PAGE, errors_at="Fixed")
    page.slider(key="errors_t").set_value(0.5).run()
    settled(page)
    mined = mined_at(sample, source, fixed(0.5))
    second = ranked(mined, FACETS["kind"])[1]
    page.selectbox(key="slice").set_value(second.key).run()
    settled(page)
    found = images_of(mined, second.where)
    for image_id, pixels in found:
        assert f"{image_id} · {pixels:,} px" in captions(page)
    image_id = found[-1][0]
    page.button(key=f"inspect {image_id}").click().run()
    assert not page.exception
    assert page.text_input(key="image").value == image_id
    assert (inspected.setting["t"], inspected.setting["rule"]) == (0.5, "and")


def test_inspect_shows_what_was_judged_whatever_was_looked_at_there_before(
    app: AppTest, sample: Dataset, workspace: Path, monkeypatch: pytest.MonkeyPatch
):
    make_outputs(workspace / "runs" / "sample", sample)
    inspected = catch_viewer(monkeypatch, "components.panes")
    label = int(sample.class_ids(sample.image_ids("train")[0])[0])
    app.query_params["classes"] = sample.class_names[label - 1]
    app.run()
    app.get_by_key("look").set_value("Your photos").run()
    page = settled(app.switch_page(f"pages/{PAGE}").run())
    page.selectbox(key="errors_source").set_value("cams-walk").run()
    page.get_by_key("errors_at").set_value("fixed").run()
    page.slider(key="errors_t").set_value(0.75).run()
    asked = [
        button.key.split()[1] for button in settled(page).button if str(button.key).startswith("inspect ")
    ]
    image_id = next(each for each in asked if label not in sample.class_ids(each))
    page.button(key=f"inspect {image_id}").click().run()
    assert not page.exception
    assert page.text_input(key="image").value == image_id
    assert not page.toast
    assert (inspected["photo"] == sample.image(image_id)).all()
    assert (inspected.setting["rule"], inspected.setting["t"]) == ("cams-walk", 0.75)
    assert "cams-walk" in inspected.sources
    assert page.query_params["beside"] == "Random walk"


def test_one_class_alone(app: AppTest, sample: Dataset, source: Source):
    name = sample.class_names[0]
    page = opened(app, PAGE, errors_at="Oracle", errors_class=name)
    mined = mined_at(sample, source, oracle(score(sample, "train", source).counts))
    expected = ranked(mined, FACETS["kind"], within={"owner": 1})
    assert [row["Pixels"] for row in shown(page).values()] == [each.pixels for each in expected]


@pytest.mark.parametrize("facet", [facet.label for facet in FACETS.values()])
def test_every_facet_can_be_looked_at(app: AppTest, facet: str):
    page = opened(app, PAGE, errors_facet=facet)
    assert not page.exception
    assert page.info or shown(page)


def test_bars_know_their_slices(sample: Dataset, source: Source):
    slices = ranked(mined_at(sample, source, fixed(0.4)), FACETS["kind"])
    figure = slice_bars(slices, {each.key: each.key for each in slices}, "iou", "mIoU")
    drawn = {row[0]: x for bar in figure.data for row, x in zip(bar.customdata, bar.x, strict=True)}
    assert drawn == {each.key: 100 * each.gains["iou"] for each in slices}
    point = {"customdata": [slices[0].key, 1, 1]}
    assert clicked_slice({"selection": {"points": [point]}}) == slices[0].key
    assert clicked_slice({"selection": {"points": []}}) is None


def test_a_picture_marks_the_slice_and_only_it_strongly(sample: Dataset, source: Source):
    mined = mined_at(sample, source, fixed(0.02))
    image_id = images_of(mined, {"kind": 1})[0][0]
    errors = errors_of_image(sample, source, 0.02, mined.backgrounds, image_id)
    photo = np.full((*errors.kind.shape, 3), 128, np.uint8)
    picture = slice_picture(photo, errors, {"kind": 1}, width_px=photo.shape[1]).astype(int)
    redness = picture[..., 0] - picture[..., 2]
    outlined = (picture == 255).all(axis=2)
    assert redness[errors.matching({"kind": 1}) & ~outlined].min() > 80
    others = np.isin(errors.kind, list(KINDS)) & (errors.kind != 1) & ~outlined
    assert np.abs(redness[others]).max() < 70
    assert (redness[(errors.kind == 0) & ~outlined] == 0).all()
    assert slice_picture(photo, errors, {"kind": 1}, width_px=40).shape[1] == 40
