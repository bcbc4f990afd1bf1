"""The Data page: what the check found, and a data set added by its folder."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.pages.opening import captions, opened, settled

DATA = "analysis/data.py"
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
    return page


def test_the_sample_is_in_order(app: AppTest):
    page = opened(app, DATA)
    assert metrics(page) == {"Usable images": "12 of 12", "Errors": "0", "Notes": "0"}
    assert page.table[0].value["Split"].tolist() == ["train", "val"]
    assert page.success[0].value == "Every file is in order."
    assert "balloon" in captions(page)


def test_a_folder_is_added_and_what_is_wrong_with_it_is_told(app: AppTest, own_folder: Path):
    page = added(app, own_folder, "mine")
    assert any("2 classes; train 2, val 1" in told.value for told in page.success)
    page.run()
    page.selectbox(key="dataset").set_value("mine").run()
    settled(page)
    assert metrics(page)["Usable images"] == "2 of 3"
    found = findings(page)
    assert any("c.jpg" in file for files in found.values() for file in files)
    assert found["Error · sizes differ · 1"] == ["masks/b.png"]


def findings(page: AppTest) -> dict[str, list[str]]:
    """Every kind with its files, chosen one after the other."""
    kinds = page.selectbox(key="data_kind").options
    found = {}
    for kind in kinds:
        page.selectbox(key="data_kind").set_value(kind).run()
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
