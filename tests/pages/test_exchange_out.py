"""The way out: what is chosen is what is written, as the command writes it."""

import json
import shlex
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.datasets import Dataset, voc12
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.store import CamStore
from pages.components.fuse_setting import current_setting
from pages.components.tasks import task_board
from tests.pages.opening import captions, opened, settled
from tests.pages.workspace import make_outputs
from train.__main__ import main
from train.settings import save_setting
from train.workspace import cams_dir, run_dir

EXCHANGE, MASKS = "analysis/exchange.py", "Pseudo-masks of the run"
pytestmark = pytest.mark.usefixtures("workspace")


def way_out(app: AppTest, **query: str) -> AppTest:
    return opened(app, EXCHANGE, way="Export", **query)


def choose(page: AppTest, **values: object) -> AppTest:
    for name, value in values.items():
        kinds = ("selectbox", "multiselect", "text_input", "slider", "toggle", "button_group")
        widgets = [each for kind in kinds for each in page.get(kind)]
        widget = next(each for each in widgets if str(each.key).split()[:1] == [f"out_{name}"])
        widget.set_value(value).run()
    return settled(page)


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label.startswith(label)).click().run()
    return settled(page)


def fused(image_id: str, fusion: Fusion, threshold: float) -> np.ndarray:
    cnn, vit = (CamStore(cams_dir(run_dir("sample"), source)).read(image_id) for source in ("cnn", "vit"))
    return pseudo_mask(fuse(cnn.full_size(), vit.full_size(), fusion), cnn.class_ids, threshold)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_what_the_command_that_is_shown_writes(app: AppTest, sample: Dataset, tmp_path: Path):
    page = way_out(app)
    out = tmp_path / "out"
    choose(page, source="or", t=0.5, folder=str(out))
    count = len(sample.image_ids("train"))
    assert f"{count} of {count} images of train" in captions(page)
    assert not out.exists()
    press(page, f"Export {count} images")
    assert str(out) in page.success[0].value
    theirs = voc12(out)
    assert theirs.image_ids("train") == sample.image_ids("train")
    image_id = sample.image_ids("train")[0]
    np.testing.assert_array_equal(theirs.mask(image_id), fused(image_id, Fusion("or"), 0.5))
    words = shlex.split(page.code[-1].value)
    words[words.index("--out") + 1] = str(tmp_path / "again")
    assert main(words[3:]) == 0
    assert contents(tmp_path / "again") == contents(out)


def test_the_setting_of_fuse_goes_out_with_its_knobs(app: AppTest, sample: Dataset):
    page = opened(app, "analysis/fuse.py", fuse_rule="Naive mean", fuse_t="0.5", fuse_gamma_vit="2")
    press(page, "Export")
    page.switch_page(f"pages/{EXCHANGE}")  # where it has gone; AppTest itself stays behind
    settled(page.run())
    assert "Naive mean, shaped > 0.500" in captions(page)
    press(page, f"Export {len(sample.image_ids('train'))} images")
    out = Path(page.success[0].value.split("`")[-2])
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["background_threshold"] == 0.5
    assert "--set fusion.gamma_vit=2" in page.code[-1].value
    fusion = Fusion("mean", gamma_vit=2)
    assert Fusion.from_dict(manifest["fusion"]) == fusion
    image_id = sample.image_ids("train")[0]
    np.testing.assert_array_equal(voc12(out).mask(image_id), fused(image_id, fusion, 0.5))


def test_a_saved_setting_is_told_from_a_source_of_its_name(app: AppTest):
    setting = current_setting("cnn")
    save_setting(replace(setting, fusion=Fusion("max", gamma_cnn=2), background_threshold=0.25))
    page = way_out(app, out_source="Saved: cnn")
    assert "Maximum, shaped > 0.250" in captions(page)
    assert "--set fusion.rule=max --set fusion.gamma_cnn=2 --threshold 0.25" in page.code[-1].value
    page = choose(page, source="cnn")
    assert "--source cnn --threshold 0.30078125" in page.code[-1].value


