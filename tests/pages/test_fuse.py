"""The Fuse page: what the controls do to image, data set, address and saved settings."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.crf import IRN
from orandnet_core.datasets import Dataset
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.ir_labels import ir_label
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.store import CamStore
from tests.pages.in_viewer import Shown, catch_viewer
from tests.pages.opening import address, captions, opened, settled

FUSE = "analysis/fuse.py"
pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What the viewer was last given. What it makes of it is tested in the browser."""
    return catch_viewer(monkeypatch, "components.viewer")


def let_go(app: AppTest, shown: Shown, **changed: object) -> AppTest:
    """Controls let go in the browser; what its callback keeps is kept here by name."""
    for name, value in changed.items():
        app.session_state[f"fuse_{name}"] = value
    return settled(app.run())


def test_the_image_and_the_usual_setting_go_to_the_viewer(app: AppTest, shown: Shown, sample: Dataset):
    opened(app, FUSE)
    image_id = sample.image_ids("train")[0]
    assert (shown["photo"] == sample.image(image_id)).all()
    assert (shown.scene.truth == sample.mask(image_id)).all()
    assert list(shown.sources) == ["cnn", "vit"]
    assert (shown.setting["rule"], shown.setting["t"]) == ("and", 0.3125)
    names = {control["name"] for group in shown["live"].controls for control in group["controls"]}
    assert names == set(shown.setting) - {"panes"}


def test_knobs_reach_the_data_set_and_the_address(app: AppTest, shown: Shown):
    app = opened(app, FUSE)
    let_go(app, shown, offset_vit=0.2, gamma_cnn=2.0)
    assert (shown.setting["offset_vit"], shown.setting["gamma_cnn"]) == (0.2, 2.0)
    assert address(app)["fuse_offset_vit"] == "0.2"
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    shaped = next(trace["y"] for trace in figure["data"] if trace.get("name") == "AND")
    let_go(app, shown, offset_vit=0.0, gamma_cnn=1.0)
    assert "fuse_offset_vit" not in address(app)
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert next(trace["y"] for trace in figure["data"] if trace.get("name") == "AND") != shaped


@pytest.mark.parametrize("trimap", [False, True])
def test_the_crf_cleans_the_images_mask_when_asked(
    app: AppTest, workspace: Path, sample: Dataset, shown: Shown, trimap: bool
):
    pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    image_id = sample.image_ids("train")[0]
    cnn, vit = (
        CamStore(workspace / "runs" / "sample" / f"cams-{name}").read(image_id) for name in ("cnn", "vit")
    )
    or_map, and_map = (fuse(cnn.full_size(), vit.full_size(), Fusion(rule)) for rule in ("or", "and"))
    confident = pseudo_mask(and_map, cnn.class_ids, 0.4 if trimap else 0.3125)
    possible = pseudo_mask(or_map, cnn.class_ids, 0.3) if trimap else confident
    expected = ir_label(sample.image(image_id), confident, possible, cnn.class_ids, IRN)
    app = opened(app, FUSE, fuse_trimap=str(trimap).lower())
    assert shown.scene.cleaned is None
    app = let_go(app, shown, crf=True)
    setting, mask = shown.scene.cleaned
    assert (mask == expected).mean() > 0.999, "but for maps in 65536 levels"
    assert setting.items() <= shown.setting.items()
    assert {"rule", "t", "trimap", "t_or", "t_and", "gamma_cnn", "reference"} <= set(setting)
    let_go(app, shown, crf=False)
    assert shown.scene.cleaned is None


def test_without_the_crf_installed_the_page_says_what_to_install(
    app: AppTest, shown: Shown, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    app = let_go(opened(app, FUSE), shown, crf=True)
    assert "pip install pydensecrf2" in app.error[0].value
    assert shown.scene.cleaned is None


def test_the_address_holds_the_setting(app: AppTest, shown: Shown):
    app = opened(app, FUSE, fuse_rule="OR", fuse_t="0.625", fuse_panes="mask,truth")
    assert (shown.setting["rule"], shown.setting["t"], shown.setting["panes"]) == ("or", 0.625, "mask,truth")
    assert address(app)["fuse_t"] == "0.625"


def test_curves_mark_the_threshold_and_carry_their_protocol(app: AppTest):
    app = opened(app, FUSE)
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert {trace["name"] for trace in figure["data"] if "name" in trace} >= {
        "CNN",
        "ViT",
        "Naive mean",
        "AND",
    }
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [0.3125] * 3
    assert "9 images" in captions(app)
    assert "threshold 0.312 · fixed: by hand" in captions(app)


def test_a_rule_sets_the_threshold_and_is_named(app: AppTest, shown: Shown):
    app = opened(app, FUSE)
    app.get_by_key("fuse_choose").set_value("oracle").run()
    assert "oracle: 9 images" in captions(app)
    assert shown.setting["t"] != 0.3125
    let_go(app, shown, t=0.5)
    assert "oracle: 9 images" not in captions(app)


@pytest.mark.parametrize("view", ["networks", "trimap"])
def test_surfaces_show_the_present_pair(app: AppTest, view: str):
    app = opened(app, FUSE)
    app.get_by_key("fuse_view").set_value(view).run()
    assert not app.exception
    figures = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    assert len(figures) == 2
    present = [
        trace for trace in figures[0]["data"] if trace.get("marker", {}).get("symbol") == "circle-open"
    ]
    expected = (0.4, 0.4) if view == "networks" else (0.4, 0.3)
    assert np.allclose([present[0]["x"][0], present[0]["y"][0]], expected)


def test_save_load_and_hand_over(app: AppTest, workspace: Path, shown: Shown):
    app = opened(app, FUSE)
    app.session_state["fuse_rule"], app.session_state["fuse_t"] = "and", 0.25
    app.text_input(key="fuse_name").set_value("precise AND").run()
    next(button for button in app.button if button.label == "Save setting").click().run()
    saved = json.loads((workspace / "settings" / "precise AND.json").read_text())
    assert saved["fusion"]["rule"] == "and"
    assert saved["background_threshold"] == 0.25

    let_go(app, shown, rule="or", t=0.75)
    app.get_by_key("fuse_load").set_value("precise AND").run()
    assert (shown.setting["rule"], shown.setting["t"]) == ("and", 0.25)

    next(button for button in app.button if button.label == "Use in a recipe").click().run()
    assert not app.exception
    commands = " ".join(block.value for block in app.code)
    assert "--set fusion.background_threshold=0.25" in commands
    assert "pseudo-masks come from `walk`" in captions(app)
    assert "masks.source" not in commands

    app.switch_page("pages/training/launch.py")
    app.run().toggle(key="launch_masks_from_it").set_value(True).run()
    assert not app.exception
    commands = " ".join(block.value for block in app.code)
    assert "--set masks.source=fusion --set masks.background_threshold=none" in commands
    assert "come from `walk`" not in captions(app)
