"""The way in: recognised, asked about, seen, and only then written."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.datasets import Dataset
from orandnet_core.store import CamStore
from pages.components.import_files import kept
from tests.pages.opening import opened, settled
from tests.pages.workspace import IMAGES
from train.workspace import cams_dir, run_dir

EXCHANGE = "analysis/exchange.py"
pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture
def foreign(sample: Dataset, tmp_path: Path) -> Path:
    """The CNN's maps as IRN writes them."""
    root = tmp_path / "irn"
    root.mkdir()
    store = CamStore(cams_dir(run_dir("sample"), "cnn"))
    for image_id in store.image_ids():
        stored = store.read(image_id)
        value = {"keys": stored.class_ids - 1, "high_res": stored.full_size()}
        np.save(root / f"{image_id}.npy", value, allow_pickle=True)
    return root


def page_of(app: AppTest, folder: Path) -> AppTest:
    page = opened(app, EXCHANGE)
    page.text_input(key="import_folder").set_value(str(folder)).run()
    return settled(page)


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    return settled(page)


def test_without_a_folder_nothing_is_asked(app: AppTest):
    page = opened(app, EXCHANGE)
    assert not page.error
    assert not page.success


def test_a_folder_becomes_a_source_of_the_run(app: AppTest, foreign: Path):
    page = page_of(app, foreign)
    assert "A dict with `keys`" in page.success[0].value
    assert any("numbers count classes from 0" in text.value for text in page.markdown)
    assert page.table[0].value["With maps"].astype(int).sum() == IMAGES
    assert not page.warning
    store = CamStore(cams_dir(run_dir("sample"), "amn"))
    page.text_input(key="import_source").set_value("amn").run()
    assert len(store) == 0
    press(page, f"Import {IMAGES} images")
    assert len(store) == IMAGES
    assert any(f"{IMAGES} images of **amn**" in told.value for told in page.success)
    assert "score" in page.code[0].value
    options = page.run().selectbox(key="cnn").options
    assert "sample/amn" in options


def imported(page: AppTest) -> bool:
    return any(f"{IMAGES} images of **amn**" in told.value for told in page.success)


def amn_values() -> dict[str, float]:
    """The sum of every image's maps in the store that tests import into."""
    store = CamStore(cams_dir(run_dir("sample"), "amn"))
    return {image_id: float(store.read(image_id).cam.sum()) for image_id in store.image_ids()}


@pytest.mark.parametrize("gone", ["cams-amn", "."])
def test_maps_that_were_deleted_are_imported_again(app: AppTest, foreign: Path, gone: str):
    page = page_of(app, foreign)
    page.text_input(key="import_source").set_value("amn").run()
    press(page, f"Import {IMAGES} images")
    page.run()
    assert imported(page)
    before = amn_values()
    config = (run_dir("sample") / "config.json").read_bytes()
    shutil.rmtree(run_dir("sample") / gone)
    if gone == ".":  # the run is there again, without this source
        run_dir("sample").mkdir()
        (run_dir("sample") / "config.json").write_bytes(config)
    page.run()
    assert not imported(page)
    press(page, f"Import {IMAGES} images")
    assert imported(page)
    assert amn_values() == before


def test_what_took_the_place_of_maps_is_not_called_imported(app: AppTest, foreign: Path):
    page = page_of(app, foreign)
    page.text_input(key="import_source").set_value("amn").run()
    page.checkbox(key="import_anew").set_value(True).run()
    press(page, f"Import {IMAGES} images")
    store = CamStore(cams_dir(run_dir("sample"), "amn"))
    store.write_card(store.card | {"imported_from": "/elsewhere"})
    page.run()
    assert not imported(page)
    press(page, f"Import {IMAGES} images")
    assert imported(page)
    assert store.card["imported_from"] == str(foreign)


def test_files_that_were_overwritten_replace_what_was_imported(app: AppTest, foreign: Path):
    page = page_of(app, foreign)
    page.text_input(key="import_source").set_value("amn").run()
    page.checkbox(key="import_anew").set_value(True).run()
    press(page, f"Import {IMAGES} images")
    before = amn_values()
    for path in foreign.iterdir():
        value = np.load(path, allow_pickle=True)[()]
        np.save(path, value | {"high_res": value["high_res"] / 2}, allow_pickle=True)
    press(page, "Import again")
    press(page, f"Import {IMAGES} images")
    assert imported(page)
    after = amn_values()
    assert after.keys() == before.keys()
    assert all(after[image_id] == pytest.approx(before[image_id] / 2, rel=0.01) for image_id in before)


def test_what_is_doubtful_has_to_be_decided(app: AppTest, foreign: Path):
    for path in foreign.iterdir():
        value = np.load(path, allow_pickle=True)[()]
        np.save(path, value | {"high_res": 5 * value["high_res"]}, allow_pickle=True)
    page = page_of(app, foreign)
    assert "scores lie in [0, 1]" in page.warning[0].value
    page.text_input(key="import_source").set_value("amn").run()
    assert not any(button.label.startswith("Import ") for button in page.button)
    page.selectbox(key="import_asked_values").set_value("max").run()
    settled(page)
    press(page, f"Import {IMAGES} images")
    assert len(CamStore(cams_dir(run_dir("sample"), "amn"))) == IMAGES


def test_a_class_order_is_overruled(app: AppTest, foreign: Path):
    page = page_of(app, foreign)
    page.selectbox(key="import_other_order").set_value("1").run()
    assert not page.exception
    assert any("no map of" in told.value or "cannot be read as" in told.value for told in page.warning)


@pytest.mark.parametrize("name", ["a/b", "../x", ".hidden"])
def test_names_that_make_no_folder(app: AppTest, foreign: Path, name: str):
    page = page_of(app, foreign)
    page.text_input(key="import_source").set_value(name).run()
    assert "RUN/SOURCE" in page.warning[-1].value


def test_what_cannot_be_read_is_said(app: AppTest, tmp_path: Path):
    page = page_of(app, tmp_path / "none")
    assert "no such folder" in page.error[0].value


def test_uploads_stay_in_their_folder(tmp_path: Path):
    files = [
        SimpleNamespace(name=name, file_id=str(at), getbuffer=lambda: b"x")
        for at, name in enumerate(("maps/a.npy", "../../b.npy", "/c.npy", "..\\d.npy"))
    ]
    root = kept(files)
    assert {str(path.relative_to(root)) for path in root.rglob("*.npy")} == {
        "maps/a.npy",
        "b.npy",
        "c.npy",
        "d.npy",
    }
    assert kept(files) == root
