"""A folder of one's own."""

import json
import os
import time
import unicodedata

import numpy as np
import pytest

from orandnet_core.datasets import folder
from orandnet_core.datasets.check import check
from orandnet_core.datasets.folder import list_images
from orandnet_core.errors import DataError


def test_images_labels_masks_and_splits(own_folder):
    dataset = folder(own_folder)
    assert (dataset.name, dataset.class_names, dataset.num_classes) == ("own", ("ant", "bee"), 3)
    assert dataset.splits == {"train": ("x", "z"), "val": ("y",)}
    np.testing.assert_array_equal(dataset.class_ids("y"), [1, 2])
    assert dataset.image("x").shape == (8, 12, 3)
    np.testing.assert_array_equal(np.unique(dataset.mask("y")), [0, 1, 2, 255])
    assert dataset.mask("z") is None
    assert len(dataset.problems) == 0


def test_classes_txt_decides_the_numbers(own_folder):
    (own_folder / "classes.txt").write_text("bee\nant\n")
    dataset = folder(own_folder, name="insects")
    assert (dataset.name, dataset.class_names) == ("insects", ("bee", "ant"))
    np.testing.assert_array_equal(dataset.class_ids("x"), [2])


def test_labels_from_masks_without_a_table(own_folder):
    (own_folder / "labels.csv").unlink()
    (own_folder / "classes.txt").write_text("ant\nbee\n")
    dataset = folder(own_folder)
    np.testing.assert_array_equal(dataset.class_ids("y"), [1, 2])
    assert sorted(dataset.image_labels_by_id) == ["x", "y"]
    assert sorted(sum(dataset.splits.values(), ())) == ["x", "y", "z"]


def test_sub_folders_suffixes_and_hidden_files(own_folder, make_image, make_mask):
    make_image(own_folder / "images" / "day" / "w.PNG")
    make_image(own_folder / "images" / "._x.jpg")
    make_image(own_folder / "images" / ".thumbs" / "x.jpg")
    (own_folder / "images" / "notes.txt").write_text("")
    make_mask(own_folder / "masks" / "day" / "w.png", (2,))
    with (own_folder / "labels.csv").open("a") as table:
        table.write("day/w.png,bee,train\n")
    dataset = folder(own_folder)
    assert dataset.image_ids("train") == ("x", "z", "day/w")
    assert dataset.image("day/w").shape == (8, 12, 3)
    assert 2 in dataset.mask("day/w")
    assert list_images(own_folder / "images") == ["day/w.PNG", "x.jpg", "y.jpg", "z.jpg"]


def test_two_images_of_one_id_are_listed(own_folder, make_image):
    make_image(own_folder / "images" / "x.png")
    (problem,) = folder(own_folder).problems
    assert (problem.kind, problem.file) == ("two images of one id", "x.png")


def test_masks_are_found_whatever_the_case_of_their_suffix(own_folder, make_mask):
    (own_folder / "masks" / "x.png").rename(own_folder / "masks" / "x.PNG")
    make_mask(own_folder / "masks" / "y.PNG", (1,))
    dataset = folder(own_folder)
    assert set(np.unique(dataset.mask("x"))) == {0, 1, 255}
    assert 2 in dataset.mask("y")  # y.png goes before y.PNG
    assert [(problem.kind, problem.file) for problem in dataset.problems] == [
        ("two masks of one id", "y.PNG")
    ]


def test_a_mask_drawn_after_opening_is_there(own_folder, make_mask):
    dataset = folder(own_folder)
    make_mask(own_folder / "masks" / "z.png", (2,))
    assert 2 in dataset.mask("z")


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
def test_accents_are_the_same_however_they_are_composed(own_folder, make_image, make_mask, on_disk, in_table):
    written, named = unicodedata.normalize(on_disk, "café/é"), unicodedata.normalize(in_table, "café/é")
    make_image(own_folder / "images" / f"{written}.jpg")
    make_mask(own_folder / "masks" / f"{written}.png", (2,))
    with (own_folder / "labels.csv").open("a", encoding="utf-8") as table:
        table.write(f"{named},bee,train\n")
    dataset = folder(own_folder)
    assert dataset.image_ids("train")[-1] == named  # ids stay as they were written
    assert dataset.image(named).shape == (8, 12, 3)
    assert 2 in dataset.mask(named)
    report = check(dataset)
    assert report.ok
    assert (report.usable, report.unlisted) == (4, 0)
    assert set(report.problems.counts) == {"image without mask"}  # that of z


