"""Colours and image files: against brute force, Pillow's own decoder, and measured contrast."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from orandnet_core import render
from orandnet_core.errors import ConfigError, RangeError, ShapeError
from orandnet_core.labels import IGNORE_INDEX, voc_palette

LABELS = st.sampled_from([0, 1, 2, 3, IGNORE_INDEX])
MASKS = arrays.arrays(np.uint8, (5, 7), elements=LABELS)


def linear(rgb: np.ndarray) -> np.ndarray:
    """sRGB in 0..255 -> linear light in [0, 1]."""
    share = np.asarray(rgb, float) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Relative luminance as WCAG has it."""
    return linear(rgb) @ [0.2126, 0.7152, 0.0722]


def seen_without(cone: str, rgb: np.ndarray) -> np.ndarray:
    """Linear RGB as a dichromat sees it (Machado, Oliveira and Fernandes, 2009, severity 1)."""
    matrices = {
        "red": [
            [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998],
        ],
        "green": [
            [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881],
        ],
    }  # fmt: skip
    return linear(rgb) @ np.transpose(matrices[cone])


@pytest.mark.parametrize("name", render.COLOUR_MAPS)
def test_colour_maps_grow_in_lightness_and_opacity(name):
    table = render.colour_map(name)
    assert table.shape == (256, 4)
    assert table.dtype == np.uint8
    light = luminance(table[:, :3])
    assert (np.diff(light) > -0.004).all(), "a higher score must never look darker"
    assert light[-1] - light[0] > 0.6
    assert (np.diff(table[:, 3].astype(int)) >= 0).all()
    assert table[0, 3] == 0
    assert table[-1, 3] == 255


def test_unknown_colour_map_is_named_with_those_there_are():
    with pytest.raises(ConfigError, match=r"'jet'.*inferno"):
        render.colour_map("jet")


def test_tables_are_read_only():
    for table in (
        render.colour_map(),
        render.label_colours(),
        render.label_colours(8),
        render.error_colours(),
    ):
        with pytest.raises(ValueError, match="read-only"):
            table[0, 0] = 1


def test_label_colours_are_vocs_with_a_clear_background():
    table = render.label_colours()
    assert (table[1:, :3] == voc_palette()[1:]).all()
    assert (table[1:, 3] == 255).all()
    assert table[0].tolist() == [0, 0, 0, 0]
    assert (render.label_colours(20) == table).all()


@pytest.mark.parametrize("cone", ["red", "green"])
def test_few_classes_and_errors_are_told_apart_without_a_cone(cone):
    """No two colours come closer than a step that is plainly seen (0.05 of linear light, or so)."""
    few = render.label_colours(7)[1:8, :3]
    errors = [render.TRUE_POSITIVE, render.FALSE_POSITIVE, render.FALSE_NEGATIVE, render.CONFUSED]
    for colours in (few, render.error_colours()[errors, :3]):
        seen = seen_without(cone, colours)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
        assert apart[~np.eye(len(seen), dtype=bool)].min() > 0.05


@given(st.floats(0, 1, width=32))
def test_quantised_is_the_nearest_level(score):
    level = int(render.quantised(np.full((1, 1), score, np.float32))[0, 0])
    assert abs(level / 255 - score) <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("score", [-0.1, 1.1, np.nan])
def test_quantised_refuses_what_is_no_score(score):
    with pytest.raises(RangeError, match=r"\[0, 1\]"):
        render.quantised(np.array([[0.5, score]], np.float32))


def error_of(target: int, prediction: int, class_id: int | None) -> int:
    """One pixel's error by the definition."""
    if IGNORE_INDEX in (target, prediction):
        return IGNORE_INDEX
    if class_id is not None:
        target, prediction = int(target == class_id), int(prediction == class_id)
    if target == prediction:
        return render.TRUE_POSITIVE if target else render.TRUE_NEGATIVE
    if target and prediction:
        return render.CONFUSED
    return render.FALSE_NEGATIVE if target else render.FALSE_POSITIVE


@given(MASKS, MASKS, st.sampled_from([None, 1, 2]))
def test_error_map_equals_the_definition_pixel_by_pixel(target, prediction, class_id):
    expected = [
        error_of(int(t), int(p), class_id) for t, p in zip(target.ravel(), prediction.ravel(), strict=True)
    ]
    assert render.error_map(target, prediction, class_id).ravel().tolist() == expected


def test_error_map_names_both_shapes():
    with pytest.raises(ShapeError, match=r"\(2, 3\).*\(3, 2\)"):
        render.error_map(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))


def test_every_error_has_a_name_and_what_is_wrong_a_colour():
    drawn = {int(label) for label in np.flatnonzero(render.error_colours()[:, 3])}
    assert drawn == set(render.ERROR_NAMES) - {render.TRUE_NEGATIVE}
    assert set(render.ERROR_LEGEND) < drawn


def test_overlay_agrees_with_pillows_compositing(rng):
    photo = rng.integers(0, 256, (6, 8, 3), np.uint8)
    values = rng.integers(0, 256, (6, 8), np.uint8)
    table = render.colour_map("viridis")
    layer = Image.fromarray(table[values])
    expected = Image.alpha_composite(Image.fromarray(photo).convert("RGBA"), layer).convert("RGB")
    ours = render.overlay(photo, values, table, opacity=1.0)
    assert np.abs(ours.astype(int) - np.asarray(expected)).max() <= 1
    assert (render.overlay(photo, values, table, opacity=0.0) == photo).all()


def test_overlay_refuses_other_sizes_and_opacities():
    photo, table = np.zeros((4, 4, 3), np.uint8), render.colour_map()
    with pytest.raises(ShapeError, match=r"\(4, 4\).*\(4, 5\)"):
        render.overlay(photo, np.zeros((4, 5), np.uint8), table)
    with pytest.raises(RangeError, match=r"1\.5"):
        render.overlay(photo, np.zeros((4, 4), np.uint8), table, opacity=1.5)


def test_contact_sheet_places_every_picture():
    pictures = [np.full((2, 3, 3), shade, np.uint8) for shade in (10, 20, 30)]
    sheet = render.contact_sheet(pictures, columns=2, gap_px=1)
    assert sheet.shape == (5, 7, 3)
    assert (sheet[:2, :3] == 10).all()
    assert (sheet[:2, 4:] == 20).all()
    assert (sheet[3:, :3] == 30).all()
    assert (sheet[2] == 255).all()
    with pytest.raises(ShapeError):
        render.contact_sheet([], columns=2)


@given(MASKS)
def test_mask_png_keeps_every_label_and_has_vocs_palette(mask):
    image = Image.open(BytesIO(render.mask_png_bytes(mask)))
    assert image.mode == "P"
    assert (np.asarray(image) == mask).all()
    assert image.getpalette() == voc_palette().ravel().tolist()


def test_png_is_lossless_and_jpeg_nearly(rng):
    smooth = np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None].repeat(48, 0).repeat(3, 2)
    assert (np.asarray(Image.open(BytesIO(render.png_bytes(smooth)))) == smooth).all()
    decoded = np.asarray(Image.open(BytesIO(render.jpeg_bytes(smooth)))).astype(int)
    assert np.abs(decoded - smooth).mean() < 2


@pytest.fixture
def rng():
    return np.random.default_rng(7)
