"""A run's stages: what runs, what does not, why, and what is kept of it."""

import json
import sys
from dataclasses import replace
from types import ModuleType

import pytest

from orandnet_core.errors import ConfigError, StoreError
from train import plan as planning
from train import provenance, stages
from train import run as running
from train.config import override
from train.inputs import photographs
from train.per_image import Made
from train.records import StageRecord, read_record, write_record
from train.run_cli import _tell
from train.stages import Stage


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def pipeline(monkeypatch, tmp_path, calls):
    """Three stages in place of the real ones: `learn` on train, `draw` from it, `judge` from that.

    Each notes its call and writes a file; `draw` fills a store too, and its `failing` images fail;
    `judge` finds the disk `full`.
    """
    module = ModuleType("tests.pipeline")
    module.failing, module.full = {}, False

    def learn(recipe, source, dataset, run_dir):
        calls.append(f"learn {source} {recipe.cnn.epochs}")
        (run_dir / "learn" / "weights").write_text(str(recipe.cnn.epochs))
        return {"map": 0.5, "images": 4, "eval_split": "val", "seconds": 12.0}

    def draw(recipe, dataset, run_dir):
        calls.append("draw")
        (run_dir / "draw" / "drawn").write_text("")
        store = run_dir / "cams-drawn"
        store.mkdir(exist_ok=True)
        (store / "card.json").write_text("{}")
        return Made(made=3, kept=0, reasons=dict(module.failing))

    def judge(recipe, dataset, run_dir):
        calls.append("judge")
        if module.full:
            raise StoreError("No space left on device")
        (run_dir / "judge" / "table").write_text("")
        return Made(made=1, kept=0)

    module.learn, module.draw, module.judge = learn, draw, judge
    monkeypatch.setitem(sys.modules, "tests.pipeline", module)
    source = tmp_path / "code" / "tests" / "pipeline.py"
    source.parent.mkdir(parents=True)
    source.write_text("A = 1")
    monkeypatch.setattr(stages, "ROOT", tmp_path / "code")
    module.source = source
    shared = {"modules": ("tests.pipeline",), "splits": lambda recipe: (recipe.data.train_split,)}
    table = [
        Stage(
            name="learn", title="Learn", function="tests.pipeline:learn", arguments=("cnn",),
            parts=lambda recipe: ("cnn",), result="weights",
            weights=lambda recipe: ((recipe.cnn.model, recipe.cnn.weights),), **shared,
        ),
        Stage(
            name="draw", title="Draw", function="tests.pipeline:draw", reads=lambda recipe: ("learn",),
            parts=lambda recipe: ("cnn_cams",), result="drawn", stores=("cams-drawn",), **shared,
        ),
        Stage(
            name="judge", title="Judge", function="tests.pipeline:judge", reads=lambda recipe: ("draw",),
            parts=lambda recipe: ("fusion.rule",), result="table", **shared,
        ),
    ]  # fmt: skip
    monkeypatch.setattr(stages, "STAGES", {stage.name: stage for stage in table})
    stages.code_version.cache_clear()
    yield module
    stages.code_version.cache_clear()


@pytest.fixture
def go(pipeline, tiny_recipe, squares, tmp_path):
    """Run; returns the reasons that were announced, by stage, and the results."""

    def run(changes=None, dataset=squares, **how):
        stages.code_version.cache_clear()
        said = {}
        results = list(
            running.run(
                override(tiny_recipe, changes or {}),
                dataset,
                tmp_path / "run",
                announce=lambda step: said.update({step.stage.name: step.why}),
                **how,
            )
        )
        assert {result.stage for result in results if result.ran} == set(said)
        return said, results

    return run


def test_all_run_once_and_then_none(go, calls, tmp_path):
    said, results = go()
    assert said == dict.fromkeys(("learn", "draw", "judge"), "not made yet")
    assert calls == ["learn cnn 3", "draw", "judge"]
    assert results[0].summary == "mAP 50.0 on 4 images of val"
    assert results[1].summary == "3 images, 3 made now, 0 failed"
    said, results = go()
    assert said == {}
    assert len(calls) == 3
    assert [result.summary for result in results][0] == "mAP 50.0 on 4 images of val"


def test_a_record_says_all(go, squares, tmp_path):
    go()
    record = read_record(tmp_path / "run", "draw")
    assert record.finished_s >= record.began_s > 1e9
    assert record.seconds >= 0
    assert record.seed == 0
    assert record.config["cnn_cams.method"] == "cam"
    assert set(record.code) == {"tests.pipeline"}
    assert record.inputs == {
        "learn": read_record(tmp_path / "run", "learn").key,
        "images of train": squares.fingerprint("train"),
        "photographs of train": photographs(squares, "train"),
    }
    assert record.outputs == ["draw", "cams-drawn"]
    assert read_record(tmp_path / "run", "learn").seconds == 12.0, "the training knows better"


