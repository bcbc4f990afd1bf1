"""The layout of a folder is recognised, or the message says what was looked for."""

import pytest

from orandnet_core.datasets import open_dataset, scenes
from orandnet_core.errors import DataError


def test_a_devkit(devkit):
    assert open_dataset(devkit).name == "voc12"
    assert open_dataset(str(devkit), "voc12").name == "voc12"


def test_a_devkit_one_folder_up(devkit):
    assert open_dataset(devkit.parent).root == devkit


def test_a_folder(own_folder):
    assert open_dataset(own_folder).class_names == ("ant", "bee")
    assert open_dataset(own_folder, "folder").name == "own"


def test_the_sample_is_recognised_and_made_only_when_asked_for(tmp_path):
    scenes(tmp_path / "made", images=4)
    assert open_dataset(tmp_path / "made").name == "scenes"
    with pytest.raises(DataError, match="no such folder"):
        open_dataset(tmp_path / "absent")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: None, "It holds nothing; looked for images/"),
        (lambda root: (root / "photos").mkdir(), "It holds photos; looked for"),
        (
            lambda root: [(root / f"{n}.jpg").touch() for n in range(20)],
            r"It holds 0\.jpg, 1\.jpg, .*, \.\.\.; looked",
        ),
    ],
)
def test_nothing_known(tmp_path, make, said):
    make(tmp_path)
    with pytest.raises(DataError, match=said):
        open_dataset(tmp_path)


def test_an_unknown_kind(tmp_path):
    with pytest.raises(DataError, match="kind 'city': choose auto, voc12, coco, folder, scenes"):
        open_dataset(tmp_path, "city")
