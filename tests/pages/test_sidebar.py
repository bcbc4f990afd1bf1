"""Data sets, runs and sources: what is offered, what a link may ask for, what an empty place says."""

import json
import shutil
import time

import pytest

from orandnet_core.errors import WeightsError
from pages.components import catalog, tasks
from pages.components.selection import STATE_KEY, DatasetRef
from tests.pages.in_viewer import catch_viewer
from tests.pages.opening import captions, settled
from tests.pages.workspace import add_run


@pytest.fixture(autouse=True)
def no_viewer(monkeypatch):
    """The viewer has tests of its own; here it would only cost time."""
    catch_viewer(monkeypatch, "components.panes")


def selection_of(app):
    assert not app.exception
    return app.session_state[STATE_KEY]


def test_the_sample_opens_with_its_run(app, workspace):
    selection = selection_of(app.run())
    assert (selection.dataset.name, selection.split, selection.run) == ("scenes", "train", "sample")
    assert selection.cnn_store == workspace / "runs" / "sample" / "cams-cnn"
    assert selection.has_cams


def test_data_sets_of_runs_and_added_ones_are_offered_once_each(workspace):
    root = workspace / "data" / "scenes"
    add_run(workspace, "a", str(workspace / "photos"), kind="folder")
    add_run(workspace, "b", str(workspace / "photos"), kind="folder")
    catalog.add_dataset(DatasetRef("mine", "folder", workspace / "mine"))
    catalog.add_dataset(DatasetRef("mine", "auto", workspace / "mine"))
    assert list(catalog.datasets()) == ["scenes", "mine", "photos"]
    assert catalog.datasets()["mine"].kind == "auto"
    assert [run.name for run in catalog.runs_on(DatasetRef("scenes", "scenes", root))] == ["sample"]


def test_two_data_sets_of_one_name_keep_apart(workspace):
    catalog.add_dataset(DatasetRef("mine", "folder", workspace / "mine"))
    add_run(workspace, "a", str(workspace / "other" / "mine"), kind="folder")
    assert list(catalog.datasets()) == ["scenes", "mine", f"mine ({workspace / 'other' / 'mine'})"]


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', '[{"name": "x"}]'])
def test_a_spoilt_list_of_data_sets_leaves_the_sample(workspace, content):
    (workspace / "datasets.json").write_text(content)
    assert list(catalog.datasets()) == ["scenes"]


def test_runs_without_a_readable_config_are_passed_over(workspace):
    add_run(workspace, "half", "")
    (workspace / "runs" / "half" / "config.json").write_text('{"data": {')
    assert [run.name for run in catalog.runs()] == ["sample"]


def test_a_run_with_cams_of_both_networks_comes_before_a_newer_one_without(workspace):
    add_run(workspace, "newer", "", kind="scenes", stores=("cnn",))
    ref = catalog.datasets()["scenes"]
    assert [run.name for run in catalog.runs_on(ref)] == ["sample", "newer"]


def test_any_store_can_stand_for_a_network(app, workspace):
    add_run(workspace, "second", "", kind="scenes", stores=("cnn", "vit"))
    app.query_params["run"] = "sample"
    app.run()
    app.selectbox("cnn").select("second/vit").run()
    selection = selection_of(app)
    assert selection.cnn_store == workspace / "runs" / "second" / "cams-vit"
    assert selection.vit_store == workspace / "runs" / "sample" / "cams-vit"


def test_a_data_set_that_cannot_be_opened_is_explained(app, workspace):
    catalog.add_dataset(DatasetRef("gone", "folder", workspace / "gone"))
    app.query_params["dataset"] = "gone"
    app.run()
    assert not app.exception
    assert str(workspace / "gone") in app.warning[0].value
    assert "Data page" in app.warning[0].value


def test_a_data_set_without_cams_says_how_to_make_them(app, workspace):
    shutil.copytree(workspace / "data" / "scenes", workspace / "other")
    catalog.add_dataset(DatasetRef("other", "voc12", workspace / "other"))
    app.query_params["dataset"] = "other"
    app.run()
    assert not app.exception
    assert "python -m train run" in app.info[0].value
    assert str(workspace / "other") in app.info[0].value


def test_the_missing_sample_is_prepared_and_then_shown(app, empty_workspace, made_workspace, monkeypatch):
    calls = []

    def prepare(argv, watch) -> None:
        calls.append(1)
        shutil.copytree(made_workspace, empty_workspace)
        time.sleep(0.6)  # longer than a page waits before it draws progress

    monkeypatch.setattr("pages.components.empty.run_command", prepare)
    app.run()
    assert not app.exception
    assert app.progress
    assert "prepared once" in captions(app)
    settled(app)
    assert selection_of(app).has_cams
    assert len(calls) == 1


def test_progress_of_an_earlier_preparation_is_not_shown(app, empty_workspace, made_workspace, monkeypatch):
    told = []

    def shown() -> tuple[str, int]:
        task = tasks.task_board().find("prepare-sample")
        return task.doing, task.total

    run = empty_workspace / "runs" / "sample"
    run.mkdir(parents=True)
    line = {"stage": "cams-vit", "done": 7, "total": 9, "rate": 1.0, "eta_s": 2.0}
    (run / "metrics.jsonl").write_text(json.dumps({"time": time.time() - 60} | line) + "\n")

    def prepare(argv, watch) -> None:
        watch()
        told.append(shown())
        (run / "metrics.jsonl").write_text(json.dumps({"time": time.time() + 1} | line) + "\n")
        watch()
        told.append(shown())
        shutil.copytree(made_workspace, empty_workspace, dirs_exist_ok=True)

    monkeypatch.setattr("pages.components.empty.run_command", prepare)
    settled(app.run())
    doing = "Preparing the built-in sample"
    assert told == [(doing, 0), (f"{doing}: CAMs of the ViT", 9)]


def test_what_keeps_the_sample_from_being_prepared_is_said(app, empty_workspace, monkeypatch):
    def prepare(argv, watch) -> None:
        raise WeightsError("scenes_cnn.safetensors: no such file")

    monkeypatch.setattr("pages.components.empty.run_command", prepare)
    settled(app.run())
    assert "scenes_cnn.safetensors: no such file" in app.error[0].value


def test_a_half_made_store_of_the_sample_is_finished_first(app, workspace, monkeypatch):
    index = workspace / "runs" / "sample" / "cams-vit" / "index.txt"
    whole = index.read_text()
    index.write_text("".join(whole.splitlines(keepends=True)[:4]))

    def prepare(argv, watch) -> None:
        index.write_text(whole)

    monkeypatch.setattr("pages.components.empty.run_command", prepare)
    settled(app.run())
    assert selection_of(app).has_cams
    assert app.text_input("image").value


def test_a_smaller_store_that_stands_in_for_a_network_prepares_nothing(app, workspace, monkeypatch):
    shutil.copytree(workspace / "runs" / "sample" / "cams-cnn", workspace / "runs" / "sample" / "cams-amn")
    index = workspace / "runs" / "sample" / "cams-amn" / "index.txt"
    index.write_text("".join(index.read_text().splitlines(keepends=True)[:4]))
    catalog.forget()

    def prepare(argv, watch) -> None:
        raise AssertionError("prepared again")

    monkeypatch.setattr("pages.components.empty.run_command", prepare)
    app.query_params["cnn"] = "sample/amn"
    settled(app.run())
    assert not app.error
    assert selection_of(app).cnn_store.name == "cams-amn"
