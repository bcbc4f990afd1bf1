"""VOC devkit layout: splits, files, and labels from four places."""

import pickle

import numpy as np
import pytest

from orandnet_core.datasets import voc12
from orandnet_core.errors import DataError
from orandnet_core.labels import VOC_CLASSES


def names_of(dataset, image_id):
    return [dataset.class_names[label - 1] for label in dataset.class_ids(image_id)]


def save_table(path, table):
    np.save(path, table, allow_pickle=True)


def test_splits_keep_the_order_of_their_files(devkit):
    dataset = voc12(devkit)
    assert dataset.splits == {"train": ("a", "b"), "train_aug": ("a", "b", "d"), "val": ("c",)}
    assert dataset.num_classes == 21
    assert (dataset.name, dataset.root) == ("voc12", devkit)


@pytest.mark.parametrize("place", ["", "VOC2012", "VOCdevkit/VOC2012"])
def test_the_devkit_is_found_below_the_given_folder(devkit, tmp_path, place):
    outer = tmp_path / "outer"
    (outer / place).parent.mkdir(parents=True, exist_ok=True)
    devkit.rename(outer / place)
    assert voc12(outer).root == outer / place


def test_no_devkit(tmp_path):
    with pytest.raises(DataError, match="no VOC devkit layout here"):
        voc12(tmp_path)


def test_no_split_files(devkit):
    for path in (devkit / "ImageSets" / "Segmentation").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no split files"):
        voc12(devkit)


def test_sbd_style_split_lines_and_a_byte_order_mark(devkit):
    (devkit / "ImageSets" / "Segmentation" / "sbd.txt").write_text(
        "\ufeff/JPEGImages/a.jpg /SegmentationClassAug/a.png\n\nJPEGImages/b.jpg\n", encoding="utf-8"
    )
    assert voc12(devkit).image_ids("sbd") == ("a", "b")


def test_a_split_file_that_is_not_text(devkit):
    (devkit / "ImageSets" / "Segmentation" / "odd.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataError, match=r"odd\.txt: not readable as UTF-8"):
        voc12(devkit)


def test_images_and_masks(devkit):
    dataset = voc12(devkit)
    assert dataset.image("a").shape == (8, 12, 3)
    np.testing.assert_array_equal(np.unique(dataset.mask("a")), [0, 1, 15, 255])
    assert dataset.has_mask("c")
    assert not dataset.has_mask("d")
    assert dataset.mask("d") is None


def test_images_of_other_kinds_than_jpg_are_found(devkit, make_image):
    (devkit / "JPEGImages" / "a.jpg").unlink()
    make_image(devkit / "JPEGImages" / "a.png")
    dataset = voc12(devkit)
    assert dataset.image_path_of("a").name == "a.png"
    assert dataset.image_path_of("missing").name == "missing.jpg"


def test_masks_of_sbd_serve_where_voc_has_none(devkit, make_mask):
    make_mask(devkit / "SegmentationClassAug" / "a.png", (3,))
    make_mask(devkit / "SegmentationClassAug" / "d.png", (12,))
    dataset = voc12(devkit)
    assert 1 in dataset.mask("a")
    assert 12 in dataset.mask("d")


def test_labels_come_from_masks_and_annotations(devkit):
    dataset = voc12(devkit)
    assert names_of(dataset, "a") == ["aeroplane", "person"]
    assert names_of(dataset, "d") == ["cat", "dog"]
    assert dataset.image_labels("d").dtype == np.uint8
    assert dataset.image_labels("d").sum() == 2


def test_annotations_go_before_masks(devkit):
    (devkit / "Annotations" / "a.xml").write_text(
        "<annotation><object><name>sofa</name></object></annotation>"
    )
    assert names_of(voc12(devkit), "a") == ["sofa"]


def test_labels_csv_goes_before_annotations(devkit):
    (devkit / "labels.csv").write_text("image_id,classes\nd,horse\n")
    assert names_of(voc12(devkit), "d") == ["horse"]


@pytest.mark.parametrize("beside", [True, False])
def test_cls_labels_goes_before_everything(devkit, beside):
    (devkit / "labels.csv").write_text("image_id,classes\nd,horse\n")
    row = np.zeros(20, np.float32)
    row[[4, 9]] = 1
    save_table((devkit.parent if beside else devkit) / "cls_labels.npy", {"d": row})
    dataset = voc12(devkit)
    assert names_of(dataset, "d") == ["bottle", "cow"]
    assert names_of(dataset, "b") == ["cat"]  # not in the table: from its mask


def test_a_table_given_by_path(devkit, tmp_path):
    save_table(tmp_path / "mine.npy", {"d": np.eye(20)[19]})
    assert names_of(voc12(devkit, labels_path=tmp_path / "mine.npy"), "d") == ["tvmonitor"]


def test_a_table_of_other_classes_is_refused_where_it_must_belong(devkit):
    save_table(devkit / "cls_labels.npy", {"d": np.zeros(80)})
    with pytest.raises(DataError, match=r"cls_labels\.npy: rows of shape \(80,\) for 20 classes"):
        voc12(devkit)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"d": np.zeros(80)}, "rows of shape (80,) for 20 classes"),
        (np.zeros((3, 3)), "expected a dict"),
        (b"junk", ""),
    ],
)
def test_what_lies_beside_the_root_and_does_not_fit_is_noted(devkit, content, said):
    path = devkit.parent / "cls_labels.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        save_table(path, content)
    dataset = voc12(devkit)
    assert names_of(dataset, "d") == ["cat", "dog"]
    (problem,) = dataset.problems
    assert (problem.kind, problem.file, problem.is_error) == ("table passed over", str(path), False)
    assert said in problem.what
    assert str(path) not in problem.what
    with pytest.raises(DataError):  # where it is asked for, it must fit
        voc12(devkit, labels_path=path)


