"""Every fault that a data set can have is found, named, and passed over."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from orandnet_core.datasets import folder, voc12
from orandnet_core.datasets.check import check
from orandnet_core.errors import DataError


def found(report):
    return {(problem.kind, problem.file) for problem in report.problems}


def errors(report):
    return {(problem.kind, problem.file) for problem in report.problems if problem.is_error}


def test_a_sound_data_set(devkit):
    report = check(voc12(devkit))
    assert report.ok
    assert found(report) == {("image without mask", "SegmentationClass/d.png")}
    assert (report.images, report.usable, report.unlisted) == (4, 4, 0)
    train, train_aug, val = report.splits
    assert [(split.name, split.images, split.usable, split.masks) for split in report.splits] == [
        ("train", 2, 2, 2), ("train_aug", 3, 3, 2), ("val", 1, 1, 1),
    ]  # fmt: skip
    assert dict(zip(report.class_names, train.images_by_class, strict=True)) | {"cat": 1} == {
        **dict.fromkeys(report.class_names, 0), "aeroplane": 1, "person": 1, "cat": 1,
    }  # fmt: skip
    assert train_aug.images_by_class.sum() == 5
    assert val.images_by_class.tolist() == [0] * 19 + [1]


def test_the_root_of_a_data_set_will_do(own_folder):
    report = check(own_folder)
    assert (report.name, report.ok) == ("own", True)
    with pytest.raises(DataError, match="no such folder"):
        check(own_folder / "nowhere")


def spoil_jpeg(path):
    path.write_bytes(path.read_bytes()[:-150])


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)


FAULTS = {
    "truncated jpeg": (lambda root: spoil_jpeg(root / "images/x.jpg"), ("image unreadable", "images/x.jpg")),
    "text named jpg": (
        lambda root: (root / "images/x.jpg").write_text("hi"),
        ("image unreadable", "images/x.jpg"),
    ),
    "empty file": (
        lambda root: (root / "images/x.jpg").write_bytes(b""),
        ("image unreadable", "images/x.jpg"),
    ),
    "samples of 32 bits": (
        lambda root: Image.new("F", (12, 8)).save(root / "images/x.jpg", "TIFF"),
        ("image unreadable", "images/x.jpg"),
    ),
    "image missing": (lambda root: (root / "images/x.jpg").unlink(), ("image missing", "images/x.jpg")),
    "mask of colours": (
        lambda root: save(root / "masks/x.png", np.zeros((8, 12, 3), np.uint8)),
        ("mask unreadable", "masks/x.png"),
    ),
    "mask of 16 bits": (
        lambda root: save(root / "masks/x.png", np.full((8, 12), 700, np.uint16)),
        ("mask unreadable", "masks/x.png"),
    ),
    "mask truncated": (
        lambda root: (root / "masks/x.png").write_bytes((root / "masks/x.png").read_bytes()[:-30]),
        ("mask unreadable", "masks/x.png"),
    ),
    "mask turned": (
        lambda root: save(root / "masks/x.png", np.ones((12, 8), np.uint8)),
        ("sizes differ", "masks/x.png"),
    ),
    "values out of range": (
        lambda root: save(root / "masks/x.png", np.full((8, 12), 3, np.uint8)),
        ("values out of range", "masks/x.png"),
    ),
    "bad row": (
        lambda root: (root / "labels.csv").write_text(
            "image_id,classes\nx,ant\ny,ant;bee\nz,bee\nq,ant,1,2\n"
        ),
        ("row of labels.csv passed over", "labels.csv, line 5"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_error_is_listed_and_the_rest_still_looked_at(own_folder, fault):
    spoil, expected = FAULTS[fault]
    spoil(own_folder)
    report = check(own_folder)
    assert errors(report) - {("mask without image", "masks/x.png")} == {expected}
    assert not report.ok
    assert all(problem.what and problem.remedy for problem in report.problems)
    assert report.images == 3
    assert report.usable == (2 if expected[0].startswith("image") else 3)
    counted = sum(split.masks for split in report.splits)
    assert counted == (1 if expected[0] in ("mask unreadable", "sizes differ", "values out of range") else 2)


def test_all_faults_at_once(own_folder):
    spoil_jpeg(own_folder / "images/x.jpg")
    save(own_folder / "masks/y.png", np.full((5, 5), 9, np.uint8))
    (own_folder / "images/z.jpg").unlink()
    report = check(own_folder)
    assert errors(report) == {
        ("image unreadable", "images/x.jpg"), ("sizes differ", "masks/y.png"),
        ("values out of range", "masks/y.png"), ("image missing", "images/z.jpg"),
    }  # fmt: skip
    what = {problem.kind: problem.what for problem in report.problems}
    assert what["sizes differ"] == "5 x 5 px, its image 12 x 8"
    assert what["values out of range"] == "25 pixels of value 9; it may hold 0 to 2 and 255"


@pytest.mark.parametrize(
    ("mode", "said"),
    [("L", "greyscale"), ("CMYK", "CMYK"), ("1", "black and white"), ("P", "a palette image")],
)
def test_odd_photographs_simply_work_and_are_noted(own_folder, mode, said):
    kind = "JPEG" if mode in ("L", "CMYK") else "PNG"
    Image.new(mode, (12, 8)).save(own_folder / "images/x.jpg", kind)
    report = check(own_folder)
    assert report.ok
    assert report.usable == 3
    (problem,) = [problem for problem in report.problems if problem.kind == "image not RGB"]
    assert problem.file == "images/x.jpg"
    assert said in problem.what


def test_sixteen_bit_greyscale_is_noted(own_folder):
    save(own_folder / "images/x.jpg", np.zeros((8, 12), np.uint16), format="PNG")
    assert ("image not RGB", "images/x.jpg") in found(check(own_folder))


def test_a_turned_photograph_wants_an_upright_mask(own_folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 12)).save(
        own_folder / "images/x.jpg", exif=exif
    )  # upright: 12 wide, 8 high, as its mask
    report = check(own_folder)
    assert report.ok
    assert ("image turned by EXIF", "images/x.jpg") in found(report)
    Image.new("RGB", (12, 8)).save(own_folder / "images/x.jpg", exif=exif)
    assert errors(check(own_folder)) == {("sizes differ", "masks/x.png")}


def test_masks_without_image(devkit, make_mask):
    make_mask(devkit / "SegmentationClass" / "ghost.png")
    make_mask(devkit / "SegmentationClassAug" / "ghost2.png")
    assert errors(check(devkit)) == {
        ("mask without image", "SegmentationClass/ghost.png"),
        ("mask without image", "SegmentationClassAug/ghost2.png"),
    }


def test_images_in_no_split_are_counted(devkit, make_image):
    make_image(devkit / "JPEGImages" / "e.jpg")
    report = check(devkit)
    assert (report.unlisted, report.ok) == (1, True)


def test_images_without_labels(devkit):
    (devkit / "Annotations" / "d.xml").unlink()
    report = check(devkit)
    assert errors(report) == {("image without labels", "d")}
    assert [split.usable for split in report.splits] == [2, 2, 1]


def test_broken_annotations_are_reported_though_read_late(devkit):
    (devkit / "Annotations" / "a.xml").write_text("<oops")
    assert errors(check(devkit)) == {("labels passed over", "Annotations/a.xml")}


def test_labels_that_disagree_with_masks_are_noted(own_folder):
    (own_folder / "labels.csv").write_text("image_id,classes\nx,bee\ny,ant;bee\nz,bee\n")
    report = check(own_folder)
    (problem,) = [problem for problem in report.problems if problem.kind == "labels and mask disagree"]
    assert (problem.file, problem.is_error) == ("masks/x.png", False)
    assert problem.what == "in the mask only: ant; in the labels only: bee"


def test_a_mask_of_0_and_255_is_explained(own_folder):
    mask = np.zeros((8, 12), np.uint8)
    mask[2:5] = 255
    save(own_folder / "masks/x.png", mask)
    (problem,) = [problem for problem in check(own_folder).problems if problem.file == "masks/x.png"]
    assert "255 means ignored" in problem.what


def test_ids_repeated_and_shared_between_splits(devkit):
    splits = devkit / "ImageSets" / "Segmentation"
    (splits / "train.txt").write_text("a\nb\na\nc\n")
    assert {("ids repeated", "split train"), ("split overlap", "c")} < found(check(devkit))


def test_trainval_may_overlap_val(devkit):
    (devkit / "ImageSets" / "Segmentation" / "trainval.txt").write_text("a\nb\nc\n")
    assert "split overlap" not in check(devkit).problems.counts


def test_progress_is_told_from_this_thread(own_folder, make_image):
    rows = [f"n{number},ant" for number in range(40)]
    (own_folder / "labels.csv").write_text("\n".join(["image_id,classes", *rows]))
    for number in range(40):
        make_image(own_folder / "images" / f"n{number}.jpg")
    told = []
    check(own_folder, lambda done, total: told.append((done, total)), workers=3)
    assert told == [(16, 40), (32, 40), (40, 40)]


@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_threads_finds_the_same(devkit, workers):
    spoil_jpeg(devkit / "JPEGImages" / "a.jpg")
    report = check(devkit, workers=workers)
    assert errors(report) == {("image unreadable", "JPEGImages/a.jpg")}
    assert report.usable == 3


def test_an_empty_split(tmp_path, own_folder):
    (own_folder / "labels.csv").write_text("image_id,classes,split\nx,ant,train\n")
    report = check(folder(own_folder))
    assert report.images == 1


def test_the_real_part_is_sound(voc):
    unscored = [image_id for image_id in voc.image_ids("train_aug") if not voc.has_mask(image_id)][:150]
    splits = {"train_aug": tuple(unscored), "train": voc.image_ids("train")[::3], "val": voc.image_ids("val")}
    report = check(dataclasses.replace(voc, splits=splits))
    assert report.ok, list(report.problems)[:5]
    assert report.problems.counts == {"image without mask": 150}
    assert [(split.usable, split.masks) for split in report.splits] == [(150, 0), (221, 221), (250, 250)]
