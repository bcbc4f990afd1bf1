"""One's own photos on the Inspect page: chosen, refused, looked at with chosen networks and classes."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from orandnet_core.store import StoredCam, stored_hw
from pages.components import networks
from pages.components.photos import gallery
from pages.components.seeing import Seen
from tests.pages.in_viewer import catch_viewer
from tests.pages.opening import captions, settled

CLASS_NAMES = ("cat", "dog", "bird")


@pytest.fixture
def shown(monkeypatch):
    """What the viewer was last given."""
    return catch_viewer(monkeypatch, "components.panes")


@pytest.fixture
def looked(monkeypatch, tmp_path):
    """Two networks that find a cat and a bird wherever they look; gives the calls (pair, class ids)."""
    files = [tmp_path / "a_cnn.safetensors", tmp_path / "a_vit.safetensors"]
    pair = networks.NetworkPair("a (released)", None, *files, (1, 2), CLASS_NAMES)
    other = networks.NetworkPair("b (run)", None, *files, (3, 4), CLASS_NAMES)
    monkeypatch.setattr(
        "pages.components.photo_view.network_pairs", lambda: {pair.name: pair, other.name: other}
    )
    calls = []

    def look(chosen_pair, photo, class_ids, report):
        calls.append((chosen_pair.name, class_ids))
        report(0, 4)
        size_hw = photo.shape[0], photo.shape[1]
        ids = np.array(class_ids or (1, 3))
        cam = np.linspace(0, 1, len(ids) * np.prod(stored_hw(size_hw)), dtype=np.float32)
        cams = {
            name: StoredCam(cam.reshape(len(ids), *stored_hw(size_hw)), ids, size_hw)
            for name in ("cnn", "vit")
        }
        return Seen({"cnn": np.array([0.9, 0.1, 0.8]), "vit": np.array([0.7, 0.2, 0.6])}, ids, cams)

    monkeypatch.setattr("pages.components.photo_view.look", look)
    return calls


@pytest.fixture
def photos_page(app, workspace, shown, looked):
    app.query_params["look"] = "Your photos"
    return settled(app.run())


def png(shade: int, size_wh: tuple[int, int] = (64, 48)) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size_wh, (shade, shade, shade)).save(buffer, "PNG")
    return buffer.getvalue()


def test_without_networks_it_says_where_they_come_from(app, workspace, shown, monkeypatch):
    monkeypatch.setattr("pages.components.photo_view.network_pairs", dict)
    app.query_params["look"] = "Your photos"
    app.run()
    assert not app.exception
    assert "Launch training" in app.info[0].value


def test_the_gallery_is_there_to_try_it_on(photos_page, shown, looked):
    first, second, *_ = gallery()
    assert (shown["photo"] == first.pixels).all()
    assert list(shown.sources) == ["cnn", "vit"]
    assert shown.scene.truth is None
    settled(photos_page.button(f"photo-{second.key}").click().run())
    assert (shown["photo"] == second.pixels).all()
    assert looked == [("a (released)", ()), ("a (released)", ())]


def test_what_the_networks_think_is_said_and_their_classes_are_shown(photos_page, shown):
    assert "**cat** 0.90 / 0.70 · **bird** 0.80 / 0.60 · **dog** 0.10 / 0.20" in captions(photos_page)
    assert shown.scene.class_ids.tolist() == [1, 3]
    assert shown.scene.class_names == CLASS_NAMES


def test_classes_can_be_chosen_instead(photos_page, shown, looked):
    settled(photos_page.multiselect("own_classes-a (released)").set_value(["dog"]).run())
    assert looked[-1] == ("a (released)", (2,))
    assert shown.scene.class_ids.tolist() == [2]


def test_other_networks_can_be_chosen(photos_page, looked):
    settled(photos_page.selectbox("networks").select("b (run)").run())
    assert looked[-1] == ("b (run)", ())


def test_dropped_photos_are_shown_newest_first_and_what_is_none_is_named(photos_page, shown):
    photos_page.file_uploader("own_files").set_value(
        [
            ("dark.png", png(20), "image/png"),
            ("letter.jpg", b"Dear reader,", "image/jpeg"),
            ("bright.png", png(230), "image/png"),
        ]
    )
    settled(photos_page.run())
    assert [warning.value for warning in photos_page.warning] == [
        "letter.jpg: not an image, whatever its name says"
    ]
    assert shown["photo"].shape == (48, 64, 3)
    assert shown["photo"].min() == 230
    dark = next(button for button in photos_page.button if button.label == "dark.png")
    settled(dark.click().run())
    assert shown["photo"].max() == 20


def test_a_network_that_cannot_be_read_is_said(app, workspace, shown, looked, monkeypatch):
    from orandnet_core.errors import WeightsError

    def look(*_):
        raise WeightsError("a_cnn.safetensors: no such file")

    monkeypatch.setattr("pages.components.photo_view.look", look)
    app.query_params["look"] = "Your photos"
    settled(app.run())
    assert "a_cnn.safetensors: no such file" in app.error[0].value
    assert shown == {}
