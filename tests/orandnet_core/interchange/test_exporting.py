"""What is written is read back by others' loaders, and is what it was."""

import contextlib
import dataclasses
import hashlib
import io
import json
import shutil
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from torchvision.datasets import VOCSegmentation

from orandnet_core.datasets import folder, voc12
from orandnet_core.errors import DataError, StoreError
from orandnet_core.interchange.exporting import (
    Export,
    flat_name,
    is_free,
    new_folder,
    put_photo,
    write_manifest,
)
from orandnet_core.interchange.to_coco import SEGMENTATIONS, CocoExport
from orandnet_core.interchange.to_image_folder import ImageFolderExport
from orandnet_core.interchange.to_irn import IrnExport
from orandnet_core.interchange.to_voc import VocExport
from orandnet_core.labels import voc_palette
from orandnet_core.restricted_pickle import load_pickled_npy
from orandnet_core.store import resize_maps, stored_hw
from tests.orandnet_core.interchange.conftest import CLASSES, LABELS


@pytest.fixture
def to(tmp_path, insects):
    return Export(out=tmp_path / "out", dataset=insects, split="train")


def written(writer):
    for image_id in LABELS:
        writer.add(image_id)
    writer.finish()


def test_voc_is_read_by_torchvision_and_by_us(to, insects):
    written(VocExport(to, insects.mask))
    loaded = VOCSegmentation(to.out, year="2012", image_set="train", download=False)
    assert len(loaded) == len(LABELS)
    for (photo, mask), image_id in zip(loaded, LABELS, strict=True):
        np.testing.assert_array_equal(np.asarray(mask), insects.mask(image_id))
        assert mask.mode == "P"
        np.testing.assert_array_equal(np.array(mask.getpalette()).reshape(-1, 3), voc_palette())
        assert photo.size == mask.size
        assert 255 in np.asarray(mask)
    ours = voc12(to.out)
    assert ours.class_names == CLASSES
    assert {image_id: tuple(ours.class_ids(image_id)) for image_id in LABELS} == LABELS


ODD_IDS = ("my photo", "deep/sea", "deep%2Fsea", "a\u2028b c.v2", "写真")


@pytest.fixture
def odd(insects):
    """Images whose ids are no single words, each like another of the insects."""
    rows = ["image_id,split,classes"]
    for image_id, like in zip(ODD_IDS, LABELS, strict=False):
        for place in ("images", "masks"):
            path = insects.root / place / f"{image_id}.png"
            path.parent.mkdir(exist_ok=True)
            shutil.copy(insects.root / place / f"{like}.png", path)
        rows.append(f"{image_id},train,{';'.join(CLASSES[k - 1] for k in LABELS[like])}")
    (insects.root / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder(insects.root)


def test_voc_is_read_back_whatever_images_are_called(tmp_path, odd):
    assert odd.image_ids("train") == ODD_IDS
    to = Export(out=tmp_path / "out", dataset=odd, split="train")
    writer = VocExport(to, odd.mask)
    for image_id in ODD_IDS:
        writer.add(image_id)
    writer.finish()
    theirs = VOCSegmentation(to.out, year="2012", image_set="train", download=False)
    ours = voc12(to.out)
    names = ours.image_ids("train")
    assert tuple(map(unquote, names)) == ODD_IDS
    assert names[:3] == ("my%20photo", "deep%2Fsea", "deep%252Fsea")
    for (_, mask), name, image_id in zip(theirs, names, ODD_IDS, strict=True):
        np.testing.assert_array_equal(ours.mask(name), odd.mask(image_id))
        np.testing.assert_array_equal(np.asarray(mask), odd.mask(image_id))
        assert ours.class_ids(name).tolist() == odd.class_ids(image_id).tolist()
        assert ours.image(name).shape == odd.image(image_id).shape


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_flat_name_is_one_word_and_one_file_name(image_id):
    name = flat_name(image_id)
    assert unquote(name) == image_id
    assert name.split() == name.splitlines() == [name]
    assert not set(name) & set('/\\:*?"<>|')


@pytest.mark.parametrize("image_id", ["2007_000032", "COCO_train2014_000000000009", "a-b.c+d(1)", "写真_é"])
def test_an_ordinary_id_is_its_own_flat_name(image_id):
    assert flat_name(image_id) == image_id


@pytest.mark.parametrize("image_id", ["../../../../secret", "/secret", ""])
@pytest.mark.parametrize("kind", [VocExport, CocoExport, ImageFolderExport, IrnExport])
def test_no_export_leaves_its_folder(tmp_path, insects, kind, image_id):
    """Whatever a data set of another making calls its images."""
    out = tmp_path / "deep" / "er" / "out"
    first = next(iter(LABELS))
    hostile = dataclasses.replace(insects, image_path_of=lambda _: insects.image_path_of(first))
    there = set(tmp_path.rglob("*"))
    mask = insects.mask(first)
    made_of = (mask[None] / 255, np.array([1])) if kind is IrnExport else mask
    writer = kind(Export(out=out, dataset=hostile, split="train"), lambda _: made_of)
    with contextlib.suppress(DataError):
        writer.add(image_id)
    files = {path for path in tmp_path.rglob("*") if path.is_file()} - there
    assert all(path.is_relative_to(out) for path in files)


@pytest.mark.parametrize("segmentation", SEGMENTATIONS)
def test_coco_is_read_by_its_own_loader(to, insects, segmentation):
    written(CocoExport(to, insects.mask, segmentation))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(to.out / "annotations" / "instances_train.json")
    assert [each["name"] for each in coco.loadCats(coco.getCatIds())] == list(CLASSES)
    for record in coco.loadImgs(coco.getImgIds()):
        mask = insects.mask(record["image_id"])
        found = np.zeros_like(mask)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=record["id"])):
            region = coco.annToMask(annotation).astype(bool)
            assert annotation["area"] == region.sum() == (mask == annotation["category_id"]).sum()
            np.testing.assert_allclose(annotation["bbox"], run_lengths.toBbox(coco.annToRLE(annotation)))
            assert isinstance(annotation["segmentation"], dict if segmentation == "rle" else list)
            found[region] = annotation["category_id"]
        found[run_lengths.decode(record["ignored"]).astype(bool)] = 255
        np.testing.assert_array_equal(found, mask)
        assert (to.out / "train" / record["file_name"]).is_file()


