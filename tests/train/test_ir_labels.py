"""IR labels of whole splits: as the core makes them, resumed, shared, and stopped by no single file."""

import numpy as np
import pytest
from PIL import Image

from orandnet_core.crf import IRN
from orandnet_core.datasets.images import read_mask
from orandnet_core.errors import ConfigError, StoreError
from orandnet_core.fusion import and_cam, or_cam
from orandnet_core.ir_labels import ir_label
from orandnet_core.pseudo_mask import pseudo_mask, trimap
from orandnet_core.store import CamStore
from tests.train.maps import make_store
from train.config import IrLabelConfig, override
from train.ir_labels import ir_labels
from train.workspace import cams_dir


@pytest.fixture
def run_dir(tmp_path, squares):
    for source, blur_px in (("cnn", 3.0), ("vit", 2.0), ("refine", 1.0)):
        make_store(tmp_path / "run", squares, source, blur_px)
    return tmp_path / "run"


@pytest.fixture
def recipe(tiny_recipe):
    """Without CRF and in one process: what most tests are about is elsewhere."""
    return override(tiny_recipe, {"ir_labels.crf": "", "ir_labels.workers": 1})


def read(run_dir, image_id):
    return read_mask(run_dir / "ir-labels" / f"{image_id}.png")


def test_labels_are_those_of_the_core_with_the_published_crf_and_thresholds(tiny_recipe, squares, run_dir):
    pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    assert tiny_recipe.ir_labels == IrLabelConfig(
        source="refine", foreground_threshold=0.3, background_threshold=0.05, crf="irn", workers=0
    )
    result = ir_labels(override(tiny_recipe, {"ir_labels.workers": 2}), squares, run_dir)
    assert (result.made, result.kept, result.failed) == (8, 0, ())
    assert {path.stem for path in (run_dir / "ir-labels").glob("*.png")} == set(squares.image_ids("train"))
    for image_id in squares.image_ids("train")[:3]:
        stored = CamStore(cams_dir(run_dir, "refine")).read(image_id)
        cam, class_ids = stored.full_size(), stored.class_ids
        maps = (pseudo_mask(cam, class_ids, threshold) for threshold in (0.3, 0.05))
        expected = ir_label(squares.image(image_id), *maps, class_ids, IRN)
        np.testing.assert_array_equal(read(run_dir, image_id), expected)
        assert set(np.unique(expected)) <= {0, 255, *class_ids}
        with Image.open(run_dir / "ir-labels" / f"{image_id}.png") as image:
            assert image.mode == "P"


def test_the_trimap_of_the_fuse_page_decides_by_and_and_or(recipe, squares, run_dir):
    recipe = override(
        recipe,
        {
            "fusion.gamma_cnn": 3.0,  # the Fuse page's trimap is of the maps as they are
            "ir_labels.source": "trimap",
            "ir_labels.foreground_threshold": 0.4,
            "ir_labels.background_threshold": 0.5,
        },
    )
    ir_labels(recipe, squares, run_dir, splits=["val"])
    for image_id in squares.image_ids("val"):
        cnn, vit = (CamStore(cams_dir(run_dir, name)).read(image_id) for name in ("cnn", "vit"))
        maps = cnn.full_size(), vit.full_size()
        expected = trimap(or_cam(*maps), and_cam(*maps), cnn.class_ids, 0.5, 0.4)
        np.testing.assert_array_equal(read(run_dir, image_id), expected)


def test_what_is_there_is_kept_and_what_is_damaged_made_anew(recipe, squares, run_dir):
    first, second, *_ = squares.image_ids("train")
    ir_labels(recipe, squares, run_dir)
    before = read(run_dir, first)
    (run_dir / "ir-labels" / f"{first}.png").write_bytes(b"torn")
    (run_dir / "ir-labels" / f"{second}.png").unlink()
    result = ir_labels(recipe, squares, run_dir)
    assert (result.made, result.kept) == (2, 6)
    np.testing.assert_array_equal(read(run_dir, first), before)


def test_shards_share_the_work(recipe, squares, run_dir):
    results = [ir_labels(recipe, squares, run_dir, shard=(number, 3)) for number in (1, 2, 3)]
    assert [result.made for result in results] == [3, 3, 2]
    assert ir_labels(recipe, squares, run_dir).kept == 8


def test_a_bad_image_is_listed_and_passed_over(recipe, squares, run_dir):
    bad = squares.image_ids("train")[3]
    squares.image_path_of(bad).write_bytes(b"no image")
    result = ir_labels(recipe, squares, run_dir)
    assert result.made == 7
    assert "not an image" in result.reasons[bad]


def test_labels_of_other_settings_or_maps_are_not_mixed(recipe, squares, run_dir):
    ir_labels(recipe, squares, run_dir)
    other = override(recipe, {"ir_labels.foreground_threshold": 0.5})
    with pytest.raises(StoreError, match="made with another foreground_threshold: add --anew"):
        ir_labels(other, squares, run_dir)
    assert ir_labels(other, squares, run_dir, anew=True).made == 8
    # The number of processes decides nothing.
    assert ir_labels(override(other, {"ir_labels.workers": 5}), squares, run_dir).kept == 8
    make_store(run_dir, squares, "refine", 4.0)
    with pytest.raises(StoreError, match="made with another maps_made_by"):
        ir_labels(other, squares, run_dir)


def test_without_the_crf_installed_nothing_begins(tiny_recipe, squares, run_dir, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydensecrf", None)
    with pytest.raises(ConfigError, match="pip install pydensecrf2"):
        ir_labels(tiny_recipe, squares, run_dir)
    assert not (run_dir / "ir-labels").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": ""}, "name a source"),
        ({"foreground_threshold": 1.5}, r"foreground_threshold 1.5: must lie in \[0, 1\]"),
        ({"crf": "deep"}, "choose one of irn, psa, deeplab, or leave it empty"),
        ({"workers": -1}, "must not be negative"),
    ],
)
def test_wrong_settings_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        IrLabelConfig(**changes)


def test_the_command(recipe, squares, run_dir, monkeypatch, capsys):
    import train.open_run
    from train.__main__ import main

    monkeypatch.setattr(train.open_run, "_load", lambda _: recipe)
    monkeypatch.setattr(train.open_run, "open_recipe_dataset", lambda _: squares)
    command = ["ir-labels", "--data", str(squares.root), "--run-dir", str(run_dir)]
    assert main([*command, "--split", "val", "--shard", "1/2"]) == 0
    assert "ir-labels: 2 images, 2 made now, 0 failed -> " in capsys.readouterr().out
    squares.image_path_of(squares.image_ids("train")[0]).write_bytes(b"no image")
    assert main(command) == 1
    assert f"{squares.image_ids('train')[0]}: DataError" in capsys.readouterr().err
    assert main([*command, "--anew", "--shard", "1/2"]) == 2
    assert main([*command, "--set", "ir_labels.source=walk"]) == 2
    assert "not of 'walk': make them with `python -m train walk`" in capsys.readouterr().err
