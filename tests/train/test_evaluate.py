"""Evaluation on squares: scores are those of scikit-learn, predictions resume, files are what VOC takes."""

import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import confusion_matrix

from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError, DataError, StoreError, WeightsError
from orandnet_core.labels import voc_palette
from orandnet_core.mask_store import MaskStore
from orandnet_core.segmentation import (
    SegmentationNetwork,
    build_segmenter,
    class_scores,
    load_segmenter,
    save_segmenter,
    segment,
)
from train.config import EvaluateConfig, override
from train.evaluate import Inference, evaluate, inferences, result_rows
from train.open_run import write_config
from train.predictions import mean_of, score_predictions
from train.results import read_rows, write_rows
from train.results_page import markdown
from train.segment import network_path
from train.segmentations import compare_segmentations
from train.voc_submission import write_submission

NETWORK = SegmentationNetwork(
    architecture="deeplabv3plus", encoder="test_resnet", class_names=("red", "green", "blue")
)


def make_run(run_dir, seed=0, network=NETWORK):
    """A run whose network is as good as its random start."""
    torch.manual_seed(seed)
    save_segmenter(network_path(run_dir), build_segmenter(network))
    result = {"images": 8, "steps": 6, "pixels": 6_000_000, "seconds": 10.0 + seed, "identity": "x"}
    network_path(run_dir).with_name("result.json").write_text(json.dumps(result))
    return run_dir


@pytest.fixture
def recipe(tiny_recipe):
    return override(tiny_recipe, {"evaluate.scales": (0.5, 1.0), "segment.curriculum.kind": "scale"})


@pytest.fixture
def run_dir(tmp_path):
    return make_run(tmp_path / "run")


def scored(run_dir):
    scores = json.loads((run_dir / "evaluate" / "result.json").read_text())["scores"]
    return {(row["split"], row["threshold_rule"]): row for row in scores}


def by_hand(dataset, split, store):
    """(precision, recall, IoU) per class, NaN for classes without pixels; scikit-learn counts."""
    total = np.zeros((4, 4), int)
    for image_id in dataset.image_ids(split):
        target, prediction = dataset.mask(image_id).ravel(), store.read(image_id).ravel()
        counted = target != 255
        total += confusion_matrix(target[counted], prediction[counted], labels=range(4))
    true, predicted, target = np.diagonal(total), total.sum(0), total.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(predicted > 0, true / predicted, 0)
        scores = precision, true / target, true / (predicted + target - true)
    return [np.where(target > 0, score, np.nan) for score in scores]


def test_scores_are_those_of_a_brute_force_confusion(recipe, squares, run_dir):
    ignored = squares.mask(squares.image_ids("val")[0]).copy()
    ignored[:20] = 255
    Image.fromarray(ignored).save(squares.mask_path_of(squares.image_ids("val")[0]))
    made = evaluate(recipe, squares, run_dir)
    assert (made.made, made.kept, made.failed) == (8, 0, ())
    found = scored(run_dir)
    rules = {
        ("val", "argmax, scales 0.5 1, mirrored"): "val",
        ("val", "argmax, one scale"): "val-single",
    }
    assert set(found) == set(rules)
    for key, folder in rules.items():
        row = found[key]
        precision, recall, iou = by_hand(squares, "val", MaskStore(run_dir / "evaluate" / folder))
        assert row["miou"] == pytest.approx(np.nanmean(iou))
        assert row["precision"] == pytest.approx(np.nanmean(precision))
        assert row["recall"] == pytest.approx(np.nanmean(recall))
        assert row["miou_low"] <= row["miou"] <= row["miou_high"]
        assert row["per_class"]["background"]["iou"] == pytest.approx(iou[0])
        assert list(row["per_class"]) == ["background", "red", "green", "blue"]
        card = {"dataset": "squares", "images": 4, "skipped": 0, "num_classes": 4, "threshold": None}
        assert card.items() <= row.items()
        assert row["data_hash"] == squares.fingerprint("val")


