"""How long a run will take: from what stages reported, from a rehearsal, and how the table reads."""

import dataclasses
import json

import pytest

from train import pace
from train.config import override
from train.forecast import Forecast, duration, forecast, free_bytes, lines, of_new_run, size, total
from train.pace import Estimate, Pace, Phase
from train.records import StageRecord, write_record
from train.rehearsal import few_images, rehearse
from train.run import run
from train.stages import STAGES

CLASSIFY, CAMS, REFINE = STAGES["classify-cnn"], STAGES["cams-cnn"], STAGES["refine"]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "workspace"))


def reported(stage: str, unit: str, *points: tuple[float, int], total: int) -> list[dict]:
    """Lines of `metrics.jsonl` from (time, done)."""
    return [
        {"stage": stage, "unit": unit, "time": time, "done": done, "total": total} for time, done in points
    ]


def measure(stage, recipe, dataset, run_dir, lines, seconds):
    return pace.measured(
        stage, recipe, dataset, run_dir, lines, seconds=seconds, memory_gb=1.0, gpu_memory_gb=0.0, now_s=0.0
    )


def test_a_training_grows_with_its_steps(tiny_recipe, squares, tmp_path):
    # 8 images in batches of 4: 2 steps an epoch. The first step took 5 s, the others 1 s each.
    short = override(tiny_recipe, {"cnn.epochs": 3})
    lines = reported("classify-cnn", "step", (0, 0), (5, 1), (6, 2), (10, 6), total=6)
    found = measure(CLASSIFY, short, squares, tmp_path, lines, 12.0)
    assert found.phases == (Phase(unit="step", per=1.0, seconds=1.0),)
    assert found.fixed_s == 2.0
    long = override(tiny_recipe, {"cnn.epochs": 100})
    assert pace.estimate(found, CLASSIFY, long, squares).seconds == 2.0 + 200 * 1.0


def test_a_way_through_the_images_grows_with_their_number(tiny_recipe, squares, tmp_path):
    folder = tmp_path / "cams-cnn"
    folder.mkdir()
    (folder / "a.npz").write_bytes(b"x" * 1200)
    lines = reported("cams-cnn", "image", (0, 0), (2, 1), (24, 12), total=12)
    found = measure(CAMS, tiny_recipe, squares, tmp_path, lines, 24.0)
    twice = dataclasses.replace(
        squares, splits={"train": squares.image_ids("train") * 2, "val": squares.image_ids("val") * 2}
    )
    assert pace.estimate(found, CAMS, tiny_recipe, twice) == Estimate(
        seconds=48.0, bytes=2400.0, memory_gb=1.0, gpu_memory_gb=0.0
    )


def test_a_stage_of_two_parts_is_the_sum_of_both(tiny_recipe, squares, tmp_path):
    for name, content in (
        ("refiner.safetensors", b"w" * 500),
        ("step-1.pt", b"c" * 100),
        ("step-2.pt", b"c"),
    ):
        path = tmp_path / "refine" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    recipe = override(tiny_recipe, {"refine.epochs": 2, "refine.batch_size": 4})
    lines = reported("refine", "step", (0, 0), (8, 4), total=4)
    lines += reported("cams-refine", "image", (9, 0), (21, 12), total=12)
    found = measure(REFINE, recipe, squares, tmp_path, lines, 25.0)
    assert found.phases == (
        Phase(unit="step", per=1.0, seconds=2.0),
        Phase(unit="image", per=1.0, seconds=1.0),
    )
    assert (found.fixed_s, found.bytes_fixed) == (5.0, 500 + 2 * 100)
    longer = override(recipe, {"refine.epochs": 20})
    assert pace.estimate(found, REFINE, longer, squares).seconds == 5 + 40 * 2.0 + 12 * 1.0


def test_shards_work_at_the_same_time(tiny_recipe, squares, tmp_path):
    lines = [
        line
        for share in ("1/2", "2/2")
        for line in reported(f"cams-cnn {share}", "image", (0, 0), (1, 1), (6, 6), total=6)
    ]
    found = measure(CAMS, tiny_recipe, squares, tmp_path, lines, 6.0)
    assert found.phases == (Phase(unit="image", per=1.0, seconds=0.5),)


def test_what_was_there_already_has_no_pace(tiny_recipe, squares, tmp_path):
    there = reported("cams-cnn", "image", (0, 12), (0, 12), total=12)
    assert measure(CAMS, tiny_recipe, squares, tmp_path, there, 1.0) is None
    assert measure(CAMS, tiny_recipe, squares, tmp_path, [], 1.0) is None


PACE = Pace(
    phases=(Phase(unit="image", per=1.0, seconds=2.0),),
    fixed_s=10.0,
    bytes_an_image=1e6,
    bytes_fixed=5e6,
    memory_gb=1.5,
    gpu_memory_gb=0.0,
    images=4,
    measured_s=0.0,
)


