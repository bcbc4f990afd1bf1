"""`python -m train export`: a run's masks and CAMs in the formats that others read."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from orandnet_core.datasets import voc12
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.mask_store import MaskStore
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.restricted_pickle import load_pickled_npy
from orandnet_core.store import CamStore
from tests.train.conftest import COLOURS, write_squares
from tests.train.maps import make_store
from train.__main__ import main
from train.import_maps import recipe_of_run
from train.open_run import write_config
from train.workspace import cams_dir, run_dir


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run on the squares with both networks' CAMs; its data set."""
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "workspace"))
    root = write_squares(tmp_path / "squares")
    (root / "classes.txt").write_text("\n".join(COLOURS))
    folder, dataset = run_dir("mine"), voc12(root)
    write_config(recipe_of_run(folder, root), folder)
    for source, blur_px in (("cnn", 4), ("vit", 2)):
        make_store(folder, dataset, source, blur_px)
    return dataset


def export(*words) -> int:
    return main(["export", "mine", *map(str, words)])


def test_a_fusion_as_a_voc_devkit(run, tmp_path, capsys):
    out = tmp_path / "out"
    assert export("--to", "voc", "--source", "and", "--threshold", 0.25, "--out", out) == 0
    assert "12 images of train, val, 0 failed" in capsys.readouterr().out
    theirs = voc12(out)
    assert theirs.splits == run.splits
    cnn, vit = (CamStore(cams_dir(run_dir("mine"), source)).read("square_001") for source in ("cnn", "vit"))
    fused = fuse(cnn.full_size(), vit.full_size(), Fusion("and"))
    np.testing.assert_array_equal(theirs.mask("square_001"), pseudo_mask(fused, cnn.class_ids, 0.25))
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["background_threshold"] == 0.25
    assert manifest["images"] == {"train": 8, "val": 4}
    assert manifest["renamed"] == {}
    assert manifest["data_hash"]["val"] == run.fingerprint("val")
    assert len(manifest["source_hash"]) == 12
    for line in (out / "sha256sums.txt").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_the_manifest_says_whose_files_are_called_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "workspace"))
    root = tmp_path / "own"
    rows = ["image_id,classes,split"]
    for image_id in ("my photo", "deep/sea", "plain"):
        for place in ("images", "masks"):
            path = root / place / f"{image_id}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 1).save(path)
        rows.append(f"{image_id},ant,train")
    (root / "labels.csv").write_text("\n".join(rows))
    write_config(recipe_of_run(run_dir("mine"), root), run_dir("mine"))
    out = tmp_path / "out"
    assert export("--to", "voc", "--source", "ground-truth", "--split", "train", "--out", out) == 0
    assert voc12(out).image_ids("train") == ("my%20photo", "deep%2Fsea", "plain")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["renamed"] == {"my photo": "my%20photo", "deep/sea": "deep%2Fsea"}


def test_a_fusion_with_knobs_is_exported_and_told(run, tmp_path):
    out = tmp_path / "out"
    words = (
        "--source",
        "fusion",
        "--set",
        "fusion.rule=or",
        "--set",
        "fusion.gamma_vit=2",
        "--threshold",
        0.5,
    )
    assert export("--to", "voc", *words, "--out", out) == 0
    cnn, vit = (CamStore(cams_dir(run_dir("mine"), source)).read("square_003") for source in ("cnn", "vit"))
    fused = fuse(cnn.full_size(), vit.full_size(), Fusion("or", gamma_vit=2))
    np.testing.assert_array_equal(voc12(out).mask("square_003"), pseudo_mask(fused, cnn.class_ids, 0.5))
    manifest = json.loads((out / "manifest.json").read_text())
    assert Fusion.from_dict(manifest["fusion"]) == Fusion("or", gamma_vit=2)
    assert json.loads((run_dir("mine") / "config.json").read_text())["fusion"]["rule"] == "and"