def test_predictions_are_palette_pngs_of_what_the_network_says(recipe, squares, run_dir):
    evaluate(recipe, squares, run_dir)
    segmenter = load_segmenter(network_path(run_dir))
    image_id = squares.image_ids("val")[1]
    photo = squares.image(image_id)
    for folder, how in (("val", {"scales": (0.5, 1.0), "flip": True}), ("val-single", {})):
        with Image.open(run_dir / "evaluate" / folder / f"{image_id}.png") as png:
            assert png.mode == "P"
            assert png.getpalette() == voc_palette().ravel().tolist()
            np.testing.assert_array_equal(np.asarray(png), segment(segmenter, photo, **how))


def test_it_goes_on_where_it_was_and_mixes_nothing(recipe, squares, run_dir):
    evaluate(recipe, squares, run_dir)
    ids = squares.image_ids("val")
    store = MaskStore(run_dir / "evaluate" / "val")
    store.path_of(ids[0]).unlink()
    store.path_of(ids[1]).write_bytes(b"damaged")
    first = scored(run_dir)
    again = evaluate(recipe, squares, run_dir)
    assert (again.made, again.kept) == (2, 6)
    assert scored(run_dir) == first
    make_run(run_dir, seed=1)
    with pytest.raises(StoreError, match="another weights_sha256.*--anew"):
        evaluate(recipe, squares, run_dir)
    assert evaluate(recipe, squares, run_dir, anew=True).made == 8
    with pytest.raises(StoreError, match="another flip, rule"):
        evaluate(override(recipe, {"evaluate.flip": False}), squares, run_dir)


def test_scores_of_other_splits_stay_as_long_as_they_are_of_this_network(recipe, squares, run_dir):
    evaluate(recipe, squares, run_dir)
    val = scored(run_dir)
    evaluate(recipe, squares, run_dir, splits=["train"])
    both = scored(run_dir)
    assert val.items() < both.items()
    assert {split for split, _ in both} == {"val", "train"}
    assert json.loads((run_dir / "evaluate" / "result.json").read_text())["splits"] == ["val", "train"]
    rows = result_rows(recipe, run_dir, ["train"], "c")
    assert [row["split"] for row in rows] == ["train", "train"]
    evaluate(recipe, squares, run_dir)
    assert scored(run_dir) == both
    relabelled = replace(squares, splits={**squares.splits, "val": squares.image_ids("val")[1:]})
    evaluate(recipe, relabelled, run_dir, splits=["train"])
    assert {split for split, _ in scored(run_dir)} == {"train"}
    make_run(run_dir, seed=1)
    evaluate(recipe, squares, run_dir, splits=["val"], anew=True)
    assert {split for split, _ in scored(run_dir)} == {"val"}


def test_shards_leave_the_scores_to_a_whole_pass(recipe, squares, run_dir):
    parts = [evaluate(recipe, squares, run_dir, shard=(number, 2)) for number in (1, 2)]
    assert [part.made for part in parts] == [4, 4]
    assert not (run_dir / "evaluate" / "result.json").exists()
    assert evaluate(recipe, squares, run_dir).kept == 8
    assert len(scored(run_dir)) == 2


def test_one_bad_photograph_stops_nothing(recipe, squares, run_dir):
    bad = squares.image_ids("val")[2]
    squares.image_path_of(bad).write_bytes(b"not a photograph")
    made = evaluate(recipe, squares, run_dir)
    assert made.failed == (bad,)
    assert {(row["images"], row["skipped"]) for row in scored(run_dir).values()} == {(3, 1)}


def test_a_plain_config_is_evaluated_once():
    plain = EvaluateConfig(scales=(1.0,), flip=False)
    assert inferences(plain) == (Inference("", plain),)
    assert [each.suffix for each in inferences(EvaluateConfig())] == ["", "-single"]
    assert (
        Inference("", EvaluateConfig(crf="deeplab")).rule
        == "argmax, scales 0.5 0.75 1, mirrored, CRF deeplab"
    )


