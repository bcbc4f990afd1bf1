"""The packet that goes to the browser, read back as the browser reads it."""

import json
import re
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from orandnet_core.errors import ShapeError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.render import ERROR_LEGEND, ERROR_NAMES, colour_map, error_colours, label_colours
from pages.components.viewer import (
    SCRIPT_DIR,
    SCRIPTS,
    Live,
    heat_pane,
    label_pane,
    packet,
    photo_pane,
    script,
)
from pages.components.viewer_packet import dequantised, levels_of
from pages.components.viewer_scene import Scene, Source

SIZE_HW = (30, 44)
rng = np.random.default_rng(3)
PHOTO = rng.integers(0, 256, (*SIZE_HW, 3), np.uint8)
CAM = rng.random(SIZE_HW, np.float32)
NAMES = tuple("abcdefgh")
LABELS = rng.choice(np.array([0, 3, 7, IGNORE_INDEX], np.uint8), SIZE_HW)


def read(content: bytes) -> tuple[dict, dict[str, bytes]]:
    """The header, and the blobs by name."""
    (length,) = struct.unpack("<I", content[:4])
    header = json.loads(content[4 : 4 + length])
    body = content[4 + length :]
    blobs = {name: body[place["start"] : place["end"]] for name, place in header["blobs"].items()}
    assert sum(map(len, blobs.values())) == len(body)
    return header, blobs


def values_of(header: dict, blobs: dict[str, bytes], index: int) -> np.ndarray:
    """(H, W) uint8 of a pane, as assets/viewer/packet.js gets them."""
    name = header["panes"][index]["layer"]
    values = np.frombuffer(zlib.decompress(blobs[name]), np.uint8).reshape(SIZE_HW)
    return np.cumsum(values, axis=1, dtype=np.uint8) if header["blobs"][name]["delta"] else values


def test_every_layer_arrives_as_it_was():
    panes = [photo_pane(), heat_pane("cnn", "CNN", CAM), label_pane("mask", "Mask", LABELS, {3: "boat"})]
    header, blobs = read(packet(PHOTO, panes, key="test"))
    assert (header["height"], header["width"]) == SIZE_HW
    assert "layer" not in header["panes"][0]
    assert (values_of(header, blobs, 1) == np.round(CAM * 255)).all()
    assert (values_of(header, blobs, 2) == LABELS).all()
    assert blobs[header["panes"][1]["colours"]] == colour_map("inferno").tobytes()
    photo = np.asarray(Image.open(BytesIO(blobs[header["photo"]])))
    assert photo.shape == PHOTO.shape
    assert np.abs(photo.astype(int) - PHOTO).mean() < 20


def test_a_layer_that_two_panes_share_is_sent_once():
    alone, _ = read(packet(PHOTO, [heat_pane("a", "A", CAM)], key="test"))
    twice, _ = read(packet(PHOTO, [heat_pane("a", "A", CAM), heat_pane("b", "B", CAM)], key="test"))
    assert twice["blobs"] == alone["blobs"]


def test_content_changes_with_anything_that_is_shown_and_with_nothing_else():
    def content(**changed) -> str:
        settings = {"cam": CAM, "title": "CNN", "contour": 0.5} | changed
        pane = heat_pane("cnn", settings["title"], settings["cam"], contour=settings["contour"])
        return read(packet(PHOTO, [pane], key="test"))[0]["content"]

    other = CAM.copy()
    other[0, 0] = 1 - other[0, 0]
    assert content() == content()
    assert len({content(), content(cam=other), content(title="ViT"), content(contour=0.6)}) == 4


def levels_in(header: dict, blobs: dict[str, bytes], name: str) -> np.ndarray:
    """(H, W) uint16 of a score map, as assets/viewer/packet.js reads it."""
    assert header["blobs"][name]["wide"]
    planes = np.frombuffer(zlib.decompress(blobs[name]), np.uint8).reshape(2, *SIZE_HW).astype(np.uint16)
    folded = planes[0] | (planes[1] << 8)
    steps = (folded >> 1) ^ (-(folded & 1).astype(np.int32)).astype(np.uint16)
    return np.cumsum(np.cumsum(steps, axis=1, dtype=np.uint16), axis=1, dtype=np.uint16)