def test_a_trimap_leaves_255_where_undecided(run, tmp_path):
    out = tmp_path / "out"
    words = (
        "--source",
        "trimap",
        "--or-threshold",
        0.2,
        "--and-threshold",
        0.6,
        "--set",
        "fusion.gamma_cnn=3",
    )
    assert export("--to", "voc", *words, "--out", out) == 0
    cnn, vit = (CamStore(cams_dir(run_dir("mine"), source)).read("square_001") for source in ("cnn", "vit"))
    or_cam, and_cam = (fuse(cnn.full_size(), vit.full_size(), Fusion(rule)) for rule in ("or", "and"))
    expected = np.full(cnn.size_hw, 255, np.uint8)
    expected[(or_cam <= 0.2).all(axis=0)] = 0
    sure = and_cam.max(axis=0) > 0.6
    expected[sure] = cnn.class_ids[and_cam.argmax(axis=0)][sure]
    assert {0, 255} < set(np.unique(expected).tolist())
    np.testing.assert_array_equal(voc12(out).mask("square_001"), expected)
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["or_threshold"], manifest["and_threshold"]) == (0.2, 0.6)
    assert "fusion" not in manifest


def test_the_runs_masks_keep_255(run, tmp_path):
    store = MaskStore(run_dir("mine") / "masks")
    mask = run.mask("square_002").copy()
    mask[:4] = 255
    store.write_card({"background_threshold": 0.3})
    store.write("square_002", mask)
    assert export("--to", "coco", "--segmentation", "polygons", "--out", tmp_path / "coco") == 0
    content = json.loads((tmp_path / "coco" / "annotations" / "instances_train.json").read_text())
    assert [record["image_id"] for record in content["images"]] == ["square_002"]
    assert "ignored" in content["images"][0]
    assert not (tmp_path / "coco" / "annotations" / "instances_val.json").exists()
    manifest = json.loads((tmp_path / "coco" / "manifest.json").read_text())
    assert manifest["made_by"] == {"background_threshold": 0.3}


def test_cams_go_out_and_come_in_again(run, tmp_path):
    out = tmp_path / "irn"
    assert export("--to", "irn", "--source", "cnn", "--out", out) == 0
    ours = CamStore(cams_dir(run_dir("mine"), "cnn")).read("square_001")
    theirs = load_pickled_npy(out / "cams" / "square_001.npy")
    np.testing.assert_array_equal(theirs["cam"].shape, ours.cam.shape)
    assert main(["import", str(out), "--into", "mine/again", "--field", "cam"]) == 0
    again = CamStore(cams_dir(run_dir("mine"), "again")).read("square_001")
    np.testing.assert_allclose(again.cam, theirs["cam"], atol=1e-3)


def test_ground_truth_as_an_image_folder_without_a_run_of_masks(run, tmp_path):
    out = tmp_path / "hf"
    argv = ("--to", "image-folder", "--source", "ground-truth", "--split", "val")
    assert export(*argv, "--out", out) == 0
    assert len((out / "val" / "metadata.jsonl").read_text().splitlines()) == 4


def test_an_image_that_fails_is_told(run, tmp_path, capsys):
    run.image_path_of("square_001").write_bytes(b"no image")
    argv = (
        "--to",
        "voc",
        "--source",
        "cnn",
        "--threshold",
        0.3,
        "--split",
        "train",
        "--out",
        tmp_path / "out",
    )
    assert export(*argv) == 1
    assert "square_001.jpg" in capsys.readouterr().err
    assert len(voc12(tmp_path / "out").image_ids("train")) == 7
    assert "square_001" in json.loads((tmp_path / "out" / "manifest.json").read_text())["failed"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "voc", "--source", "cnn"), "say --threshold"),
        (("--to", "voc", "--source", "cnn", "--threshold", "2"), "lies in [0, 1]"),
        (("--to", "irn"), "name a CAM source"),
        (("--to", "voc", "--source", "trimap", "--or-threshold", "0.3"), "say --or-threshold and --and"),
        (("--to", "voc", "--source", "cnn", "--threshold", "0.3", "--set", "rule"), "FIELD=VALUE"),
        (("--to", "voc"), "masks has nothing of train, val"),
        (("--to", "voc", "--source", "gone", "--threshold", "0.3"), "not of 'gone'"),
        (("--to", "voc", "--source", "ground-truth", "--split", "nowhere"), "no split 'nowhere'"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(run, tmp_path, capsys, words, message):
    assert export(*words, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_taken(run, tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert export("--to", "irn", "--source", "cnn", "--out", tmp_path / "taken") == 2
    assert "not empty" in capsys.readouterr().err
    assert main(["export", "none", "--to", "voc", "--out", str(tmp_path / "x")]) == 2