def test_the_crf_is_called_on_the_likely_classes(recipe, squares, run_dir, monkeypatch):
    calls = []

    def crf_scores(image, scores, preset):
        calls.append((scores.shape, preset.name))
        return scores[::-1]  # what it says is taken, class by class

    monkeypatch.setattr("train.evaluate.crf_scores", crf_scores)
    with_crf = override(
        recipe, {"evaluate.crf": "deeplab", "evaluate.scales": (1.0,), "evaluate.flip": False}
    )
    evaluate(with_crf, squares, run_dir)
    assert len(calls) == 4
    assert {name for _, name in calls} == {"deeplab"}
    image_id = squares.image_ids("val")[0]
    scores = class_scores(load_segmenter(network_path(run_dir)), squares.image(image_id))
    likely = np.flatnonzero(scores.max((1, 2)) >= 0.05)
    expected = likely[scores[likely][::-1].argmax(0)]
    np.testing.assert_array_equal(MaskStore(run_dir / "evaluate" / "val").read(image_id), expected)
    assert "argmax, one scale, CRF deeplab" in {rule for _, rule in scored(run_dir)}


@pytest.mark.parametrize(
    ("overrides", "network", "error", "message"),
    [
        ({"evaluate.crf": "sharp"}, NETWORK, ConfigError, "no CRF preset 'sharp'"),
        ({}, None, WeightsError, "no such file.*train segment"),
        ({"evaluate.splits": ("nowhere",)}, NETWORK, DataError, "no split 'nowhere'"),
    ],
)
def test_what_is_missing_is_told(recipe, squares, tmp_path, overrides, network, error, message):
    run_dir = make_run(tmp_path / "run") if network else tmp_path
    with pytest.raises(error, match=message):
        evaluate(override(recipe, overrides), squares, run_dir)


def test_a_network_of_other_classes_is_refused(recipe, squares, tmp_path):
    import dataclasses

    other = dataclasses.replace(NETWORK, class_names=("cat", "dog", "cow"))
    with pytest.raises(ConfigError, match="knows 3 classes"):
        evaluate(recipe, squares, make_run(tmp_path / "run", network=other))


@pytest.fixture
def unmasked(squares) -> Dataset:
    """The squares with a split `test` that has no masks."""
    ids = squares.image_ids("val")
    for image_id in ids:
        squares.mask_path_of(image_id).unlink()
    (squares.root / "ImageSets" / "Segmentation" / "test.txt").write_text("\n".join(ids))
    (squares.root / "classes.txt").write_text("red\ngreen\nblue\n")
    return squares


@pytest.mark.parametrize("competition", ["comp5", "comp6"])
def test_the_submission_has_the_servers_layout(recipe, unmasked, run_dir, tmp_path, capsys, competition):
    from train.__main__ import main
    from train.config import to_dict

    (tmp_path / "recipe.json").write_text(json.dumps(to_dict(recipe)))
    archive = tmp_path / "out" / "results.tgz"
    words = ["evaluate", "--recipe", str(tmp_path / "recipe.json"), "--data", str(unmasked.root)]
    words += ["--run-dir", str(run_dir), "--split", "test", "--submission", str(archive)]
    assert main([*words, "--competition", competition]) == 0
    assert f"4 predictions -> {archive}" in capsys.readouterr().out
    assert json.loads((run_dir / "evaluate" / "result.json").read_text())["scores"] == []
    with tarfile.open(archive) as packed:
        names = packed.getnames()
        folder = f"results/VOC2012/Segmentation/{competition}_test_cls"
        ids = unmasked.image_ids("val")
        assert names == [f"{folder}/{image_id}.png" for image_id in sorted(ids)]
        with Image.open(packed.extractfile(names[0])) as png:
            assert png.mode == "P"
            np.testing.assert_array_equal(
                np.asarray(png), MaskStore(run_dir / "evaluate" / "test").read(ids[0])
            )


