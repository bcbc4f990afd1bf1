"""`python -m train import`: from a foreign folder to a source that every later stage takes."""

import json

import numpy as np
import pytest

from orandnet_core.errors import ConfigError, StoreError
from orandnet_core.mask_store import MaskStore
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.store import CamStore
from tests.train.conftest import COLOURS, write_squares
from train.__main__ import main
from train.import_maps import recipe_of_run, target_of
from train.workspace import cams_dir, run_dir


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The squares with their own class names, in a workspace without runs."""
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "workspace"))
    root = write_squares(tmp_path / "squares")
    (root / "classes.txt").write_text("\n".join(COLOURS))
    return root


@pytest.fixture
def foreign(data, tmp_path):
    """MCTformer's way: a dict from class, counted from 0, to map."""
    from orandnet_core.datasets import voc12

    dataset = voc12(data)
    folder = tmp_path / "mctformer"
    folder.mkdir()
    for image_id in (i for ids in dataset.splits.values() for i in ids):
        mask = dataset.mask(image_id)
        maps = {int(k) - 1: np.float32(0.9) * (mask == k) for k in dataset.class_ids(image_id)}
        np.save(folder / f"{image_id}.npy", maps, allow_pickle=True)
    return folder


def run(*words) -> int:
    return main(["import", *map(str, words)])


def test_a_new_run_is_made_and_masks_come_out_of_it(data, foreign, capsys):
    assert run(foreign, "--into", "theirs/mct", "--data", data) == 0
    told = capsys.readouterr().out
    assert "a map by class" in told
    assert "train: 8 of 8 images have maps" in told
    folder = run_dir("theirs")
    assert len(CamStore(cams_dir(folder, "mct"))) == 12
    config = folder / "config.json"
    stage = ["--recipe", str(config), "--run-dir", str(folder), "--set", "masks.source=mct"]
    assert main(["masks", *stage, "--set", "masks.background_threshold=0.5", "--set", "masks.workers=1"]) == 0
    stored = CamStore(cams_dir(folder, "mct")).read("square_001")
    expected = pseudo_mask(stored.full_size(), stored.class_ids, 0.5)
    np.testing.assert_array_equal(MaskStore(folder / "masks").read("square_001"), expected)
    assert main(["score", "--recipe", str(config), "--run-dir", str(folder), "--split", "val"]) == 0
    scored = capsys.readouterr().out
    assert "mct" in scored
    assert "no_labels" not in scored  # which takes two networks


def test_two_sources_called_cnn_and_vit_are_fused(data, foreign, capsys):
    for source in ("cnn", "vit"):
        assert run(foreign, "--into", f"pair/{source}", "--data", data) == 0
    folder = run_dir("pair")
    capsys.readouterr()
    assert (
        main(["score", "--recipe", str(folder / "config.json"), "--run-dir", str(folder), "--split", "val"])
        == 0
    )
    assert {"and", "or", "mean"} <= {line.split()[1] for line in capsys.readouterr().out.splitlines()}


def test_a_dry_run_writes_nothing(data, foreign, capsys):
    assert run(foreign, "--into", "theirs/mct", "--data", data, "--dry-run") == 0
    assert not run_dir("theirs").exists()
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  square_")]
    assert len(shown) == 3
    assert all("peak 0.90" in line for line in shown)


def test_it_goes_on_where_it_was_and_lists_what_failed(data, foreign, capsys):
    spoilt = foreign / "square_003.npy"
    whole = spoilt.read_bytes()
    spoilt.write_bytes(whole[:200])
    assert run(foreign, "--into", "theirs/mct", "--data", data) == 1
    told = capsys.readouterr()
    assert "11 images, 11 made now, 1 failed" in told.out
    assert "square_003.npy: refused, it is cut short" in told.err
    spoilt.write_bytes(whole)
    assert run(foreign, "--into", "theirs/mct") == 0
    assert "12 images, 1 made now, 0 failed" in capsys.readouterr().out


def test_what_is_doubtful_stops_it_and_names_the_option(data, foreign, capsys):
    for path in foreign.iterdir():
        maps = np.load(path, allow_pickle=True)[()]
        np.save(path, {key: 10 * one for key, one in maps.items()}, allow_pickle=True)
    assert run(foreign, "--into", "theirs/mct", "--data", data) == 2
    told = capsys.readouterr().err
    assert "Values go from 0 to 9" in told
    assert "--values max: " in told
    assert not run_dir("theirs").exists()
    assert run(foreign, "--into", "theirs/mct", "--data", data, "--values", "max") == 0
    store = CamStore(cams_dir(run_dir("theirs"), "mct"))
    assert store.card["reading"]["values"] == "max"
    assert store.read("square_001").cam.max() == 1


def test_a_store_read_otherwise_is_kept_unless_anew(data, foreign, tmp_path):
    assert run(foreign, "--into", tmp_path / "elsewhere" / "cams-mct", "--data", data) == 0
    assert json.loads((tmp_path / "elsewhere" / "config.json").read_text())["data"]["root"] == str(data)
    argv = (foreign, "--into", tmp_path / "elsewhere" / "cams-mct", "--values", "max")
    assert run(*argv) == 2
    assert run(*argv, "--anew") == 0
    with pytest.raises(StoreError):
        _ = CamStore(tmp_path / "elsewhere").card


def test_targets(data, tmp_path):
    assert target_of("theirs/amn") == (run_dir("theirs"), "amn")
    assert target_of(str(tmp_path / "r" / "cams-x+y")) == (tmp_path / "r", "x+y")
    for text in ("amn", "a/b/c", "../x", "/abs/folder", "run/.hidden"):
        with pytest.raises(ConfigError, match="RUN/SOURCE"):
            target_of(text)


def test_a_run_belongs_to_its_data(data, foreign, tmp_path):
    assert run(foreign, "--into", "theirs/mct", "--data", data) == 0
    with pytest.raises(ConfigError, match="was made on .*squares"):
        recipe_of_run(run_dir("theirs"), tmp_path)
