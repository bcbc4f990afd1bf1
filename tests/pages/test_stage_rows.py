"""The rows of a run's stages, from their records and from what they report."""

from pathlib import Path

import pytest

from pages.components.launching import STAGES, stage_title
from pages.components.stage_rows import made_with, stage_rows
from tests.pages.test_run_figures import line, write
from train.records import StageRecord, write_record


@pytest.fixture
def rows_of(tmp_path: Path):
    """The rows by title of a run that reported these lines and has these records."""
    from pages.components.run_figures import stage_figures

    def rows(*lines: dict, records: tuple[StageRecord, ...] = (), alive: bool = True):
        write(tmp_path, *lines)
        for record in records:
            write_record(tmp_path, record)
        return {row.title: row for row in stage_rows(tmp_path, stage_figures(tmp_path), alive=alive)}

    return rows


def finished(stage: str, **more) -> StageRecord:
    return StageRecord(**{"stage": stage, "key": "k", "began_s": 990.0, "finished_s": 2000.0} | more)


def test_every_stage_has_a_row(rows_of):
    rows = rows_of()
    assert list(rows) == [stage_title(name) for name in STAGES]
    assert {row.state for row in rows.values()} == {":gray[not begun]"}
    assert {row.time for row in rows.values()} == {""}


def test_a_finished_stage_says_its_time(rows_of):
    row = rows_of(line("classify-cnn", 100, map=0.5), records=(finished("classify-cnn", seconds=3600.0),))[
        "Train the CNN"
    ]
    assert (row.done, row.time, row.state) == ("100 of 100", "60 min", ":green[:material/check:] mAP 50.0")


def test_a_running_stage_says_what_is_left(rows_of):
    begun = StageRecord(stage="cams-cnn", key="k", began_s=1000.0)
    row = rows_of(line("cams-cnn", 40, eta_s=30.0), records=(begun,))["CNN CAMs"]
    assert (row.done, row.time, row.state) == ("40 of 100", "30 s left", ":blue[40%]")
    assert rows_of(alive=False)["CNN CAMs"].time == ""


def test_what_an_earlier_try_reported_is_not_the_new_ones(rows_of):
    begun = StageRecord(stage="cams-cnn", key="k", began_s=5000.0)
    row = rows_of(line("cams-cnn", 100), records=(begun,))["CNN CAMs"]
    assert (row.done, row.state) == ("", ":blue[begun]")


def test_failed_images_are_counted(rows_of):
    record = finished("cams-vit", seconds=2.0, failed={"a": "not an image", "b": "not an image"})
    assert rows_of(line("cams-vit", 100), records=(record,))["ViT CAMs"].state == ":orange[2 failed]"


def test_a_stage_run_by_hand_has_no_record(rows_of):
    row = rows_of(line("cams-vit", 100))["ViT CAMs"]
    assert (row.time, row.state) == ("", ":green[:material/check:]")


def test_an_adopted_network_says_what_it_is(rows_of):
    record = finished("classify-cnn", seconds=2.0, summary="mAP 83.2; the released network, not trained here")
    row = rows_of(records=(record,))["Train the CNN"]
    assert (row.done, row.state) == ("", f":green[:material/check:] {record.summary}")


def test_shards_are_one_stage(rows_of):
    row = rows_of(line("cams-cnn 1/2", 40, eta_s=9.0), line("cams-cnn 2/2", 30, eta_s=20.0))["CNN CAMs"]
    assert (row.done, row.time) == ("70 of 200", "20 s left")
    row = rows_of(line("cams-cnn 3/4", 41))["CNN CAMs"]
    assert row.done == "41 of 100", "shared anew among four: the two of before no longer count"


def test_a_stage_of_several_parts_shows_the_newest(rows_of):
    rows = rows_of(line("refine", 100, loss=0.5), line("cams-refine", 101, total=400))
    assert rows["Refine"].done == "101 of 400"
    assert list(rows) == [stage_title(name) for name in STAGES]


def test_what_is_no_stage_is_shown_as_it_is_called(rows_of):
    assert list(rows_of(line("something-else", 3)))[-1] == "something-else"


def test_what_made_a_run_is_told_once(tmp_path):
    assert made_with(tmp_path) == []
    older = {"code": "a1", "torch": "2.13.0", "numpy": "2.3.5", "device": "2 CPU cores"}
    newer = older | {"code": "b2-dirty", "device": "NVIDIA H200"}
    for name, began_s in (("cams-cnn", 20.0), ("classify-cnn", 10.0)):
        write_record(tmp_path, finished(name, began_s=began_s, provenance=older))
    write_record(tmp_path, finished("segment"))  # of before this was kept
    assert made_with(tmp_path) == ["Made with code a1, torch 2.13.0, numpy 2.3.5, 2 CPU cores"]
    write_record(tmp_path, finished("refine", began_s=30.0, provenance=newer))
    assert made_with(tmp_path) == [
        "Made with torch 2.13.0, numpy 2.3.5",
        f"{stage_title('classify-cnn')}, {stage_title('cams-cnn')}: code a1, 2 CPU cores",
        f"{stage_title('refine')}: code b2-dirty, NVIDIA H200",
    ]
    write_record(tmp_path, finished("irn", began_s=40.0, provenance={"torch": "2.14.1"}))
    assert made_with(tmp_path)[-1] == f"{stage_title('irn')}: torch 2.14.1"
