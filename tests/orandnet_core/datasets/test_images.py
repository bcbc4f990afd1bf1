"""Photographs and masks of every sort are read right, and nothing else passes for one."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from orandnet_core.datasets import image_size_hw, read_image, read_mask
from orandnet_core.datasets import images as images_module
from orandnet_core.errors import DataError


@pytest.fixture
def pixels():
    """(6, 9, 3) uint8, no two rows or columns alike."""
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def test_rgb_png_is_read_as_it_is(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)
    assert image_size_hw(tmp_path / "a.png") == (6, 9)


def test_an_open_file_is_read_too(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    stream.seek(0)
    np.testing.assert_array_equal(read_image(stream), pixels)


def test_an_open_file_that_is_no_image_is_named(tmp_path):
    with pytest.raises(DataError, match="the photo: not an image"):
        read_image(io.BytesIO(b"hello"))
    (tmp_path / "mine.jpg").write_bytes(b"hello")
    with (
        (tmp_path / "mine.jpg").open("rb") as stream,
        pytest.raises(DataError, match="mine.jpg: not an image"),
    ):
        read_image(stream)


def test_greyscale_gives_three_equal_channels(tmp_path, pixels):
    grey = pixels[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, axis=2))


def test_sixteen_bit_greyscale_keeps_its_range(tmp_path):
    values = np.array([[0, 256, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png")[0, :, 0], [0, 1, 128, 255])


def test_samples_of_32_bits_are_refused(tmp_path):
    Image.fromarray(np.ones((2, 3), np.float32)).save(tmp_path / "depth.tif")
    with pytest.raises(DataError, match=r"depth\.tif: samples of 32 bits"):
        read_image(tmp_path / "depth.tif")


def test_cmyk_jpeg_comes_out_in_its_colours(tmp_path):
    orange = Image.new("RGB", (16, 16), (240, 120, 40))
    orange.convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    image = read_image(tmp_path / "print.jpg")
    assert image.shape == (16, 16, 3)
    np.testing.assert_allclose(image.mean((0, 1)), (240, 120, 40), atol=3)


def test_transparent_pixels_come_out_over_white(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 200
    rgba[0, :, 3] = (0, 255, 51)
    Image.fromarray(rgba, "RGBA").save(tmp_path / "cut.png")
    np.testing.assert_array_equal(
        read_image(tmp_path / "cut.png")[0], [(255,) * 3, (200, 0, 0), (244, 204, 204)]
    )


def test_palette_image_with_transparency(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "icon.png", transparency=0)
    np.testing.assert_array_equal(read_image(tmp_path / "icon.png")[0], [(255, 255, 255), (40, 50, 60)])


# What a viewer does to the stored pixels, EXIF 2.3, table "Orientation".
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("turn", UPRIGHT)
def test_exif_orientation_is_applied(tmp_path, pixels, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    expected = UPRIGHT[turn](pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), expected)
    assert image_size_hw(tmp_path / "turned.png") == expected.shape[:2]


@pytest.mark.parametrize("turn", [0, 9, 65535])
def test_a_senseless_orientation_means_upright(tmp_path, pixels, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(pixels).save(tmp_path / "odd.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "odd.png"), pixels)


def test_damaged_exif_does_not_cost_the_image(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "bad.jpg", exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\0\xff\x01\x12\0\x03")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(tmp_path / "bad.jpg").shape == (6, 9, 3)
        assert image_size_hw(tmp_path / "bad.jpg") == (6, 9)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_truncated_files_are_refused(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"half.{suffix}"
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"half\.{suffix}: "):
        read_image(path)


def test_no_prefix_of_a_jpeg_raises_anything_else(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    refused = 0
    for length in range(0, len(content) - 20, 3):
        try:
            read_image(io.BytesIO(content[:length]))
        except DataError:
            refused += 1
    assert refused == len(range(0, len(content) - 20, 3))


def test_random_damage_raises_nothing_but_data_errors(pixels):
    rng = np.random.default_rng(1)
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP"):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind)
        for _ in range(60):
            content = bytearray(stream.getvalue())
            for at in rng.integers(0, len(content), 6):
                content[at] = rng.integers(256)
            try:
                assert read_image(io.BytesIO(bytes(content))).ndim == 3
            except DataError as error:
                assert str(error).startswith("the photo: ")  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("not a picture"), "not an image"),
        (lambda path: path.write_bytes(b""), "not an image"),
        (lambda path: path.mkdir(), "not a readable image"),
        (lambda path: None, "no such file"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, make, message):
    make(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=rf"a\.jpg: {message}"):
        read_image(tmp_path / "a.jpg")


def test_too_many_pixels_are_refused_from_the_header(tmp_path, monkeypatch):
    Image.new("1", (300, 300)).save(tmp_path / "vast.png")
    monkeypatch.setattr(images_module, "MAX_PIXELS", 89_999)
    with pytest.raises(DataError, match="300 x 300 px; at most 89,999"):
        read_image(tmp_path / "vast.png")


@pytest.mark.parametrize("mode", ["L", "P"])
def test_mask_values_are_kept(tmp_path, mode):
    values = np.array([[0, 1, 20, 255]], np.uint8)
    mask = Image.fromarray(values, mode=mode)
    if mode == "P":
        mask.putpalette(list(range(256)) * 3)
    mask.save(tmp_path / "m.png")
    found = read_mask(tmp_path / "m.png")
    np.testing.assert_array_equal(found, values)
    assert found.dtype == np.uint8


def test_small_values_of_16_bits_are_labels(tmp_path):
    values = np.array([[0, 3, 255]], np.uint16)
    Image.fromarray(values).save(tmp_path / "m.png")
    found = read_mask(tmp_path / "m.png")
    np.testing.assert_array_equal(found, values)
    assert found.dtype == np.uint8


def test_large_values_of_16_bits_are_refused(tmp_path):
    Image.fromarray(np.array([[0, 300]], np.uint16)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"m\.png: label values from 0 to 300"):
        read_mask(tmp_path / "m.png")


def test_one_bit_mask_is_background_and_class_one(tmp_path):
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), [[0, 1]])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "CMYK"])
def test_a_picture_is_no_mask(tmp_path, mode):
    Image.new(mode, (3, 2)).save(tmp_path / "m.tif")
    with pytest.raises(DataError, match=rf"m\.tif: a mask must be .* this one is {mode}"):
        read_mask(tmp_path / "m.tif")
