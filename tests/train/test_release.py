"""Released networks: half the bytes, the same maps."""

import pytest
import torch

from orandnet_core.backbones import Network, build_classifier, load_classifier, save_classifier
from orandnet_core.errors import WeightsError
from train.classify import classifier_path
from train.release import release


def test_a_released_network_is_half_the_size_and_gives_the_same_maps(tmp_path):
    network = Network(model="test_resnet", head="conv", class_names=("red", "green"))
    trained = build_classifier(network).eval()
    save_classifier(classifier_path(tmp_path, "cnn"), trained)
    (path,) = release("tiny", tmp_path, tmp_path / "weights", ("cnn",))
    assert path.name == "tiny_cnn.safetensors"
    assert path.stat().st_size < 0.55 * classifier_path(tmp_path, "cnn").stat().st_size
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        ours, theirs = load_classifier(path).class_maps(images), trained.class_maps(images)
    torch.testing.assert_close(ours, theirs, atol=1e-2, rtol=1e-2)


def test_a_network_that_is_not_trained_is_named(tmp_path):
    with pytest.raises(WeightsError, match="python -m train classify"):
        release("tiny", tmp_path, tmp_path, ("vit",))
