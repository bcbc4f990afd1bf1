"""Scores of a run: rows that say how they were come by, and the same figures by another way."""

import json

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from orandnet_core.fusion import Fusion, fuse
from orandnet_core.metrics import thresholds
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.scoring import score, score_pair, store_source
from orandnet_core.store import CamStore
from pages.components.scores import STANDARD
from train.__main__ import main
from train.config import override
from train.open_run import write_config
from train.results import read_rows, write_rows
from train.results_page import markdown
from train.score import score_run
from train.workspace import cache_dir, cams_dir


@pytest.fixture
def scored(tiny_recipe, squares, tmp_path, monkeypatch):
    """A run whose CAMs are the truth under noise, and its rows."""
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "workspace"))
    rng = np.random.default_rng(0)
    for source, noise in (("cnn", 0.5), ("vit", 0.8)):
        store = CamStore(cams_dir(tmp_path / "run", source))
        store.write_card({"source": source, "dataset": squares.name})
        for image_id in (*squares.image_ids("train"), *squares.image_ids("val")):
            mask, class_ids = squares.mask(image_id), squares.class_ids(image_id)
            truth = (mask == class_ids[:, None, None]).astype(np.float32)
            cam = (1 - noise) * truth + noise * rng.random(truth.shape, np.float32)
            store.write(image_id, cam, class_ids, mask.shape)
    rows = score_run(
        tiny_recipe,
        squares,
        tmp_path / "run",
        ["train", "val"],
        calibrate_on="train",
        command="the command",
        fused=("mean", "or", "and"),
    )
    return rows, tmp_path / "run"


@pytest.fixture
def further(scored, tiny_recipe, squares, caplog):
    """The rows once the run has more stores: one that lacks an image, and two that are not scored."""
    _, run_dir = scored
    lacking = squares.image_ids("train")[2]
    for source in ("refine", "or", "half"):
        store = CamStore(cams_dir(run_dir, source))
        store.write_card({"source": "what its card says", "dataset": squares.name})
        for image_id in (*squares.image_ids("train"), *squares.image_ids("val")):
            cnn = CamStore(cams_dir(run_dir, "cnn")).read(image_id)
            if image_id != lacking and (source != "half" or image_id in squares.image_ids("train")):
                store.write(image_id, cnn.cam**2, cnn.class_ids, cnn.size_hw)
    caplog.clear()
    return score_run(
        tiny_recipe,
        squares,
        run_dir,
        ["train", "val"],
        calibrate_on="train",
        command="the command",
        fused=("mean", "or", "and"),
    ), caplog.text


def row_of(rows, **wanted):
    (row,) = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return row


def test_every_source_is_scored_on_every_split_by_every_rule(scored):
    rows, _ = scored
    assert len(rows) == 2 * 3 * 5
    assert {row["source"] for row in rows} == {"cnn", "vit", "mean", "or", "and"}
    for row in rows:
        assert row["miou_low"] <= row["miou"] <= row["miou_high"]
        assert row["command"] == "the command"
        assert row["images"] + row["skipped"] <= 8


def test_a_row_equals_scikit_learns_confusion_at_its_threshold(scored, squares):
    rows, run_dir = scored
    row = row_of(rows, split="val", source="or", threshold_rule="oracle")
    stores = [CamStore(cams_dir(run_dir, source)) for source in ("cnn", "vit")]
    total = np.zeros((4, 4), int)
    for image_id in squares.image_ids("val"):
        cnn, vit = (store.read(image_id) for store in stores)
        fused = fuse(cnn.full_size(), vit.full_size(), Fusion("or"))
        predicted = pseudo_mask(fused, cnn.class_ids, row["threshold"])
        total += confusion_matrix(squares.mask(image_id).ravel(), predicted.ravel(), labels=range(4))
    shown = total.sum(1) > 0
    iou = total.diagonal() / (total.sum(0) + total.sum(1) - total.diagonal())
    assert row["miou"] == pytest.approx(iou[shown].mean())
    assert row["recall"] == pytest.approx((total.diagonal() / total.sum(1))[shown].mean())


