"""What may be an image id."""

import pytest

from orandnet_core.datasets.image_ids import composed, is_image_id, path_below
from orandnet_core.errors import DataError


@pytest.mark.parametrize("name", ["a", "a b", "deep/sea", "a..b", "...", "café", "写真/1", "%2F", "a.jpg"])
def test_names_that_can_be_ids(name):
    assert is_image_id(name)


@pytest.mark.parametrize(
    "name", ["", ".", "/", "/a", "..", "../a", "a/../../b", "a/..", "a\0", "caf\udce9", "d\ud800/a"]
)
def test_names_that_cannot(name):
    assert not is_image_id(name)


def test_a_path_below_a_folder(tmp_path):
    assert path_below(tmp_path, "deep/sea", ".png") == tmp_path / "deep" / "sea.png"
    with pytest.raises(DataError, match=r"image id '../a' makes no file name below"):
        path_below(tmp_path, "../a", ".png")


def test_composed_ids_are_equal_where_they_look_equal():
    assert composed("cafe\u0301/1") == composed("caf\u00e9/1") == "caf\u00e9/1"
    assert composed("2007_000032") == "2007_000032"