def test_an_image_folder(to, insects):
    written(ImageFolderExport(to, insects.mask))
    rows = [json.loads(line) for line in (to.out / "train" / "metadata.jsonl").read_text().splitlines()]
    assert [row["image_id"] for row in rows] == list(LABELS)
    for row in rows:
        mask = np.asarray(Image.open(to.out / "train" / row["mask_file_name"]))
        np.testing.assert_array_equal(mask, insects.mask(row["image_id"]))
        assert row["classes"] == [CLASSES[k - 1] for k in LABELS[row["image_id"]]]
        assert (to.out / "train" / row["file_name"]).is_file()
    assert "4. dog" in (to.out / "README.md").read_text()


def test_irn_files_are_plain_dicts(to, true_maps):
    written(IrnExport(to, lambda image_id: (true_maps[image_id], np.array(LABELS[image_id]))))
    for image_id, maps in true_maps.items():
        path = to.out / "cams" / f"{image_id}.npy"
        ours, numpys = load_pickled_npy(path), np.load(path, allow_pickle=True).item()
        assert list(numpys) == ["keys", "cam", "high_res"]
        for found in (ours, numpys):
            assert (found["keys"] + 1).tolist() == list(LABELS[image_id])
            np.testing.assert_array_equal(found["high_res"], maps)
            np.testing.assert_array_equal(found["cam"], resize_maps(maps, stored_hw(maps.shape[1:])))


def test_a_jpeg_is_copied_and_everything_else_is_made_one(insects, tmp_path):
    image_id = next(iter(LABELS))
    put_photo(insects, image_id, tmp_path / "made.jpg")
    with Image.open(tmp_path / "made.jpg") as made:
        assert (made.format, made.size) == ("JPEG", insects.image(image_id).shape[1::-1])
    photo = Image.fromarray(insects.image(image_id))
    path = insects.image_path_of(image_id)
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(path, "JPEG")  # by content, whatever its name says
    put_photo(insects, image_id, tmp_path / "copied.jpg")
    assert (tmp_path / "copied.jpg").read_bytes() == path.read_bytes()
    photo.save(path, "JPEG", exif=exif)
    put_photo(insects, image_id, tmp_path / "turned.jpg")
    with Image.open(tmp_path / "turned.jpg") as turned:
        assert turned.size == photo.size[::-1]


def test_the_manifest_has_a_hash_of_every_file(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.txt").write_text("a")
    write_manifest(out, {"source": "and"})
    sums = (out / "sha256sums.txt").read_text()
    assert sums == f"{hashlib.sha256(b'a').hexdigest()}  a.txt\n"
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["sha256sums"] == hashlib.sha256(sums.encode()).hexdigest()
    assert (manifest["files"], manifest["source"]) == (1, "and")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_is_there_once_it_is_full(tmp_path, is_there):
    out = tmp_path / "deep" / "out"
    if is_there:
        out.mkdir(parents=True)
    with new_folder(out) as unfinished:
        (unfinished / "a.txt").write_text("a")
        assert not (out / "a.txt").exists()
        assert is_free(out)
    assert [each.name for each in out.parent.iterdir()] == ["out"]
    assert (out / "a.txt").read_text() == "a"
    assert not is_free(out)
    with pytest.raises(DataError, match="not empty"), new_folder(out):
        pass
    assert (out / "a.txt").read_text() == "a"


def test_nothing_is_left_of_an_export_that_stopped(tmp_path):
    def stopped():
        with new_folder(tmp_path / "out") as unfinished:
            (unfinished / "a.txt").write_text("a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_told_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"), new_folder(tmp_path / "file" / "out"):
        pass