def test_a_table_that_is_no_dict(devkit):
    save_table(devkit / "cls_labels.npy", np.array([1, None], object)[:1].reshape(()))
    with pytest.raises(DataError, match="expected a dict"):
        voc12(devkit)


def test_a_hostile_table_runs_nothing(devkit, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    save_table(devkit / "cls_labels.npy", Hostile())
    with pytest.raises(DataError, match="refused"):
        voc12(devkit)
    assert not (tmp_path / "owned").exists()


def test_one_bad_row_of_the_table_is_listed_and_passed_over(devkit):
    good = np.eye(20)[0]
    save_table(devkit / "cls_labels.npy", {"a": good, "d": np.ones(3), "c": np.array(["x"] * 20)})
    dataset = voc12(devkit)
    assert names_of(dataset, "d") == ["cat", "dog"]
    assert names_of(dataset, "c") == ["tvmonitor"]
    assert dataset.problems.counts == {"labels passed over": 2}
    assert {problem.what.split(":")[0] for problem in dataset.problems} == {"c", "d"}


@pytest.mark.parametrize("content", ["<annotation><object>", "", "\x00"])
def test_a_broken_annotation_is_listed_and_the_mask_taken(devkit, content):
    (devkit / "Annotations" / "a.xml").write_text(content)
    dataset = voc12(devkit)
    assert names_of(dataset, "a") == ["aeroplane", "person"]
    (problem,) = dataset.problems
    assert (problem.file, problem.is_error) == ("Annotations/a.xml", True)


def test_an_unknown_class_in_an_annotation_is_a_note(devkit):
    (devkit / "Annotations" / "d.xml").write_text(
        "<annotation><object><name>zebra</name></object><object><name> dog </name></object></annotation>"
    )
    dataset = voc12(devkit)
    assert names_of(dataset, "d") == ["dog"]
    assert [(problem.kind, problem.is_error) for problem in dataset.problems] == [("unknown class", False)]


def test_an_annotation_cannot_blow_up(devkit):
    bomb = "<!DOCTYPE x [<!ENTITY a0 'aaaaaaaaaa'>"
    bomb += "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
    (devkit / "Annotations" / "d.xml").write_text(
        f"{bomb}]><annotation><object><name>&a11;</name></object></annotation>"
    )
    assert "d" not in voc12(devkit).image_labels_by_id


def test_an_image_without_labels(devkit):
    (devkit / "Annotations" / "d.xml").unlink()
    dataset = voc12(devkit)
    with pytest.raises(DataError, match="no image-level labels for 'd'"):
        dataset.image_labels("d")
    assert sorted(dataset.image_labels_by_id) == ["a", "b", "c"]
    assert len(dataset.image_labels_by_id) == 3


def test_classes_of_its_own(devkit):
    (devkit / "classes.txt").write_text("background\n" + "\n".join(reversed(VOC_CLASSES)) + "\n\n")
    dataset = voc12(devkit)
    assert dataset.class_names == tuple(reversed(VOC_CLASSES))
    assert names_of(dataset, "d") == ["dog", "cat"]


def test_labels_are_read_only_when_asked_for(devkit):
    (devkit / "SegmentationClass" / "a.png").unlink()
    dataset = voc12(devkit)
    with pytest.raises(DataError):
        dataset.image_labels("a")
    (devkit / "Annotations" / "b.xml").write_text(
        "<annotation><object><name>car</name></object></annotation>"
    )
    assert names_of(dataset, "b") == ["car"]  # written after opening


def test_fingerprint_follows_ids_labels_and_classes(devkit):
    before = voc12(devkit).fingerprint("train_aug")
    assert before == voc12(devkit).fingerprint("train_aug") != voc12(devkit).fingerprint("train")
    (devkit / "Annotations" / "d.xml").unlink()
    unlabelled = voc12(devkit).fingerprint("train_aug")
    (devkit / "classes.txt").write_text("\n".join([*VOC_CLASSES[:-1], "screen"]))
    assert len({before, unlabelled, voc12(devkit).fingerprint("train_aug")}) == 3


def test_an_unknown_split_names_those_there_are(devkit):
    with pytest.raises(DataError, match="no split 'dev'; it has train, train_aug, val"):
        voc12(devkit).image_ids("dev")


def test_a_data_set_travels_to_other_processes(devkit):
    dataset = pickle.loads(pickle.dumps(voc12(devkit)))
    assert names_of(dataset, "a") == ["aeroplane", "person"]
    assert dataset.image("a").shape == (8, 12, 3)


def test_the_real_part(voc):
    assert {split: len(ids) for split, ids in voc.splits.items()} == {
        "train": 663,
        "train_aug": 3357,
        "val": 250,
    }
    assert len(voc.image_labels_by_id) == 3607
    image_id = voc.image_ids("val")[0]
    assert voc.image(image_id).shape[:2] == voc.mask(image_id).shape
    assert set(voc.image_ids("train")) < set(voc.image_ids("train_aug"))
    assert not set(voc.image_ids("train_aug")) & set(voc.image_ids("val"))


def test_labels_of_the_real_part_agree_with_its_masks(voc):
    for image_id in voc.image_ids("val")[:40]:
        shown = np.setdiff1d(np.unique(voc.mask(image_id)), [0, 255])
        np.testing.assert_array_equal(voc.class_ids(image_id), shown)
