"""The Data page: what the check found, and a data set added by its folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from pages.components import catalog
from tests.pages.opening import address, captions, opened, settled
from tests.pages.workspace import add_run

DATA, REMOVE = "analysis/data.py", "Take off the list"
pytestmark = pytest.mark.usefixtures("workspace")


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A folder of one's own: three images, one of them cut short, one of another size than its mask."""
    root = tmp_path / "my_data"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(np.full((20, 30, 3), 128, np.uint8)).save(root / "images" / f"{name}.jpg")
        size = (20, 30) if name != "b" else (10, 30)
        Image.fromarray(np.ones(size, np.uint8)).save(root / "masks" / f"{name}.png")
    cut = (root / "images" / "c.jpg").read_bytes()
    (root / "images" / "c.jpg").write_bytes(cut[: len(cut) // 2])
    (root / "labels.csv").write_text("image,classes,split\na,cat,train\nb,cat;dog,train\nc,dog,val\n")
    return root


def added(app: AppTest, folder: Path, name: str = "") -> AppTest:
    page = opened(app, DATA)
    page.text_input(key="data_root").set_value(str(folder))
    page.text_input(key="data_name").set_value(name)
    page.form_submit_button[0].click().run()
    return settled(page)


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    return settled(page)


def test_the_sample_is_in_order(app: AppTest):
    page = opened(app, DATA)
    assert metrics(page) == {"Usable images": "12 of 12", "Errors": "0", "Notes": "0"}
    assert page.table[0].value["Split"].tolist() == ["train", "val"]
    assert page.success[0].value == "Every file is in order."
    assert "balloon" in captions(page)


def test_a_folder_is_added_and_what_is_wrong_with_it_is_told(app: AppTest, own_folder: Path):
    page = added(app, own_folder, "mine")
    assert page.selectbox(key="dataset").value == "mine"
    assert address(page)["dataset"] == "mine"
    assert metrics(page)["Usable images"] == "2 of 3"
    found = findings(page)
    assert any("c.jpg" in file for files in found.values() for file in files)
    assert found["Error · sizes differ · 1"] == ["masks/b.png"]


def kind_box(page: AppTest) -> Selectbox:
    return next(box for box in page.selectbox if box.label == "What was found")


def findings(page: AppTest) -> dict[str, list[str]]:
    """Every kind with its files, chosen one after the other."""
    kinds = kind_box(page).options
    found = {}
    for kind in kinds:
        kind_box(page).set_value(kind).run()
        assert not page.exception
        table = page.dataframe[0].value
        assert table["Remedy"].str.len().min() > 5
        found[kind] = table["File"].tolist()
    return found


@pytest.mark.parametrize("folder", ["/no/such/folder", "/proc"])
def test_what_is_no_data_set_is_not_added(app: AppTest, folder: str):
    page = added(app, Path(folder))
    assert page.error[0].value
    assert "mine" not in page.selectbox(key="dataset").options


def test_a_name_that_another_folder_has_is_refused(app: AppTest, own_folder: Path, tmp_path: Path):
    other = tmp_path / "other" / "my_data"
    shutil.copytree(own_folder, other)
    page = added(app, own_folder)
    page = added(app, other)
    assert f"'my_data' is taken by {own_folder}" in page.error[0].value
    assert [ref.root for ref in catalog.added_datasets()] == [own_folder]
    page = added(app, other, "second")
    assert not page.error
    assert page.selectbox(key="dataset").value == "second"
    assert list(catalog.datasets()) == ["scenes", "my_data", "second"]


def test_the_same_folder_under_another_name_is_renamed(app: AppTest, own_folder: Path):
    added(app, own_folder, "first")
    page = added(app, own_folder, "second")
    assert page.selectbox(key="dataset").options == ["scenes", "second"]


def test_an_added_data_set_is_taken_off_the_list_and_its_files_stay(app: AppTest, own_folder: Path):
    page = added(app, own_folder, "mine")
    shutil.move(own_folder, own_folder.with_name("away"))
    page.run()
    assert "cannot be opened" in page.warning[0].proto.title
    press(page, REMOVE)
    assert page.selectbox(key="dataset").value == "scenes"
    assert catalog.added_datasets() == []
    assert (own_folder.with_name("away") / "labels.csv").is_file()
    assert REMOVE not in [button.label for button in page.button]


def test_what_runs_were_made_on_stays_on_the_list(app: AppTest, own_folder: Path, workspace: Path):
    page = added(app, own_folder, "mine")
    add_run(workspace, "of-mine", str(own_folder), "folder")
    page.run()
    assert next(button for button in page.button if button.label == REMOVE).disabled


def test_what_was_mended_is_seen_without_a_restart(app: AppTest, own_folder: Path):
    page = added(app, own_folder, "mine")
    assert metrics(page)["Usable images"] == "2 of 3"
    (own_folder / "labels.csv").write_text("image,classes,split\na,cat,train\nb,cat;ox,train\nc,,test\n")
    settled(page.run())
    assert page.table[0].value["Split"].tolist() == ["train", "test"]
    assert "cat, ox" in captions(page)
    assert page.selectbox(key="split").options == ["train", "test"]


def test_findings_follow_what_was_mended(app: AppTest, own_folder: Path):
    (own_folder / "labels.csv").write_text("image,classes,split\na,cat,train\nb,,train\nc,,val\n")
    Image.fromarray(np.full((20, 30, 3), 128, np.uint8)).save(own_folder / "images" / "c.jpg")
    Image.fromarray(np.ones((20, 30), np.uint8)).save(own_folder / "masks" / "b.png")
    page = added(app, own_folder, "mine")
    assert findings(page) == {"Note · labels and mask disagree · 2": ["masks/b.png", "masks/c.png"]}
    before = kind_box(page).proto.id  # under which a browser keeps what it shows as chosen
    (own_folder / "labels.csv").write_text("image,classes,split\na,cat,train\nb,cat,train\nc,,val\n")
    settled(page.run())
    assert kind_box(page).options == ["Note · labels and mask disagree · 1"]
    assert kind_box(page).proto.id != before
    assert page.dataframe[0].value["File"].tolist() == ["masks/c.png"]


def test_check_again_sees_files_that_were_overwritten(app: AppTest, own_folder: Path):
    (own_folder / "labels.csv").unlink()  # labels are then read from the masks, and remembered
    (own_folder / "classes.txt").write_text("cat\ndog\n")
    Image.fromarray(np.full((20, 30, 3), 128, np.uint8)).save(own_folder / "images" / "c.jpg")
    page = added(app, own_folder, "mine")
    assert "sizes differ" in str(kind_box(page).options)
    Image.fromarray(np.full((20, 30), 2, np.uint8)).save(own_folder / "masks" / "b.png")
    press(page, "Check again")
    assert page.success[0].value == "Every file is in order."