def test_every_further_store_of_a_run_is_a_source_beside_the_others(further, scored, squares):
    (rows, warnings), (before, run_dir) = further, scored
    assert [row for row in rows if row["source"] != "refine"] == before
    assert {row["source"] for row in rows} == {"cnn", "vit", "mean", "or", "and", "refine"}
    assert len(rows) == len(before) + 2 * 3
    assert "cams-half is not scored: it has no image of val" in warnings

    row = row_of(rows, split="train", source="refine", threshold_rule="oracle")
    assert (row["images"], row["skipped"]) == (7, 1)
    store, total = CamStore(cams_dir(run_dir, "refine")), np.zeros((4, 4), int)
    ids = [image_id for image_id in squares.image_ids("train") if image_id in store]
    for image_id in ids:
        stored = store.read(image_id)
        predicted = pseudo_mask(stored.full_size(), stored.class_ids, row["threshold"])
        total += confusion_matrix(squares.mask(image_id).ravel(), predicted.ravel(), labels=range(4))
    iou = total.diagonal() / (total.sum(0) + total.sum(1) - total.diagonal())
    assert row["miou"] == pytest.approx(iou.mean())

    # A difference is over the images that both have.
    cnn = row_of(rows, split="train", source="cnn", threshold_rule="oracle")
    source = store_source(CamStore(cams_dir(run_dir, "cnn")))
    cnn_there, _ = score(squares, "train", source, image_ids=ids).at(thresholds.fixed(cnn["threshold"]))
    assert row["miou_minus_cnn"] == pytest.approx(row["miou"] - cnn_there.mean_iou)
    assert row["miou_minus_cnn"] != pytest.approx(row["miou"] - cnn["miou"])


def test_a_calibrated_threshold_is_scored_on_images_it_has_not_seen(scored):
    rows, _ = scored
    on_train = row_of(rows, split="train", source="cnn", threshold_rule="calibrated")
    on_val = row_of(rows, split="val", source="cnn", threshold_rule="calibrated")
    assert (on_train["annotated"], on_train["images"]) == (4, 4)
    assert on_val["images"] == 4
    assert on_val["threshold"] == on_train["threshold"]
    assert on_train["regret"] >= 0


def test_no_row_without_masks_calls_itself_by_a_rule_that_saw_them(scored):
    rows, _ = scored
    for row in rows:
        if row["threshold_rule"] == "no_labels":
            assert "no masks" in row["chosen_on"]


def test_differences_are_paired_and_signed(scored):
    rows, _ = scored
    fused = row_of(rows, split="train", source="and", threshold_rule="oracle")
    cnn = row_of(rows, split="train", source="cnn", threshold_rule="oracle")
    assert fused["miou_minus_cnn"] == pytest.approx(fused["miou"] - cnn["miou"])
    assert fused["miou_minus_cnn_low"] <= fused["miou_minus_cnn"] <= fused["miou_minus_cnn_high"]
    assert "miou_minus_cnn" not in cnn


def test_rows_replace_their_like_and_make_the_page(scored, tmp_path):
    rows, _ = scored
    path = tmp_path / "docs" / "results.json"
    write_rows(path, rows)
    write_rows(path, [rows[0] | {"miou": 0.123}])
    again = read_rows(path)
    assert len(again) == len(rows)
    assert again[0]["miou"] == 0.123
    page = path.with_suffix(".md").read_text()
    assert page == markdown(again)
    assert "| cnn |" in page
    assert "12.3" in page
    assert json.loads(path.read_text()) == again


def test_the_rows_of_a_network_say_how_well_it_classifies(tiny_recipe, squares, scored):
    _, run_dir = scored
    folder = run_dir / "classify-cnn"
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps({"map": 0.5, "seconds": 90, "eval_split": "val"}))
    rows = score_run(tiny_recipe, squares, run_dir, ["train", "val"], calibrate_on="train", command="c")
    told = [(row["split"], row["source"], row["map"]) for row in rows if "map" in row]
    assert told == [("val", "cnn", 0.5)] * 3
    assert "cnn classifier: mAP 50.0\n" in markdown(rows)


def test_the_command_uses_the_runs_own_config_and_leaves_it(tiny_recipe, squares, scored, tmp_path):
    _, run_dir = scored
    changed = {"name": "own", "data.root": str(squares.root), "cnn.epochs": 7, "masks.source": "amn"}
    write_config(override(tiny_recipe, changed), run_dir)
    (squares.root / "classes.txt").write_text("red\ngreen\nblue\n")
    before = (run_dir / "config.json").read_bytes()
    results = tmp_path / "results.json"
    words = ["--split", "val", "--calibrate-on", "train", "--set", "fusion.gamma_cnn=2"]
    assert main(["score", "--run-dir", str(run_dir), *words, "--results", str(results)]) == 0
    assert (run_dir / "config.json").read_bytes() == before
    assert {(row["recipe"], row["split"]) for row in read_rows(results)} == {("own", "val")}
    assert {row["command"] for row in read_rows(results)} == {
        "python -m train score --run-dir <run> --split val --calibrate-on train --set fusion.gamma_cnn=2"
    }


def test_its_counts_are_those_that_the_pages_look_for(scored, squares):
    """What was scored in a shell is there when a page asks, with every rule."""
    _, run_dir = scored
    cnn, vit = (store_source(CamStore(cams_dir(run_dir, source)), source) for source in ("cnn", "vit"))
    reports = []
    score_pair(
        squares, "train", cnn, vit, STANDARD, cache_dir=cache_dir() / "scores",
        progress=lambda *report: reports.append(report),
    )  # fmt: skip
    assert not reports