def test_a_record_says_by_what_and_other_versions_are_a_note(go, calls, tmp_path, monkeypatch, capsys):
    versions = {"torch": "1.0"}
    monkeypatch.setattr(running, "provenance", lambda: dict(versions))
    monkeypatch.setattr(provenance, "provenance", lambda: dict(versions))
    go()
    assert read_record(tmp_path / "run", "learn").provenance == {"torch": "1.0"}
    versions["torch"] = "2.0"
    said, results = go()
    assert (said, len(calls)) == ({}, 3)
    assert [result.note for result in results] == ["torch 1.0 -> 2.0"] * 3
    _tell(results[0])
    assert capsys.readouterr().out == (
        "learn: mAP 50.0 on 4 images of val (unchanged; torch 1.0 -> 2.0 since)\n"
    )


def test_what_changed_is_said_and_what_follows_is_made_anew(go, calls):
    go()
    said, _ = go({"cnn.epochs": 8})
    assert said == {
        "learn": "its config changed (epochs 3 -> 8)",
        "draw": "its input changed (learn)",
        "judge": "its input changed (draw)",
    }
    said, _ = go({"cnn.epochs": 8, "fusion.rule": "or"})
    assert said == {"judge": "its config changed (rule and -> or)"}
    assert calls[6:] == ["judge"]


def test_many_changes_are_counted(go):
    go()
    changes = {"cnn.epochs": 4, "cnn.eval_px": 16, "cnn.weight_decay": 0.5, "cnn.augment.crop_px": 64}
    said, _ = go(changes)
    assert said["learn"] == (
        "its config changed (augment.crop_px 32 -> 64, epochs 3 -> 4, eval_px 32 -> 16, 1 more)"
    )


def test_seed_images_and_weights_are_inputs(go, squares, tmp_path, monkeypatch):
    go()
    assert go({"seed": 1})[0]["learn"] == "the seed changed (0 -> 1)"
    less = replace(squares, splits={**squares.splits, "train": squares.image_ids("train")[1:]})
    why = go({"seed": 1}, less)[0]["judge"]
    assert why == "its input changed (draw, images of train, photographs of train)"
    weights = tmp_path / "start.safetensors"
    weights.write_bytes(b"a")
    go({"cnn.weights": str(weights)})
    assert go({"cnn.weights": str(weights)})[0] == {}
    weights.write_bytes(b"b")
    assert go({"cnn.weights": str(weights)})[0]["learn"] == "its input changed (weights of test_resnet)"


def test_other_code_makes_anew_unless_it_is_trusted(go, pipeline, calls):
    go()
    pipeline.source.write_text("A = 1  # a comment")
    assert go()[0] == {}
    pipeline.source.write_text("A = 2")
    assert go(trust_code=True)[0] == {}
    assert go({"fusion.rule": "or"}, trust_code=True)[0] == {"judge": "its config changed (rule and -> or)"}
    assert len(calls) == 4
    said, _ = go({"fusion.rule": "or"})
    assert said["learn"] == "its code changed (tests.pipeline; --trust-code keeps what it made)"
    assert said["draw"] == f"{said['learn']}; its input changed (learn)"


def test_what_is_made_anew_leaves_nothing_of_the_old(go, tmp_path):
    go()
    for folder in ("draw", "cams-drawn"):
        (tmp_path / "run" / folder / "old").write_text("")
    go({"cnn_cams.flip": False})
    assert not (tmp_path / "run" / "draw" / "old").exists()
    assert not (tmp_path / "run" / "cams-drawn" / "old").exists()
    assert (tmp_path / "run" / "learn" / "weights").exists()


@pytest.fixture
def base(go, tmp_path):
    """A run of which the test's own run links all that it may: it shares the stages as a study does."""
    go()
    folder = (tmp_path / "run").rename(tmp_path / "base")
    (tmp_path / "run").mkdir()
    for made in folder.iterdir():
        if made.is_dir():
            (tmp_path / "run" / made.name).symlink_to(made, target_is_directory=True)
    return folder


def content_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_linked_from_another_run_serves_and_is_never_written_to(go, base, calls, tmp_path):
    assert go()[0] == {}
    before = content_of(base)
    assert "learn" in go({"cnn.epochs": 7})[0]
    assert content_of(base) == before
    assert (tmp_path / "run" / "learn" / "weights").read_text() == "7"
    assert not (tmp_path / "run" / "learn").is_symlink()


