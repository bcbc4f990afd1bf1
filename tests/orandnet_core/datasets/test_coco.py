"""COCO's layout: labels, names and masks, against COCO's own loader."""

import contextlib
import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from orandnet_core.datasets import coco, coco_annotations, open_dataset
from orandnet_core.datasets.check import check
from orandnet_core.datasets.opening import recognise
from orandnet_core.errors import DataError
from orandnet_core.interchange.exporting import Export
from orandnet_core.interchange.to_coco import SEGMENTATIONS, CocoExport

CATEGORIES = [
    {"id": 1, "name": "person", "supercategory": "person"},
    {"id": 17, "name": "café cat", "supercategory": "animal"},
    {"id": 90, "name": "toothbrush", "supercategory": "indoor"},
]
HEIGHT, WIDTH = 30, 40
SQUARE = [[5, 4, 25, 4, 25, 20, 5, 20]]
SMALL = [[10, 8, 14, 8, 14, 12, 10, 12]]
CROWD = {"size": [HEIGHT, WIDTH], "counts": [0, 60, HEIGHT * WIDTH - 60]}  # the first two columns


def annotation(number, image, category, segmentation, **more):
    return {"id": number, "image_id": image, "category_id": category, "segmentation": segmentation} | more


@pytest.fixture
def root(tmp_path):
    """Two images of train2014, one of val2014, as COCO writes them."""
    annotations = {
        "train2014": [
            annotation(1, 9, 1, SMALL),
            annotation(2, 9, 17, SQUARE, iscrowd=0),
            annotation(3, 25, 90, CROWD, iscrowd=1),
        ],
        "val2014": [],
    }
    (tmp_path / "annotations").mkdir()
    for folder, numbers in (("train2014", (9, 25)), ("val2014", (42,))):
        (tmp_path / folder).mkdir()
        images = []
        for number in numbers:
            name = f"COCO_{folder}_{number:012d}.jpg"
            Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / folder / name)
            images.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH})
        content = {
            "info": {"year": 2014, "about": "[{"},
            "images": images,
            "licenses": [],
            "annotations": annotations[folder],
            "categories": CATEGORIES,
        }
        text = json.dumps(content, ensure_ascii=False)
        (tmp_path / "annotations" / f"instances_{folder}.json").write_text(text, encoding="utf-8")
    return tmp_path


NINE = "COCO_train2014_000000000009"
TWENTY_FIVE = "COCO_train2014_000000000025"
VAL = "COCO_val2014_000000000042"


@pytest.mark.parametrize("chunk", [7, 64, 1 << 22])
def test_splits_names_and_labels(root, monkeypatch, chunk):
    monkeypatch.setattr(coco_annotations, "_CHUNK", chunk)
    dataset = open_dataset(root)
    assert dataset.name == "coco"
    assert dataset.splits == {"train": (NINE, TWENTY_FIVE), "val": (VAL,)}
    assert dataset.class_names == ("person", "café cat", "toothbrush")
    assert dataset.num_classes == 4
    assert [dataset.class_ids(i).tolist() for i in (NINE, TWENTY_FIVE, VAL)] == [[1, 2], [3], []]
    assert dataset.image(NINE).shape == (HEIGHT, WIDTH, 3)
    assert dataset.image_path_of(NINE).parent.name == "train2014"


def test_masks_as_cocos_loader_draws_them(root):
    dataset = coco(root)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = COCO(root / "annotations" / "instances_train2014.json")
    small, square, crowd = (theirs.annToMask(each).astype(bool) for each in theirs.loadAnns([1, 2, 3]))
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[square] = 2
    expected[small] = 1  # the smaller on top
    np.testing.assert_array_equal(dataset.mask(NINE), expected)
    np.testing.assert_array_equal(dataset.mask(TWENTY_FIVE), 3 * crowd)
    assert dataset.has_mask(VAL)
    assert dataset.mask(VAL).max() == 0


@pytest.mark.parametrize("name", [NINE, "000000000009", f"train2014/{NINE}", "train2014/000000000009"])
def test_a_png_goes_before_the_outlines(root, name):
    path = root / "SegmentationClass" / f"{name}.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(np.full((HEIGHT, WIDTH), 255, np.uint8)).save(path)
    dataset = coco(root)
    assert (dataset.mask(NINE) == 255).all()
    assert dataset.mask(TWENTY_FIVE).max() == 3


