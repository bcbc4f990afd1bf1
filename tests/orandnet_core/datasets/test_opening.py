"""The layout of a folder is recognised, or the message says what was looked for."""

import pytest

from orandnet_core.datasets import open_dataset, scenes
from orandnet_core.datasets.opening import dataset_stamp
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


def test_the_stamp_sees_what_opening_would_see(own_folder):
    stamps = [dataset_stamp(own_folder)]

    def changed() -> bool:
        stamps.append(dataset_stamp(own_folder))
        return stamps[-1] != stamps[-2]

    assert not changed()
    (own_folder / "labels.csv").write_text("image_id,classes\nx,ant\n")
    assert changed()
    (own_folder / "classes.txt").write_text("ant\nbee\ncow\n")
    assert changed()
    (own_folder / "images" / "x.jpg").unlink()
    assert changed()
    (own_folder / "masks" / "later.png").touch()
    assert changed()
    assert not changed()


def test_the_stamp_of_a_devkit_sees_its_split_files(devkit):
    before = dataset_stamp(devkit.parent)
    (devkit / "ImageSets" / "Segmentation" / "mine.txt").write_text("a\n")
    added = dataset_stamp(devkit.parent)
    (devkit / "ImageSets" / "Segmentation" / "mine.txt").write_text("a\nb\n")
    assert len({before, added, dataset_stamp(devkit.parent)}) == 3


def test_the_stamp_of_what_is_not_there_differs_from_what_is(tmp_path, own_folder):
    gone = dataset_stamp(tmp_path / "absent")
    assert gone == dataset_stamp(tmp_path / "absent") != dataset_stamp(own_folder)
