"""Training a classifier, end to end on squares: it learns, resumes, and refuses what does not fit."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from orandnet_core.backbones import load_classifier
from orandnet_core.errors import CheckpointError, ConfigError, DataError
from train.classify import average_precisions, classifier_path, classify
from train.config import AugmentConfig, override
from train.photos import EvaluationPhotos, TrainingPhotos

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("source", ["cnn", "vit"])
def test_a_classifier_is_trained_saved_and_not_trained_again(tiny_recipe, squares, tmp_path, source):
    result = classify(tiny_recipe, source, squares, tmp_path)
    assert 0 <= result["map"] <= 1
    assert set(result["average_precision"]) == {"red", "green", "blue"}
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {"loss", "lr", "images_per_s", "memory_gb", "map", "eta_s"} <= set().union(*lines)
    assert lines[-1]["done"] == lines[-1]["total"] == 2 * 3
    path = classifier_path(tmp_path, source)
    written = path.stat().st_mtime_ns
    assert classify(tiny_recipe, source, squares, tmp_path) == result
    assert path.stat().st_mtime_ns == written
    scores = average_precisions(load_classifier(path), squares, squares.image_ids("val"), 32)
    assert np.nanmean(scores) == pytest.approx(result["map"])


def test_a_cnn_learns_the_squares(tiny_recipe, squares, tmp_path):
    recipe = override(tiny_recipe, {"cnn.epochs": 25, "cnn.learning_rate": 0.01, "data.eval_split": "train"})
    assert classify(recipe, "cnn", squares, tmp_path)["map"] > 0.95


def test_another_recipe_in_the_same_folder_is_refused(tiny_recipe, squares, tmp_path):
    classify(tiny_recipe, "cnn", squares, tmp_path)
    with pytest.raises(CheckpointError, match="another recipe or data set"):
        classify(override(tiny_recipe, {"seed": 1}), "cnn", squares, tmp_path)


def test_a_split_without_a_class_cannot_be_evaluated_on(tiny_recipe, squares, tmp_path):
    unlabelled = {image_id: np.zeros(3, np.uint8) for image_id in squares.image_ids("val")[1:]}
    labels = {each: squares.image_labels(each) for each in squares.image_ids("train")} | unlabelled
    bare = replace(squares, image_labels_by_id=labels)
    with pytest.raises(DataError, match="none of the 4 images of val has a class.*data.eval_split"):
        classify(tiny_recipe, "cnn", bare, tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_batches_that_cannot_be_shared_are_refused(tiny_recipe, squares, tmp_path, monkeypatch):
    monkeypatch.setattr("accelerate.Accelerator.num_processes", 3)
    with pytest.raises(ConfigError, match="batch_size 4 cannot be shared by 3 processes"):
        classify(tiny_recipe, "cnn", squares, tmp_path)


@pytest.mark.parametrize("long_side_px", [(), (40, 60)])
def test_augmentation_depends_on_seed_epoch_and_image_alone(squares, long_side_px):
    augment = AugmentConfig(crop_px=32, long_side_px=long_side_px)
    photos, again = (TrainingPhotos(squares, squares.image_ids("train"), augment, 5) for _ in range(2))
    first = photos[0, 3][0]
    torch.manual_seed(123)
    assert torch.equal(again[0, 3][0], first)
    assert first.shape == (3, 32, 32)
    assert first.dtype == torch.uint8
    assert not torch.equal(photos[1, 3][0], first)
    assert not torch.equal(TrainingPhotos(squares, squares.image_ids("train"), augment, 6)[0, 3][0], first)


def test_an_unreadable_image_is_passed_over(squares, caplog):
    ids = squares.image_ids("train")
    squares.image_path_of(ids[2]).write_bytes(b"not a photograph")
    image, labels = TrainingPhotos(squares, ids, AugmentConfig(crop_px=32), 0)[0, 2]
    assert image.shape == (3, 32, 32)
    np.testing.assert_array_equal(labels.numpy(), squares.image_labels(ids[3]))
    assert "passed over" in caplog.text
    assert EvaluationPhotos(squares, ids, 32)[2] is None


def test_an_image_without_labels_is_passed_over(squares):
    ids = (squares.image_ids("train")[0], "nobody_knows", squares.image_ids("train")[1])
    _, labels = TrainingPhotos(squares, ids, AugmentConfig(crop_px=32), 0)[0, 1]
    np.testing.assert_array_equal(labels.numpy(), squares.image_labels(ids[2]))
    assert EvaluationPhotos(squares, ids, 32)[1] is None


def test_average_precision_is_scikit_learns(tiny_recipe, squares, tmp_path):
    classify(tiny_recipe, "cnn", squares, tmp_path)
    model = load_classifier(classifier_path(tmp_path, "cnn"))
    ids = squares.image_ids("train")
    scores = average_precisions(model, squares, ids, 32)
    photos = EvaluationPhotos(squares, ids, 32)
    with torch.no_grad():
        predicted = torch.cat([model.predict(photos[i][0][None]) for i in range(len(ids))]).numpy()
    for k in range(3):
        truth = [squares.image_labels(image_id)[k] for image_id in ids]
        assert scores[k] == pytest.approx(average_precision_score(truth, predicted[:, k]))


TWO_RANKS = """
import sys
sys.path[:0] = [{root!r}]
import json, os, torch
from pathlib import Path
from orandnet_core.datasets import voc12
from train.classify import classify
from train.config import Recipe, from_dict
recipe = from_dict(json.loads(Path({recipe!r}).read_text()), Recipe)
torch.set_num_threads(1)
squares = voc12({squares!r}, name="squares", class_names=("red", "green", "blue"))
classify(recipe, "vit", squares, Path({run!r}))
from accelerate import PartialState
# In one piece: both processes write to the same pipe.
os.write(1, f"processes {{PartialState().num_processes}}\\n".encode())
"""


@pytest.mark.slow
def test_two_gloo_processes_train_to_the_same_loss_as_one(tiny_recipe, squares, tmp_path):
    from train.config import to_dict

    recipe = override(tiny_recipe, {"vit.patch_drop": 0.0, "vit.precision": "float32"})
    (tmp_path / "recipe.json").write_text(json.dumps(to_dict(recipe)))
    script = tmp_path / "rank.py"
    script.write_text(
        TWO_RANKS.format(
            root=str(ROOT),
            recipe=str(tmp_path / "recipe.json"),
            squares=str(squares.root),
            run=str(tmp_path / "two"),
        )
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29517"]
    done = subprocess.run([*launch, str(script)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("processes 2") == 2, "each trained alone"
    classify(recipe, "vit", squares, tmp_path / "one")
    one, two = (load_classifier(classifier_path(tmp_path / name, "vit")) for name in ("one", "two"))
    for ours, theirs in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


def test_bfloat16_trains_on_a_cpu_when_it_is_asked_for(tiny_recipe, squares, tmp_path):
    recipe = override(tiny_recipe, {"cnn.precision": "bfloat16", "cnn.epochs": 1})
    assert np.isfinite(classify(recipe, "cnn", squares, tmp_path)["map"])