def test_a_pace_is_that_of_its_settings_and_machine(tiny_recipe, squares):
    where = pace.machine("cpu")
    pace.save(PACE, CAMS, tiny_recipe, squares, where)
    assert pace.find(CAMS, tiny_recipe, squares, where) == PACE
    assert pace.find(CAMS, override(tiny_recipe, {"cnn_cams.scales": (1.0, 2.0)}), squares, where) is None
    assert pace.find(CAMS, tiny_recipe, squares, pace.machine("cuda:1")) is None
    pace.save(PACE, CLASSIFY, tiny_recipe, squares, where)
    assert pace.find(CLASSIFY, override(tiny_recipe, {"cnn.epochs": 99}), squares, where) == PACE


def test_a_damaged_pace_is_none(tiny_recipe, squares, tmp_path):
    pace.save(PACE, CAMS, tiny_recipe, squares, "here")
    (path,) = (tmp_path / "workspace" / "cache" / "paces").iterdir()
    for text in ("", "{}", json.dumps({"phases": [{"unit": "step"}]})):
        path.write_text(text)
        assert pace.find(CAMS, tiny_recipe, squares, "here") is None


def test_what_is_not_known_is_not_guessed(tiny_recipe, squares, tmp_path):
    pace.save(PACE, CAMS, tiny_recipe, squares, pace.machine("cpu"))
    found = forecast(tiny_recipe, squares, tmp_path / "run", "", "cams-vit", device="cpu")
    assert [each.is_known for each in found] == [False, False, True, False]
    assert total(found) == Estimate(seconds=10 + 12 * 2.0, bytes=17e6, memory_gb=1.5, gpu_memory_gb=0.0)
    new = of_new_run(tiny_recipe, squares, "cpu")
    assert new["cams-cnn"] == total(found)
    assert set(new.values()) == {None, new["cams-cnn"]}
    table = lines(found, tmp_path / "run")
    assert table[1].split() == ["classify-cnn", "?", "?", "not", "made", "yet"]
    assert table[3].split()[:5] == ["cams-cnn", "34", "s", "17", "MB"]
    assert table[-1].startswith("in all")
    assert table[-1].endswith("free on disk")


def test_what_was_spent_already_is_not_counted_again(tiny_recipe, squares, tmp_path):
    pace.save(PACE, CAMS, tiny_recipe, squares, pace.machine("cpu"))
    (before,) = forecast(tiny_recipe, squares, tmp_path, "cams-cnn", "cams-cnn", device="cpu")
    step = before.step
    begun = StageRecord(
        stage="cams-cnn", key=step.key, began_s=1.0, seconds=20.0,
        config=step.config, code=step.code, inputs=step.inputs,
    )  # fmt: skip
    write_record(tmp_path, begun)
    (now,) = forecast(tiny_recipe, squares, tmp_path, "cams-cnn", "cams-cnn", device="cpu")
    assert now.step.why == "was stopped: goes on where it was"
    assert now.estimate.seconds == pytest.approx(before.estimate.seconds - 20.0)


def test_nothing_to_do_takes_nothing(tiny_recipe, squares, tmp_path):
    (each,) = forecast(tiny_recipe, squares, tmp_path, "cams-cnn", "cams-cnn", device="cpu")
    done = Forecast(step=dataclasses.replace(each.step, why=""), estimate=None)
    assert done.is_known
    assert lines([done], tmp_path)[1].split() == ["cams-cnn", "unchanged"]


@pytest.mark.parametrize(
    ("seconds", "said"), [(3.4, "3 s"), (89, "89 s"), (600, "10 min"), (7500, "2 h 05 min")]
)
def test_durations(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(("count", "said"), [(1200, "1 kB"), (45e6, "45 MB"), (3.42e9, "3.4 GB")])
def test_sizes(count, said):
    assert size(count) == said


def test_the_disk_of_a_folder_that_is_not_there_yet(tmp_path):
    assert free_bytes(tmp_path / "a" / "b") == pytest.approx(free_bytes(tmp_path), rel=0.01)


def test_a_rehearsal_takes_a_few_images_of_each_split(tiny_recipe, squares):
    many = {split: tuple(f"{split}_{number}" for number in range(100)) for split in ("train", "val")}
    few = few_images(tiny_recipe, dataclasses.replace(squares, splits=many))
    assert {split: len(ids) for split, ids in few.splits.items()} == {"train": 6, "val": 4}
    assert len(set(few.image_ids("train"))) == 6
    assert few.name == squares.name


def test_a_rehearsal_leaves_what_a_forecast_needs_and_nothing_else(tiny_recipe, squares, tmp_path):
    folder = tmp_path / "workspace" / "runs" / "tiny"
    rehearse(tiny_recipe, squares, folder, "cams-cnn", announce=lambda step: None)
    assert not folder.exists()
    assert [path.name for path in (tmp_path / "workspace" / "cache").iterdir()] == ["paces"]
    rehearsed = forecast(tiny_recipe, squares, folder, "", "cams-cnn", device="cpu")
    assert all(each.is_known for each in rehearsed)
    assert list(run(tiny_recipe, squares, folder, last="cams-cnn"))
    after = forecast(tiny_recipe, squares, folder, "", "cams-cnn", device="cpu", anew=True)
    for guess, real in zip(rehearsed, after, strict=True):
        assert real.estimate.bytes == pytest.approx(guess.estimate.bytes, rel=0.25)