def test_a_trimap_of_fuse_goes_out_as_one(app: AppTest):
    page = way_out(app, fuse_trimap="true", fuse_t_or="0.25", fuse_t_and="0.5")
    assert "--source trimap" in page.code[-1].value
    press(page, "Export ")
    out = Path(page.success[0].value.split("`")[-2])
    assert 255 in np.unique(voc12(out).mask(voc12(out).image_ids("train")[0]))


def test_a_download_is_packed_and_read_back(app: AppTest, sample: Dataset, workspace: Path, tmp_path: Path):
    make_outputs(run_dir("sample"), sample)
    page = way_out(app, out_format="COCO", out_source=MASKS)
    choose(page, regions="polygons", photos=False, where="A download")
    press(page, f"Pack {len(sample.image_ids('train'))} images")
    assert page.get("download_button")[0].proto.label.startswith("Download sample-masks-coco-")
    packed = next((workspace / "cache" / "exports").glob("*.zip"))
    with zipfile.ZipFile(packed) as file:
        assert file.testzip() is None
        file.extractall(tmp_path)
    content = json.loads((tmp_path / packed.stem / "annotations" / "instances_train.json").read_text())
    assert len(content["images"]) == len(sample.image_ids("train"))
    assert "ignored" in content["images"][0]
    assert not list((workspace / "cache" / "exports").glob("*/"))
    packed.unlink()
    page.run()
    press(page, "Pack ")
    assert packed.is_file()


def test_what_is_masks_already_has_no_threshold_and_no_irn(app: AppTest, sample: Dataset):
    make_outputs(run_dir("sample"), sample)
    page = way_out(app, out_source=MASKS)
    assert not [slider for slider in page.slider if slider.key == "out_t"]
    assert "--source masks" in page.code[-1].value
    assert "Random walk" in page.selectbox(key="out_source").options
    page = choose(page, format="irn")
    assert {MASKS, "Ground truth"}.isdisjoint(page.selectbox(key="out_source").options)
    assert "--to irn" in page.code[-1].value
    assert "--threshold" not in page.code[-1].value


def test_splits_without_anything_are_told(app: AppTest, sample: Dataset):
    make_outputs(run_dir("sample"), sample)
    page = way_out(app, out_source=MASKS, split="val")
    assert "none of the images of val" in page.info[0].value
    page = choose(page, splits=["train", "val"])
    assert "images of train · 0 of 3 images of val" in captions(page)


def test_a_folder_that_is_taken_is_told_before_and_made_again_once_it_is_gone(app: AppTest, tmp_path: Path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "a").write_text("")
    page = choose(way_out(app), folder=str(taken))
    assert "not empty" in page.warning[0].value
    assert not any(button.label.startswith("Export ") for button in page.button)
    page = choose(page, folder="relative/out")
    assert "whole path" in page.warning[0].value
    page = press(choose(page, folder=""), "Export ")
    out = Path(page.success[0].value.split("`")[-2])
    shutil.rmtree(out)
    page.run()
    assert not page.success
    press(page, "Export ")
    assert out.is_dir()


def test_a_cancelled_export_leaves_nothing(app: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Progress is reported between images, and there it stops."""
    page = choose(way_out(app), folder=str(tmp_path / "out"))

    def cancelled(*words, **options):
        for task in task_board()._tasks.values():
            task.cancel()
        return pseudo_mask(*words, **options)

    monkeypatch.setattr("train.export.pseudo_mask", cancelled)
    press(page, "Export ")
    assert "cancelled" in captions(page)
    assert list(tmp_path.glob("*out*")) == []


def test_without_a_run_there_is_nothing_to_export(app: AppTest):
    shutil.rmtree(run_dir("sample"))
    page = way_out(app)
    assert "No run on" in page.info[0].value