def test_what_is_linked_and_not_whole_is_made_here(go, base, calls, tmp_path):
    (base / "draw" / "drawn").unlink()
    before = content_of(base)
    assert go()[0] == {"draw": "what is linked from another run is not whole: made here"}
    assert content_of(base) == before
    assert (tmp_path / "run" / "draw" / "drawn").exists()
    assert (tmp_path / "run" / "learn").is_symlink()


def test_outputs_that_are_gone_are_made_again(go, calls, tmp_path):
    go()
    (tmp_path / "run" / "cams-drawn" / "card.json").unlink()
    assert go()[0] == {"draw": "its outputs are gone"}
    assert calls[3:] == ["draw"], "the same key: what follows is still right"


def test_a_stage_that_was_stopped_goes_on(go, pipeline, calls, tmp_path):
    pipeline.full = True
    with pytest.raises(StoreError, match="No space left"):
        go()
    record = read_record(tmp_path / "run", "judge")
    assert record.finished_s is None
    assert record.seconds >= 0
    pipeline.full = False
    (tmp_path / "run" / "judge" / "half").write_text("")
    assert go()[0] == {"judge": "was stopped: goes on where it was"}
    assert (tmp_path / "run" / "judge" / "half").exists()


def test_images_that_failed_are_tried_again_and_count_for_what_follows(go, pipeline, calls):
    pipeline.failing = {"square_1": "not an image"}
    _, results = go()
    assert results[1].failed == {"square_1": "not an image"}
    said, results = go()
    assert said == {"draw": "1 image failed the last time: tried again"}
    assert calls[3:] == ["draw"], "nothing new: what follows stays"
    pipeline.failing = {}
    assert go()[0] == {
        "draw": "1 image failed the last time: tried again",
        "judge": "its input changed (draw)",
    }
    assert go()[0] == {}


def test_what_was_made_without_a_record_is_left_to_the_stage(go, calls, tmp_path):
    (tmp_path / "run" / "draw").mkdir(parents=True)
    (tmp_path / "run" / "draw" / "drawn").write_text("")
    said, _ = go()
    assert said["draw"] == "has no record yet: what is there is checked and kept"
    assert (tmp_path / "run" / "draw" / "drawn").exists()


def test_some_of_the_stages(go, calls):
    go(last="draw")
    assert calls == ["learn cnn 3", "draw"]
    go(first="judge")
    assert calls[2:] == ["judge"]
    # An earlier stage that is out of date but was not asked for stays as it is.
    assert go({"cnn.epochs": 5}, first="judge")[0] == {}
    assert go(first="draw", last="draw", anew=True)[0] == {"draw": "asked for"}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"first": "lern"}, "no stage 'lern': choose one of learn, draw, judge"),
        ({"first": "judge", "last": "learn"}, "--until learn comes before --from judge"),
    ],
)
def test_stages_that_make_no_range_are_refused(go, how, said):
    with pytest.raises(ConfigError, match=said):
        go(**how)


def test_a_plan_is_what_then_happens(go, pipeline, tiny_recipe, squares, tmp_path):
    def planned(changes, **how):
        stages.code_version.cache_clear()
        steps = planning.plan(override(tiny_recipe, changes), squares, tmp_path / "run", **how)
        return {step.stage.name: step.why for step in steps if step.why}

    assert planned({}) == dict.fromkeys(("learn", "draw", "judge"), "not made yet")
    go()
    for changes in ({}, {"cnn.epochs": 8}, {"fusion.rule": "or"}, {"seed": 4}):
        expected = planned(changes)
        assert go(changes)[0] == expected


def test_a_record_that_cannot_be_read_is_none(tmp_path):
    assert read_record(tmp_path, "x") is None
    write_record(tmp_path, StageRecord(stage="x", key="k", began_s=1.0))
    assert read_record(tmp_path, "x").key == "k"
    path = tmp_path / "x" / "stage.json"
    for text in ("", "[]", "{}", '{"stage": "y", "key": "k", "began_s": 1}'):
        path.write_text(text)
        assert read_record(tmp_path, "x") is None
    # A newer version's fields are passed over.
    path.write_text(json.dumps({"stage": "x", "key": "k", "began_s": 1, "colour": "red"}))
    assert read_record(tmp_path, "x").key == "k"


def test_two_recipes_are_one_too_many(capsys):
    from train.__main__ import main

    assert main(["run", "scenes", "--recipe", "voc12_cpu"]) == 2
    assert "two recipes" in capsys.readouterr().err
