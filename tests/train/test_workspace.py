"""Where things lie, and that no run name leads elsewhere."""

import os

import pytest

from orandnet_core.errors import ConfigError
from train import workspace


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "w"))
    return tmp_path / "w"


def test_the_environment_moves_everything(root):
    assert workspace.workspace_dir() == root
    places = (workspace.runs_dir(), workspace.sample_dir(), workspace.cache_dir(), workspace.run_dir("a"))
    assert all(root in place.parents for place in places)


def test_without_it_the_workspace_lies_beside_the_code(monkeypatch):
    monkeypatch.delenv("ORANDNET_WORKSPACE", raising=False)
    assert workspace.workspace_dir() == workspace.ROOT / "workspace"
    assert (workspace.ROOT / "train" / "workspace.py").is_file()


def test_a_relative_workspace_does_not_move_with_the_process(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORANDNET_WORKSPACE", "w")
    assert workspace.workspace_dir() == tmp_path / "w"


@pytest.mark.parametrize("name", ["scenes", "voc12_cpu", "2026.01-a", "x" * 64])
def test_run_names(root, name):
    assert workspace.run_dir(name) == root / "runs" / name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/b", "/etc", ".hidden", "-rf", "a b", "a\n", "x" * 65, "ä", "a\0"]
)
def test_names_that_are_refused(root, name):
    with pytest.raises(ConfigError, match="run name"):
        workspace.run_dir(name)


def test_a_free_name_is_one_that_no_run_has(root):
    assert workspace.free_run_name("scenes") == "scenes"
    for taken in ("scenes", "scenes-2"):
        workspace.run_dir(taken).mkdir(parents=True)
    assert workspace.free_run_name("scenes") == "scenes-3"


def test_runs_the_newest_first(root):
    assert workspace.run_names() == []
    for name, made_s in {"a": 100, "b": 300, "c": 200}.items():
        workspace.run_dir(name).mkdir(parents=True)
        config = workspace.run_dir(name) / "config.json"
        config.write_text("{}")
        os.utime(config, (made_s, made_s))
    job = workspace.run_dir("a") / "job.json"
    job.write_text("{}")
    os.utime(job, (400, 400))
    (root / "runs" / "not a run").mkdir()
    (root / "runs" / "file").touch()
    assert workspace.run_names() == ["a", "b", "c"]


def test_a_store_counts_once_it_has_its_card(tmp_path):
    for source, has_card in {"cnn": True, "vit": True, "refine": False}.items():
        (tmp_path / f"cams-{source}").mkdir()
        if has_card:
            (tmp_path / f"cams-{source}" / "card.json").touch()
    assert workspace.cam_stores(tmp_path) == {
        "cnn": tmp_path / "cams-cnn",
        "vit": tmp_path / "cams-vit",
    }
