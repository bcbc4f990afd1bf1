"""Runs: pictures of what a run has made so far, read only once they are asked for."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.datasets import Dataset
from orandnet_core.mask_store import MaskStore
from orandnet_core.store import CamStore
from pages.components.view_controls import DEFAULT_RULE, DEFAULT_THRESHOLD
from tests.pages.in_viewer import Shown, catch_viewer
from tests.pages.opening import captions, opened
from tests.pages.workspace import make_outputs
from train.config import to_dict
from train.recipes import recipe
from train.workspace import run_dir

RUNS = "training/runs.py"
pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    return catch_viewer(monkeypatch, "components.panes")


@pytest.fixture
def lone(sample: Dataset) -> Path:
    """A run without CAMs of the ViT: pseudo-masks of `train`, predictions of `val`."""
    folder = run_dir("lone")
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(to_dict(recipe("scenes"))))
    make_outputs(folder, sample)
    shutil.rmtree(folder / "cams-walk")
    return folder


def pictures(app: AppTest, run: str, **query: str) -> AppTest:
    return opened(app, RUNS, shown=run, runs_pictures="true", **query)


def test_nothing_is_read_while_the_box_is_closed(app: AppTest, shown: Shown, monkeypatch: pytest.MonkeyPatch):
    def read(*_):
        raise AssertionError("an image was read")

    monkeypatch.setattr(CamStore, "read", read)
    monkeypatch.setattr("pages.components.run_pictures._draw", read)
    page = opened(app, RUNS, shown="sample")
    assert [box.label for box in page.expander if box.label == "Pictures"] == ["Pictures"]
    assert not shown


def test_a_run_that_has_made_nothing_has_no_box(app: AppTest):
    folder = run_dir("bare")
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(to_dict(recipe("scenes"))))
    page = pictures(app, "bare")
    assert "**bare**" in "".join(text.value for text in page.markdown)
    assert "Pictures" not in [box.label for box in page.expander]


def test_everything_that_there_is_is_shown_in_the_order_in_which_it_is_made(
    app: AppTest, shown: Shown, sample: Dataset
):
    make_outputs(run_dir("sample"), sample)
    page = pictures(app, "sample")
    image_id = sample.image_ids("train")[0]
    assert list(shown.sources) == ["cnn", "vit", "cams-walk", "masks"]
    assert shown["live"].usual == ["photo", "cnn", "vit", "cams-walk", "masks", "truth"]
    assert shown.setting["rule"] == DEFAULT_RULE
    drawn = [control["name"] for group in shown["live"].controls for control in group["controls"]]
    assert drawn == ["class", "t", "outlined"]
    np.testing.assert_array_equal(shown["photo"], sample.image(image_id))
    np.testing.assert_array_equal(shown.scene.truth, sample.mask(image_id))
    walk = CamStore(run_dir("sample") / "cams-walk").read(image_id).full_size()
    np.testing.assert_array_equal(shown.sources["cams-walk"].cam, walk)
    page.button(key="step_right").click().run()
    np.testing.assert_array_equal(shown["photo"], sample.image(sample.image_ids("train")[1]))
    page.button_group(key="runs_split_sample").set_value("val").run()
    assert list(shown.sources) == ["cnn", "vit", "cams-walk", "segment"]


def test_a_run_without_both_networks_shows_what_it_has(
    app: AppTest, shown: Shown, sample: Dataset, lone: Path
):
    page = pictures(app, "lone")
    image_id = sample.image_ids("train")[0]
    assert list(shown.sources) == ["masks"]
    assert shown.setting["rule"] == "masks"
    np.testing.assert_array_equal(shown.sources["masks"].labels, MaskStore(lone / "masks").read(image_id))
    page.button_group(key="runs_split_lone").set_value("val").run()
    assert list(shown.sources) == ["segment"]
    assert shown.setting["rule"] == "segment"


def test_a_network_whose_other_is_still_to_come(app: AppTest, shown: Shown, sample: Dataset, lone: Path):
    shutil.rmtree(lone / "masks")
    shutil.copytree(run_dir("sample") / "cams-cnn", lone / "cams-cnn")
    pictures(app, "lone")
    assert list(shown.sources) == ["cams-cnn"]
    stored = CamStore(lone / "cams-cnn").read(sample.image_ids("train")[0])
    np.testing.assert_array_equal(shown.sources["cams-cnn"].cam, stored.full_size())


def test_an_image_of_which_there_is_nothing_yet(app: AppTest, shown: Shown, sample: Dataset, lone: Path):
    second = sample.image_ids("train")[1]
    MaskStore(lone / "masks").path_of(second).unlink()
    page = pictures(app, "lone")
    assert "nothing of this image yet" not in captions(page)
    page.button(key="step_right").click().run()
    assert "nothing of this image yet" in captions(page)
    assert not shown.sources
    np.testing.assert_array_equal(shown["photo"], sample.image(second))


def test_a_damaged_file_is_said_and_the_rest_is_shown(
    app: AppTest, shown: Shown, sample: Dataset, lone: Path
):
    first = sample.image_ids("train")[0]
    MaskStore(lone / "masks").path_of(first).write_bytes(b"no picture")
    page = pictures(app, "lone")
    assert "Pseudo-masks" in captions(page)
    np.testing.assert_array_equal(shown["photo"], sample.image(first))


def test_the_setting_of_inspect_is_left_alone(app: AppTest, shown: Shown, lone: Path):
    page = pictures(app, "lone")
    page.session_state["runs_threshold"] = 0.75
    page.run()
    assert shown.setting["t"] == 0.75
    assert page.session_state["threshold"] == DEFAULT_THRESHOLD