def live(**changed) -> Live:
    sources = [Source("cnn", "CNN CAM", np.stack([CAM, 1 - CAM])), Source("seg", "Network", labels=LABELS)]
    scene = {"class_ids": np.array([3, 7]), "class_names": NAMES, "sources": sources, "truth": LABELS}
    setting = changed.pop("setting", {"t": 0.5})
    return Live(Scene(**scene | changed), setting, [], ("photo", "cnn"))


def test_every_map_arrives_in_65536_levels():
    header, blobs = read(packet(PHOTO, key="test", live=live()))
    cnn, seg = header["scene"]["sources"]
    for name, cam in zip(cnn["maps"], (CAM, 1 - CAM), strict=True):
        assert (levels_in(header, blobs, name) == levels_of(cam)).all()
        assert np.abs(dequantised(levels_of(cam)) - cam).max() <= 0.51 / 65535
    for name in (seg["labels"], header["scene"]["truth"]):
        assert (np.frombuffer(zlib.decompress(blobs[name]), np.uint8).reshape(SIZE_HW) == LABELS).all()
    names = header["scene"]["names"]
    assert {names[str(label)] for label in (0, 3, 7, 255)} == {"background", "c", "g", "ignored"}


def test_a_setting_changes_no_content():
    before, _ = read(packet(PHOTO, key="test", live=live()))
    after, _ = read(packet(PHOTO, key="test", live=live(setting={"t": 0.75})))
    without, _ = read(packet(PHOTO, key="test", live=live(truth=None)))
    assert before["content"] == after["content"] != without["content"]
    assert (before["setting"], after["setting"]) == ({"t": 0.5}, {"t": 0.75})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"class_ids": np.array([3])}, r"'cnn' is \(2, 30, 44\).*\(1, 30, 44\)"),
        ({"truth": LABELS[1:]}, r"ground truth is \(29, 44\).*\(30, 44\)"),
        ({"sources": [Source("seg", "Network", labels=LABELS[1:])]}, r"'seg' is \(29, 44\)"),
        ({"cleaned": ({}, LABELS[1:])}, r"after the CRF is \(29, 44\)"),
    ],
)
def test_a_scene_of_another_size_is_named(changed, message):
    with pytest.raises(ShapeError, match=message):
        packet(PHOTO, key="test", live=live(**changed))


def test_every_script_is_sent_and_no_name_is_given_twice():
    """They share one module: a second `const` of a name would end the viewer."""
    assert sorted(SCRIPTS) == sorted(path.name for path in SCRIPT_DIR.glob("*.js"))
    given = re.findall(r"^(?:async )?(?:const|let|function) (\w+)", script(), re.MULTILINE)
    assert len(given) == len(set(given)) > 50


def test_contour_level_separates_the_same_pixels_as_the_threshold():
    """Where scores are whole 255ths, the browser's comparison of levels is the comparison of scores."""
    cam = (np.arange(256, dtype=np.float32) / 255).reshape(16, 16)
    for threshold in (0.0, 77 / 256, 0.5, 0.999):
        pane = heat_pane("cnn", "CNN", cam, contour=threshold)
        assert ((pane.values > pane.contour) == (cam > threshold)).all()


def test_legend_names_what_is_seen_in_a_colour():
    pane = label_pane("mask", "Mask", LABELS, {0: "background", 3: "boat", 9: "cow", IGNORE_INDEX: "ignored"})
    assert pane.legend == {3: "boat", IGNORE_INDEX: "ignored"}
    assert (pane.colours == label_colours()).all()
    fixed = label_pane("e", "Errors", LABELS, ERROR_NAMES, colours=error_colours(), legend=ERROR_LEGEND)
    assert fixed.legend == ERROR_LEGEND


def test_a_pane_of_another_size_is_named():
    with pytest.raises(ShapeError, match=r"'cnn' is \(3, 4\).*\(30, 44\)"):
        packet(PHOTO, [heat_pane("cnn", "CNN", np.zeros((3, 4), np.float32))], key="test")


def test_smooth_maps_are_sent_small():
    ys, xs = np.mgrid[:375, :500].astype(np.float32)
    cam = np.exp(-((xs - 250) ** 2 + (ys - 180) ** 2) / 8000)
    photo = np.full((375, 500, 3), 128, np.uint8)
    assert len(packet(photo, [heat_pane("cnn", "CNN", cam)], key="test")) < 40_000
