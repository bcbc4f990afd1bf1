"""The sample that the app opens on: made once, kept, made again when what it came from changed."""

import dataclasses
import json
import shutil
import subprocess
import sys

import pytest

from orandnet_core.backbones import Network, build_classifier, save_classifier
from orandnet_core.errors import WeightsError
from orandnet_core.scenes import SCENE_CLASSES, make_scenes
from orandnet_core.store import CamStore
from train import jobs, sample
from train.config import DataConfig
from train.workspace import ROOT, cam_stores, run_dir, sample_dir

IMAGES = 4


def point_at(folder, recipe, monkeypatch) -> None:
    """The workspace and the networks of this folder, in place of the shipped ones."""
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(folder / "workspace"))
    monkeypatch.setattr(sample, "recipe", lambda name: recipe)
    monkeypatch.setattr(sample, "shipped_classifier", lambda source: folder / f"{source}.safetensors")


def save_network(recipe, source, path, **changes) -> None:
    config = recipe.classifier(source)
    network = Network(
        model=config.model,
        head=config.head,
        class_names=tuple(SCENE_CLASSES),
        image_px=config.image_px,
        **{"pooling": config.pooling} | changes,
    )
    save_classifier(path, build_classifier(network, "none"))


@pytest.fixture(scope="module")
def first(tiny_recipe, tmp_path_factory):
    """Four scenes, two untrained networks, and what the first call made of them."""
    folder = tmp_path_factory.mktemp("first")
    recipe = dataclasses.replace(tiny_recipe, data=DataConfig(kind="scenes"))
    for source in sample.SOURCES:
        save_network(recipe, source, folder / f"{source}.safetensors")
    with pytest.MonkeyPatch.context() as monkeypatch:
        point_at(folder, recipe, monkeypatch)
        make_scenes(sample_dir(), IMAGES)
        assert sample.prepare_sample()
    return folder, recipe


@pytest.fixture
def prepared(first, tmp_path, monkeypatch):
    """A copy of it to spoil."""
    folder, recipe = first
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    point_at(tmp_path, recipe, monkeypatch)
    return tmp_path


def stores() -> list[CamStore]:
    return [CamStore(folder) for folder in cam_stores(run_dir(sample.RUN)).values()]


def test_both_networks_have_cams_of_every_image(prepared):
    assert [len(store) for store in stores()] == [IMAGES, IMAGES]
    assert json.loads((run_dir("sample") / "config.json").read_text())["data"]["kind"] == "scenes"


def test_the_drawing_is_counted_where_the_app_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setattr(sample, "IMAGES", IMAGES)
    monkeypatch.setattr(sample, "shipped_classifier", lambda source: tmp_path / f"{source}.safetensors")
    with pytest.raises(WeightsError):
        sample.prepare_sample()
    drawn = jobs.progress(run_dir(sample.RUN))
    assert (drawn.stage, drawn.done, drawn.total) == ("Sample images", IMAGES, IMAGES)


def test_the_second_time_there_is_nothing_to_do(prepared):
    assert not sample.prepare_sample()


def test_a_lost_store_is_made_again_and_the_other_kept(prepared):
    before = [store.fingerprint for store in stores()]
    (run_dir("sample") / "cams-vit" / "index.txt").unlink()
    assert sample.prepare_sample()
    assert [store.fingerprint for store in stores()] == before


def test_other_weights_make_other_cams(prepared):
    save_network(sample.recipe("scenes"), "cnn", prepared / "cnn.safetensors", pooling="log_sum_exp")
    cards = [store.card["weights_sha256"] for store in stores()]
    assert sample.prepare_sample()
    after = [store.card["weights_sha256"] for store in stores()]
    assert after[0] != cards[0]
    assert after[1] == cards[1]
    assert not sample.prepare_sample()


def test_an_interrupted_one_goes_on(prepared):
    (run_dir("sample") / "ready.json").unlink()
    before = [store.fingerprint for store in stores()]
    assert sample.prepare_sample()
    assert [store.fingerprint for store in stores()] == before


def test_a_checkout_without_the_networks_is_said_so(prepared):
    (prepared / "vit.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"vit\.safetensors: no such file"):
        sample.prepare_sample()


def test_the_second_time_loads_no_torch(prepared):
    script = (
        "import sys, json, pathlib; sys.modules['torch'] = None\n"
        "from train import config, sample\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "written = json.loads((sample.run_dir('sample') / 'config.json').read_text())\n"
        "made = config.from_dict(written, config.Recipe)\n"
        "sample.recipe = lambda name: made\n"
        "sample.shipped_classifier = lambda source: folder / f'{source}.safetensors'\n"
        "assert not sample.prepare_sample()"
    )
    subprocess.run([sys.executable, "-c", script, str(prepared)], cwd=ROOT, check=True)
