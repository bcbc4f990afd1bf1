"""Released networks in the place of a run's training."""

import pytest

from orandnet_core.backbones import Network, build_classifier, save_classifier
from orandnet_core.errors import ConfigError, WeightsError
from tests.train.conftest import COLOURS
from train.adopt import adopt, is_adopted
from train.classify import average_precisions, classifier_path, classify
from train.release import release, released_path
from train.run import run


@pytest.fixture
def released(tiny_recipe, squares, tmp_path):
    """A folder with the released CNN of a run that trained it, and the trained run."""
    classify(tiny_recipe, "cnn", squares, tmp_path / "trained")
    release(tiny_recipe.name, tmp_path / "trained", tmp_path / "released", ("cnn",))
    return tmp_path / "released"


def test_a_run_goes_on_from_a_released_network_without_training(released, tiny_recipe, squares, tmp_path):
    folder = tmp_path / "run"
    result = adopt(tiny_recipe, "cnn", squares, folder, released)
    assert "seconds" not in result
    assert is_adopted(folder, "cnn")
    assert not is_adopted(tmp_path / "trained", "cnn")
    (done,) = run(tiny_recipe, squares, folder, last="classify-cnn")
    assert not done.ran
    assert "released" in done.summary
    assert classify(tiny_recipe, "cnn", squares, folder) == result
    assert classifier_path(folder, "cnn").read_bytes() == released_path(released, "tiny", "cnn").read_bytes()


def test_what_is_linked_from_another_run_stays(released, tiny_recipe, squares, tmp_path):
    other = tmp_path / "trained" / "classify-cnn"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "classify-cnn").symlink_to(other, target_is_directory=True)
    before = {path.name: path.read_bytes() for path in other.iterdir() if path.is_file()}
    adopt(tiny_recipe, "cnn", squares, tmp_path / "run", released)
    assert is_adopted(tmp_path / "run", "cnn")
    assert {path.name: path.read_bytes() for path in other.iterdir() if path.is_file()} == before


def test_what_is_said_of_it_is_measured_here(released, tiny_recipe, squares, tmp_path):
    from orandnet_core.backbones import load_classifier

    result = adopt(tiny_recipe, "cnn", squares, tmp_path / "run", released)
    model = load_classifier(released_path(released, "tiny", "cnn"))
    scores = average_precisions(model, squares, squares.image_ids("val"), tiny_recipe.cnn.eval_px)
    assert list(result["average_precision"].values()) == pytest.approx(scores.tolist(), nan_ok=True)
    assert result["images"] == len(squares.image_ids("val"))


def test_a_network_that_was_not_released_is_named(tiny_recipe, squares, tmp_path):
    with pytest.raises(WeightsError, match="tiny_cnn.safetensors"):
        adopt(tiny_recipe, "cnn", squares, tmp_path / "run", tmp_path)


@pytest.mark.parametrize(
    ("model", "classes", "said"),
    [
        ("test_resnet", ("cat",), "knows 1 classes"),
        ("test_efficientnet", tuple(COLOURS), "test_efficientnet"),
    ],
)
def test_another_network_is_refused(model, classes, said, tiny_recipe, squares, tmp_path):
    other = build_classifier(Network(model=model, head="conv", class_names=classes))
    save_classifier(released_path(tmp_path, "tiny", "cnn"), other, half=True)
    with pytest.raises(ConfigError, match=said):
        adopt(tiny_recipe, "cnn", squares, tmp_path / "run", tmp_path)
    assert not classifier_path(tmp_path / "run", "cnn").exists()