@pytest.mark.parametrize("key", [NINE, 9, "9", "000000000009"])
def test_a_table_of_labels_goes_before_the_annotations(root, key):
    np.save(root / "cls_labels_coco.npy", {key: np.array([0.0, 0.0, 1.0])}, allow_pickle=True)
    dataset = coco(root)
    assert dataset.class_ids(NINE).tolist() == [3]
    assert dataset.class_ids(TWENTY_FIVE).tolist() == [3]


def test_a_row_of_another_length_is_passed_over(root):
    np.save(root / "cls_labels_coco.npy", {9: np.ones(80)}, allow_pickle=True)
    dataset = coco(root)
    assert dataset.class_ids(NINE).tolist() == [1, 2]
    assert dataset.problems.counts == {"labels passed over": 1}


def test_the_check_finds_it_in_order(root):
    assert recognise(root) == "coco"
    report = check(root)
    assert report.ok, list(report.problems)
    assert [(split.name, split.usable, split.masks) for split in report.splits] == [
        ("train", 2, 2),
        ("val", 1, 1),
    ]
    assert report.unlisted == 0


def test_outlines_that_cannot_be_drawn(root):
    path = root / "annotations" / "instances_train2014.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"counts": [0, 60', '"count": [0, 60'), encoding="utf-8"
    )
    dataset = coco(root)
    with pytest.raises(DataError, match="outlines of COCO_train2014_000000000025.jpg cannot be drawn"):
        dataset.mask(TWENTY_FIVE)
    assert check(dataset).problems.error_count == 1


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"images": [', '{"images": [{}]}', '{"images": [1]}', "{}"]
)
def test_files_that_are_none(root, content):
    (root / "annotations" / "instances_val2014.json").write_text(content)
    with pytest.raises(DataError, match="instances_val2014.json"):
        coco(root)


def test_other_categories_in_another_split(root):
    path = root / "annotations" / "instances_val2014.json"
    path.write_text(path.read_text(encoding="utf-8").replace("person", "pilot"), encoding="utf-8")
    with pytest.raises(DataError, match="other categories"):
        coco(root)


def test_two_years_in_one_folder_are_splits_of_their_own(root):
    path = root / "annotations" / "instances_train2014.json"
    text = path.read_text(encoding="utf-8").replace("COCO_train2014_", "")
    path.with_name("instances_train2017.json").write_text(text, encoding="utf-8")
    dataset = coco(root)
    assert dataset.splits == {
        "train2014": (NINE, TWENTY_FIVE),
        "train2017": ("000000000009", "000000000025"),
        "val": (VAL,),
    }
    for image_id in (NINE, "000000000009"):
        assert dataset.class_ids(image_id).tolist() == [1, 2]


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "", ".", "a/../../b.jpg", "\ud800.jpg"])
def test_a_name_that_leads_out_of_the_folder_is_passed_over(root, name):
    before = coco(root)
    path = root / "annotations" / "instances_train2014.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    outside = {"id": 1, "file_name": name, "height": HEIGHT, "width": WIDTH}
    path.write_text(json.dumps(content | {"images": [outside, *content["images"]]}))
    dataset = coco(root)
    assert dataset.splits == before.splits
    assert dataset.image(NINE).shape == (HEIGHT, WIDTH, 3)  # found by the first image of use
    assert dataset.fingerprint("train") == before.fingerprint("train")
    (problem,) = dataset.problems
    assert (problem.kind, problem.file, repr(name) in problem.what) == (
        "image passed over",
        "instances_train2014.json",
        True,
    )
    problem.what.encode()
    path.write_text(json.dumps(content | {"images": [outside]}))
    with pytest.raises(DataError, match="none of its images"):
        coco(root)


@pytest.mark.parametrize("segmentation", SEGMENTATIONS)
def test_what_we_export_we_read(root, tmp_path, segmentation):
    dataset = coco(root)
    out = tmp_path / "out"
    writer = CocoExport(Export(out=out, dataset=dataset, split="train"), dataset.mask, segmentation)
    for image_id in (NINE, TWENTY_FIVE):
        writer.add(image_id)
    writer.finish()
    again = coco(out)
    assert again.splits == {"train": (NINE, TWENTY_FIVE)}
    for image_id in (NINE, TWENTY_FIVE):
        np.testing.assert_array_equal(again.mask(image_id), dataset.mask(image_id))
        assert again.class_ids(image_id).tolist() == dataset.class_ids(image_id).tolist()
        assert again.image(image_id).shape == (HEIGHT, WIDTH, 3)