def test_a_submission_that_lacks_an_image_is_refused(tmp_path):
    store = MaskStore(tmp_path / "test")
    store.write("a", np.zeros((2, 2), np.uint8))
    with pytest.raises(StoreError, match="no prediction of b.*all 2 or none"):
        write_submission(tmp_path / "x.tgz", store, ["a", "b"])
    with pytest.raises(ConfigError, match="choose one of"):
        write_submission(tmp_path / "x.tgz", store, ["a"], "comp7")
    assert not (tmp_path / "x.tgz").exists()


def test_rows_go_into_the_results_and_their_page(recipe, squares, run_dir, tmp_path):
    evaluate(recipe, squares, run_dir)
    rows = result_rows(recipe, run_dir, ["val"], "python -m train evaluate")
    assert {row["source"] for row in rows} == {"segment+curriculum"}
    assert all("per_class" not in row and row["pixels"] == 6_000_000 for row in rows)
    path = tmp_path / "results.json"
    write_rows(path, rows)
    write_rows(path, rows)
    assert len(read_rows(path)) == 2
    page = path.with_suffix(".md").read_text()
    assert "**argmax, one scale** (4 images scored, 0 passed over)" in page
    assert f"| segment+curriculum | 1 | 6 | {100 * rows[0]['miou']:.1f} [" in page


def test_networks_are_compared_over_seeds_and_paired(recipe, squares, tmp_path):
    runs = [make_run(tmp_path / f"run{seed}", seed) for seed in range(4)]
    for run in runs:
        evaluate(recipe, squares, run)
    first, second = compare_segmentations(
        squares, "val", {"segment": runs[:2], "segment+curriculum": runs[2:]}, "-single"
    )
    each = [scored(run)["val", "argmax, one scale"]["miou"] for run in runs]
    assert first["miou_by_seed"] == pytest.approx(each[:2])
    assert first["miou"] == pytest.approx(np.mean(each[:2]))
    assert first["threshold_rule"] == "argmax, one scale"
    assert (first["seeds"], first["training_s"]) == (2, 10.5)
    gain = np.mean(each[2:]) - np.mean(each[:2])
    assert second["miou_minus_segment"] == pytest.approx(gain)
    assert second["miou_minus_segment_low"] <= gain <= second["miou_minus_segment_high"]
    # The same resamples: the interval is that of the difference of the means, image by image.
    stores = [MaskStore(run / "evaluate" / "val-single") for run in runs]
    resampled = [
        score_predictions(squares, "val", store, source="s", source_hash="", rule="").resampled()
        for store in stores
    ]
    paired = mean_of(resampled[2:]).at("iou", 0.5)[1:] - mean_of(resampled[:2]).at("iou", 0.5)[1:]
    assert second["miou_minus_segment_low"] == pytest.approx(np.quantile(paired, 0.025))
    rows = [row | {"recipe": "tiny", "command": "x"} for row in (first, second)]
    assert "| segment+curriculum | segment | " in markdown(rows)
    with pytest.raises(StoreError, match="not readable"):
        compare_segmentations(squares, "train", {"segment": runs[:1]})


def test_networks_are_compared_on_the_data_of_the_first_run(recipe, squares, run_dir, tmp_path, capsys):
    from train.__main__ import main

    (squares.root / "classes.txt").write_text("red\ngreen\nblue\n")
    write_config(override(recipe, {"name": "own", "data.root": str(squares.root)}), run_dir)
    evaluate(recipe, squares, run_dir)
    results = tmp_path / "results.json"
    words = ["--row", f"segment={run_dir}", "--single", "--results", str(results)]
    assert main(["segmentations", *words]) == 0
    (row,) = read_rows(results)
    assert (row["dataset"], row["recipe"]) == ("voc12", "own")
    assert row["command"] == "python -m train segmentations --row segment=<run> --single"
