"""Photos that people drop: read upright and within limits, or refused in words."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orandnet_core.errors import DataError
from pages.components import photos


class Upload(BytesIO):
    """What `st.file_uploader` gives: bytes with a name and an id."""

    def __init__(self, name: str, content: bytes):
        super().__init__(content)
        self.name, self.file_id = name, f"id of {name}"


def jpeg(size_wh: tuple[int, int], exif: Image.Exif | None = None, mode: str = "RGB") -> bytes:
    image = Image.new(mode, size_wh)
    if mode == "RGB":
        image.paste((200, 30, 30), (0, 0, size_wh[0] // 2, size_wh[1]))  # the left half is red
    buffer = BytesIO()
    image.save(buffer, "JPEG", exif=exif or Image.Exif())
    return buffer.getvalue()


def test_a_text_file_named_jpg_is_refused_and_the_others_are_read():
    good = Upload("cat.jpg", jpeg((60, 40)))
    bad = Upload("letter.jpg", b"Dear Sir or Madam, this is no photo.")
    cut = Upload("cut.jpg", jpeg((600, 400))[:2000])
    found, problems = photos.uploaded([bad, good, cut])
    assert [photo.name for photo in found] == ["cat.jpg"]
    assert found[0].pixels.shape == (40, 60, 3)
    assert "letter.jpg: not an image" in problems[0]
    assert "cut.jpg" in problems[1]


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_modes_come_out_as_rgb(mode):
    assert photos.decode(Upload("x.jpg", jpeg((30, 20), mode=mode)), "x.jpg").shape == (20, 30, 3)


def test_photos_of_telephones_stand_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: to be turned clockwise, so the left half comes to lie on top
    pixels = photos.decode(Upload("x.jpg", jpeg((60, 40), exif)), "x.jpg")
    assert pixels.shape == (60, 40, 3)
    assert pixels[:20, :, 0].mean() > 150
    assert pixels[40:, :, 0].mean() < 50


def test_large_photos_are_brought_to_working_size_and_small_ones_left():
    assert photos.decode(Upload("x.jpg", jpeg((2000, 1000))), "x.jpg").shape == (400, 800, 3)
    assert photos.decode(Upload("x.jpg", jpeg((31, 17))), "x.jpg").shape == (17, 31, 3)
    assert photos.decode(Upload("x.jpg", jpeg((4000, 1))), "x.jpg").shape == (1, 800, 3)


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(photos, "MAX_MEGAPIXELS", 1)
    monkeypatch.setattr(photos, "read_image", lambda _: pytest.fail("decoded"))
    with pytest.raises(DataError, match=r"x\.jpg: 2000 × 1000 pixels; at most 1 megapixels"):
        photos.decode(Upload("x.jpg", jpeg((2000, 1000))), "x.jpg")


def test_an_upload_is_decoded_once(monkeypatch):
    upload = Upload("cat.jpg", jpeg((60, 40)))
    (first,), _ = photos.uploaded([upload])
    monkeypatch.setattr(photos, "decode", lambda *_: pytest.fail("decoded again"))
    (second,), _ = photos.uploaded([upload])
    assert second is first
    with pytest.raises(ValueError, match="read-only"):
        first.pixels[0, 0] = 0


def test_gallery_is_read_from_the_packages_that_carry_it():
    found = photos.gallery()
    assert [photo.name for photo in found] == ["Grace Hopper", "China", "Flower"]
    for photo in found:
        assert "site-packages" in photo.key
        assert max(photo.pixels.shape) <= photos.LONG_SIDE_PX
        thumbnail = np.asarray(Image.open(BytesIO(photo.thumbnail)))
        assert thumbnail.shape[0] < 100


def test_gallery_leaves_out_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(
        photos, "_GALLERY", (("Nowhere", "no_such_package", "x.jpg"), ("Gone", "numpy", "x.jpg"))
    )
    assert photos.gallery() == []


def test_no_photo_of_the_gallery_is_copied_into_the_repository():
    root = Path(photos.__file__).parents[2]
    names = {Path(inside).name for _, _, inside in photos._GALLERY}
    folders = [root / name for name in ("assets", "docs", "pages", "orandnet_core", "tests")]
    assert not [path for folder in folders for path in folder.rglob("*.jpg") if path.name in names]
