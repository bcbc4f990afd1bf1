"""An image as the viewer gets it."""

import numpy as np
import pytest

from pages.components.loaders import Maps
from pages.components.panes import show_image
from pages.components.viewer_scene import Source
from tests.pages.in_viewer import catch_viewer

NAMES = ("cat", "dog", "bird")
SIZE_HW = (12, 16)


@pytest.fixture
def maps() -> Maps:
    rng = np.random.default_rng(0)
    cnn, vit = rng.random((2, 2, *SIZE_HW), np.float32)
    mask = rng.choice(np.array([0, 1, 3, 255], np.uint8), SIZE_HW)
    return Maps(rng.integers(0, 256, (*SIZE_HW, 3), np.uint8), cnn, vit, np.array([1, 3]), mask)


@pytest.fixture
def shown(monkeypatch):
    monkeypatch.setattr("streamlit.session_state", {})
    monkeypatch.setattr("streamlit.query_params", {})
    return catch_viewer(monkeypatch, "components.panes")


def test_both_networks_go_first_and_any_source_may_follow(maps, shown):
    walk = Source("walk", "Random walk", maps.cnn**2)
    network = Source("segmentation", "Segmentation", labels=maps.mask)
    show_image(maps, NAMES, key="v", subtitles={"cnn": "resnet"}, extra=[walk, network])
    assert list(shown.sources) == ["cnn", "vit", "walk", "segmentation"]
    assert shown.sources["cnn"].subtitle == "resnet"
    assert shown["live"].usual[-2:] == ["walk", "segmentation"]
    rules = next(each for each in shown["live"].controls[0]["controls"] if each["name"] == "rule")
    assert ("walk", "Random walk") in rules["options"]
    assert ("segmentation", "Segmentation") in rules["options"]
    assert ("cnn", "CNN") in rules["options"]
    assert ("cnn", "CNN CAM") not in rules["options"]


def test_what_is_let_go_is_there_at_the_next_run(maps, shown):
    show_image(maps, NAMES, key="v", subtitles={})
    shown.let_go(t=0.5, rule="or", **{"class": 3})
    show_image(maps, NAMES, key="v", subtitles={})
    assert (shown.setting["t"], shown.setting["rule"], shown.setting["class"]) == (0.5, "or", 3)
    assert shown["live"].turn == 1
