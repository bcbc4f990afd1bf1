"""Mask files: what goes in comes out, with VOC's palette, nowhere but in the store's folder."""

import numpy as np
import pytest
from PIL import Image

from orandnet_core.errors import DataError, StoreError
from orandnet_core.labels import voc_palette
from orandnet_core.mask_store import MaskStore

MASK = np.array([[0, 3, 3], [7, 7, 255]], np.uint8)


def test_a_mask_comes_back_as_a_palette_png(tmp_path):
    store = MaskStore(tmp_path / "masks")
    store.write("2007_000032", MASK)
    np.testing.assert_array_equal(store.read("2007_000032"), MASK)
    with Image.open(tmp_path / "masks" / "2007_000032.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(image.convert("RGB"), voc_palette()[MASK])


def test_an_id_with_slashes_has_folders(tmp_path):
    store = MaskStore(tmp_path)
    store.write("deep/sea/a", MASK)
    assert (tmp_path / "deep" / "sea" / "a.png").is_file()
    assert store.validates("deep/sea/a", np.array([3, 7]))


@pytest.mark.parametrize("image_id", ["", "../a", "a/../../b", "/etc/a"])
def test_an_id_never_leaves_the_folder(tmp_path, image_id):
    with pytest.raises(DataError, match="makes no file name"):
        MaskStore(tmp_path).write(image_id, MASK)
    assert list(tmp_path.rglob("*")) == []


def test_a_mask_validates_where_it_is_readable_and_of_the_images_classes(tmp_path):
    store = MaskStore(tmp_path)
    assert not store.validates("a", np.array([3, 7]))
    store.write("a", MASK)
    assert store.validates("a", np.array([3, 7, 9]))
    assert not store.validates("a", np.array([3]))
    path = store.path_of("a")
    path.write_bytes(path.read_bytes()[:-30])  # some of its pixels are gone
    assert not store.validates("a", np.array([3, 7]))
    with pytest.raises(DataError, match="damaged"):
        store.read("a")


def test_the_card_comes_back_and_its_absence_is_named(tmp_path):
    store = MaskStore(tmp_path / "masks")
    with pytest.raises(StoreError, match=r"card\.json: not readable"):
        _ = store.card
    store.write_card({"maps": "walk", "margin": 0.1})
    assert store.card == {"maps": "walk", "margin": 0.1}
