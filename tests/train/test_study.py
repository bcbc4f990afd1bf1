"""Networks on the masks of several sources, with each curriculum, over seeds: which runs, which rows."""

import json
import shutil

import pytest

from orandnet_core.errors import ConfigError
from tests.train.maps import make_store
from tests.train.test_segment import TINY
from train.config import override
from train.segmentations import compare_segmentations
from train.study import Arm, arms_of, share, study

CURRICULA = ("none", "scale", "equal_compute")


def scored_row(source: str, miou: float, threshold: float, rule: str = "calibrated", split: str = "train"):
    return {
        "source": source, "split": split, "threshold_rule": rule, "miou": miou, "threshold": threshold,
    }  # fmt: skip


SCORED = [
    scored_row("cnn", 0.4, 0.3),
    scored_row("vit", 0.5, 0.6),
    scored_row("mean", 0.6, 0.4),
    scored_row("walk", 0.7, 0.2),
    scored_row("cnn", 0.9, 0.9, rule="oracle"),
    scored_row("cnn", 0.9, 0.8, split="val"),
]


@pytest.fixture
def recipe(tiny_recipe):
    small = TINY | {"segment.masks": "masks", "segment.epochs": 2, "evaluate.scales": (1.0,)}
    return override(tiny_recipe, small | {"evaluate.flip": False, "masks.workers": 1})


@pytest.fixture
def base_dir(squares, tmp_path, monkeypatch):
    """A run with maps, as far as a study needs it."""
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "workspace"))
    folder = tmp_path / "runs" / "base"
    for source, blur_px in (("cnn", 3.0), ("vit", 5.0), ("walk", 2.0)):
        make_store(folder, squares, source, blur_px)
    return folder


def test_arms_are_every_source_curriculum_and_seed_a_seed_at_a_time(recipe):
    arms = arms_of(recipe, SCORED, ["best", "mean", "walk"], CURRICULA, seeds=2)
    assert len(set(arms)) == 3 * 3 * 2
    assert [arm.seed for arm in arms] == [0] * 9 + [1] * 9
    # The better network, at the thresholds calibrated on the first split, not at any oracle's.
    assert {arm.source: arm.threshold for arm in arms} == {"vit": 0.6, "mean": 0.4, "walk": 0.2}


def test_a_source_that_is_best_and_named_counts_once(recipe):
    assert len(arms_of(recipe, SCORED, ["best", "vit"], ["none"], seeds=1)) == 1


def test_a_source_that_was_not_scored_is_refused(recipe):
    with pytest.raises(ConfigError, match="'crf': choose best, or among cnn, vit, mean, walk"):
        arms_of(recipe, SCORED, ["crf"], CURRICULA, seeds=1)


@pytest.mark.parametrize(
    ("source", "curriculum", "name"),
    [
        ("walk", "none", "segment"),
        ("walk", "scale", "segment+curriculum"),
        ("cnn", "none", "segment-cnn"),
        ("mean", "equal_compute", "segment-mean+equal-compute"),
    ],
)
def test_rows_start_with_the_stage(source, curriculum, name):
    assert Arm(source=source, threshold=0.3, curriculum=curriculum, seed=0).row_name("walk") == name


def test_a_study_trains_every_arm_and_compares_them(recipe, squares, base_dir):
    arms = [
        Arm(source=source, threshold=0.3, curriculum=curriculum, seed=seed)
        for seed in (0, 1)
        for source, curriculum in (("cnn", "none"), ("walk", "scale"))
    ]
    ran = []
    *_, rows = study(
        recipe, squares, base_dir, arms, split="val", announce=lambda arm, step: ran.append(step.stage.name)
    )
    assert ran == ["masks", "segment", "evaluate"] * 4
    folders = {name: [base_dir.with_name(f"base-{name}-{seed}") for seed in (0, 1)]
               for name in ("cnn-none", "walk-scale")}  # fmt: skip
    named = {"segment-cnn": folders["cnn-none"], "segment+curriculum": folders["walk-scale"]}
    assert rows == compare_segmentations(squares, "val", named)
    assert [row["seeds"] for row in rows] == [2, 2]
    assert "miou_minus_segment-cnn" in rows[1]
    config = json.loads((folders["walk-scale"][1] / "config.json").read_text())
    assert (config["seed"], config["masks"]["source"]) == (1, "walk")
    ran.clear()
    *_, again = study(
        recipe, squares, base_dir, arms, split="val", announce=lambda arm, step: ran.append(step.stage.name)
    )
    assert (ran, again) == ([], rows)


def test_runs_of_a_study_share_maps_and_deleting_one_leaves_them(recipe, base_dir):
    folder = base_dir.with_name("base-cnn-none-0")
    share(recipe, base_dir, folder)
    assert (folder / "cams-cnn" / "card.json").is_file()
    assert not (folder / "masks").exists()
    shutil.rmtree(folder)
    assert (base_dir / "cams-cnn" / "card.json").is_file()


def test_a_split_that_is_not_evaluated_is_refused(recipe, squares, base_dir):
    with pytest.raises(ConfigError, match="'train': evaluated are val"):
        next(study(recipe, squares, base_dir, [], split="train"))
