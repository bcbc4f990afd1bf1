"""Pairs of networks, and what they see in a photo: the same as the core computes."""

import json
import sys
from subprocess import run

import numpy as np
import pytest

from orandnet_core.scenes import SCENE_CLASSES
from orandnet_core.store import stored_hw
from pages.components import networks, seeing
from tests.conftest import ROOT
from tests.pages.workspace import make_networks

PHOTO = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)


def quiet(done: int, total: int) -> None:
    assert 0 <= done < total


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two untrained networks as files, by source."""
    folder = tmp_path_factory.mktemp("networks")
    make_networks(folder, SCENE_CLASSES)
    return {source: folder / f"classify-{source}" / "classifier.safetensors" for source in networks.SOURCES}


@pytest.fixture
def of_run(files, workspace, monkeypatch, tmp_path):
    """The pair of the run `sample`; nothing is released."""
    monkeypatch.setattr(networks, "_RELEASED", tmp_path / "nothing")
    for source, path in files.items():
        folder = workspace / "runs" / "sample" / f"classify-{source}"
        folder.mkdir()
        (folder / "classifier.safetensors").symlink_to(path)
    (pair,) = networks.network_pairs().values()
    return pair


def test_a_run_with_both_networks_is_a_pair(of_run):
    assert of_run.run == "sample"
    assert of_run.class_names == SCENE_CLASSES
    assert of_run.settings.name == "scenes"
    assert networks.pair_for("sample", SCENE_CLASSES) == of_run
    assert networks.pair_for("sample", ("cat",)) is None


def test_a_run_is_no_pair_while_one_network_is_in_training_or_damaged(of_run):
    of_run.vit.unlink()
    assert networks.network_pairs() == {}
    of_run.vit.write_bytes(b"half a file")
    assert networks.network_pairs() == {}


def test_released_weights_come_first_and_take_the_recipe_they_are_named_after(
    files, of_run, monkeypatch, tmp_path
):
    released = tmp_path / "weights"
    released.mkdir()
    for stem in ("scenes", "voc12_cpu"):
        for source, path in files.items():
            (released / f"{stem}_{source}.safetensors").symlink_to(path)
    monkeypatch.setattr(networks, "_RELEASED", released)
    pairs = list(networks.network_pairs().values())
    assert [pair.name for pair in pairs] == ["voc12_cpu (released)", "scenes (released)", "sample (run)"]
    assert [pair.settings.name for pair in pairs] == ["voc12_cpu", "scenes", "scenes"]
    assert networks.pair_for(None, SCENE_CLASSES).run is None
    assert networks.pair_for("sample", SCENE_CLASSES).run == "sample"


def test_look_gives_the_cams_that_the_core_computes(of_run):
    from orandnet_core.backbones import load_classifier
    from orandnet_core.cams import compute_cam, with_output_stride

    seen = seeing.look(of_run, PHOTO, (2, 5), quiet)
    assert seen.class_ids.tolist() == [2, 5]
    settings = of_run.settings
    for source in networks.SOURCES:
        config = settings.cams(source)
        expected = compute_cam(
            with_output_stride(load_classifier(of_run.path(source)), config.output_stride),
            PHOTO, np.array([2, 5]), config.method, scales=config.scales,
            flip=config.flip, long_side_px=80, output_hw=stored_hw((60, 80)), **dict(config.options),
        )  # fmt: skip
        np.testing.assert_allclose(seen.cams[source].cam, expected, atol=1e-6)
        assert seen.cams[source].full_size().shape == (2, 60, 80)
        assert seen.probabilities[source].shape == (len(SCENE_CLASSES),)


def test_without_a_choice_the_predicted_classes_are_taken():
    likely = {"cnn": np.array([0.9, 0.2, 0.7]), "vit": np.array([0.8, 0.6, 0.4])}
    assert seeing.predicted(likely).tolist() == [1, 3]
    unlikely = {"cnn": np.array([0.1, 0.3, 0.2]), "vit": np.array([0.1, 0.3, 0.2])}
    assert seeing.predicted(unlikely).tolist() == [2]


def test_every_listed_method_fits_its_network(of_run):
    listed = seeing.method_names(of_run, quiet)
    assert ("cnn", "cam") in listed
    assert ("vit", "transformer_attribution") in listed
    assert ("vit", "cam") not in listed
    for source, method in (("cnn", "LayerCAM"), ("vit", "attention_rollout")):
        assert (source, method) in listed
        stored = seeing.method_cam(of_run, source, method, PHOTO, np.array([1, 4]), quiet)
        assert stored.full_size().shape == (2, 60, 80)
        assert 0 <= stored.cam.min() <= stored.cam.max() <= 1


def test_a_run_whose_recipe_cannot_be_read_says_so(of_run, workspace):
    from orandnet_core.errors import ConfigError

    networks._run_settings.cache_clear()
    (workspace / "runs" / "sample" / "config.json").write_text(json.dumps({"name": "x"}))
    with pytest.raises(ConfigError):
        _ = of_run.settings


def test_listing_networks_needs_no_torch():
    """The first screen lists them; torch would cost it seconds."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'timm', 'torchvision']));"
        "import pages.components.photo_view, pages.components.image_view, pages.components.sidebar"
    )
    done = run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