@pytest.mark.parametrize("labels", ["labels.csv", "masks"])
@pytest.mark.parametrize("bad", [b"caf\xe9.png", b"caf\xe9/x.png"])
def test_a_name_that_is_not_utf_8_is_listed_and_passed_over(own_folder, labels, bad):
    if labels == "masks":
        (own_folder / "labels.csv").unlink()
        (own_folder / "classes.txt").write_text("ant\nbee\n")
    before = folder(own_folder)
    for place in ("images", "masks"):
        path = os.fsencode(own_folder / place) + b"/" + bad
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(path, "wb") as file:
                file.write((own_folder / "masks" / "x.png").read_bytes())
        except OSError:
            pytest.skip("this disk takes no such name")
    dataset = folder(own_folder)
    assert dataset.splits == before.splits
    assert dataset.fingerprint("train") == before.fingerprint("train")
    listed = [f"{place}/{bad.decode(errors='backslashreplace')}" for place in ("images", "masks")]
    assert [problem.file for problem in dataset.problems] == listed
    assert dataset.problems.counts == {"name not UTF-8": 2}
    report = check(dataset)
    assert report.usable == len(before.image_labels_by_id)
    json.dumps(report.problems.as_dict(), ensure_ascii=False).encode()  # it can be written and shown


def test_images_without_a_row_are_noted(own_folder, make_image):
    make_image(own_folder / "images" / "new.jpg")
    dataset = folder(own_folder)
    (problem,) = dataset.problems
    assert (problem.kind, problem.file, problem.is_error) == ("image not in labels.csv", "new.jpg", False)
    with pytest.raises(DataError, match="no image-level labels for 'new'"):
        dataset.image_labels("new")


def test_a_row_without_an_image_gives_a_clear_error_when_it_is_read(own_folder):
    with (own_folder / "labels.csv").open("a") as table:
        table.write("ghost,bee,train\n")
    with pytest.raises(DataError, match=r"ghost\.jpg: no such file"):
        folder(own_folder).image("ghost")


def test_drawn_splits_keep_every_image_in_its_place(tmp_path, make_image):
    make_image(tmp_path / "images" / "i000.jpg")
    rows = [f"i{number:03d},ant" for number in range(400)]

    def splits(count):
        (tmp_path / "labels.csv").write_text("image_id,classes\n" + "\n".join(rows[:count]) + "\n")
        return folder(tmp_path).splits

    few, many = splits(100), splits(400)
    assert set(few["val"]) < set(many["val"])
    assert set(few["train"]) < set(many["train"])
    assert 0.15 < len(many["val"]) / 400 < 0.26
    assert not set(many["train"]) & set(many["val"])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda root: (root / "labels.csv").unlink(), "no labels: add labels.csv"),
        (lambda root: (root / "images").rename(root / "photos"), "no folder `images`"),
        (lambda root: [path.unlink() for path in (root / "images").iterdir()], "no image in it"),
        (lambda root: (root / "classes.txt").write_text("ant\nant\n"), "'ant' is there twice"),
        (lambda root: (root / "classes.txt").write_text("\n"), "no class names"),
        (lambda root: (root / "classes.txt").write_bytes(b"\xff\x80"), "classes.txt: not readable as UTF-8"),
        (
            lambda root: (root / "labels.csv").write_text("image_id,classes,split\nx,ant,\n"),
            "column `split` is empty",
        ),
        (lambda root: (root / "labels.csv").write_text("image_id,classes\nx,\n"), "names no class"),
    ],
)
def test_what_is_missing_is_named(own_folder, spoil, said):
    spoil(own_folder)
    with pytest.raises(DataError, match=said):
        folder(own_folder)


@pytest.mark.parametrize("form", ["names", "columns"])
def test_many_images_and_classes_open_fast(tmp_path, form):
    """10,000 images of 1,000 classes: a fifth of a second or so, and a limit that no busy machine reaches."""
    images, classes = 10_000, 1_000
    (tmp_path / "images").mkdir()
    for number in range(5):
        (tmp_path / "images" / f"{number}.jpg").touch()
    columns = [f"class {number}" for number in range(classes)]
    lines = [f"image_id,{','.join(columns)}" if form == "columns" else "image_id,classes"]
    for number in range(images):
        mine = number % classes
        flags = ",0" * mine + ",1" + ",0" * (classes - mine - 1)
        lines.append(f"{number}{flags}" if form == "columns" else f"{number},{columns[mine]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    began_s = time.process_time()
    dataset = folder(tmp_path)
    assert time.process_time() - began_s < 4
    assert len(dataset.class_names) == classes
    assert sum(map(len, dataset.splits.values())) == images
    assert dataset.class_names[int(dataset.class_ids("9345")[0]) - 1] == "class 345"
