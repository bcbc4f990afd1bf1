"""The CNN as teacher of a ViT's positions, against the formula written out."""

import numpy as np
import pytest
import torch

from orandnet_core.backbones import Network, build_classifier, load_classifier
from orandnet_core.errors import ConfigError
from train.classify import classifier_path, classify
from train.config import ClassifyConfig, override
from train.teacher import Teacher, position_loss


def test_the_loss_is_the_weighted_mean_of_each_present_class():
    rng = np.random.default_rng(0)
    scores, cams = rng.normal(size=(2, 3, 4, 5)), rng.random((2, 3, 4, 5))
    probabilities, labels = rng.random((2, 3)), np.array([[1, 0, 1], [0, 0, 1]])
    expected = 0.0
    for b, c in zip(*labels.nonzero(), strict=True):
        predicted = 1 / (1 + np.exp(-scores[b, c]))
        entropy = -(cams[b, c] * np.log(predicted) + (1 - cams[b, c]) * np.log(1 - predicted))
        expected += probabilities[b, c] * entropy.mean() / labels.sum()
    ours = position_loss(*map(torch.tensor, (scores, cams, probabilities, labels)))
    assert ours.item() == pytest.approx(expected, rel=1e-12)


def test_without_a_class_there_is_no_loss():
    maps, none = torch.zeros(1, 2, 3, 3), torch.zeros(1, 2)
    assert position_loss(maps, maps, none + 0.5, none) == 0


def test_the_teacher_says_where_and_how_sure_and_never_learns():
    network = Network(model="test_resnet", head="conv", class_names=("a", "b"))
    teacher = Teacher(build_classifier(network)).train()
    images = torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8)
    cams, probabilities = teacher(images)
    maps = teacher.classifier.class_maps(teacher.classifier.normalise(images)).detach()
    torch.testing.assert_close(probabilities, maps.mean((2, 3)).sigmoid())
    assert cams.min() >= 0
    positive = maps.amax((2, 3)) > 0
    torch.testing.assert_close(cams.amax((2, 3)), positive.float())
    assert not teacher.classifier.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


@pytest.fixture
def taught(tiny_recipe):
    return override(tiny_recipe, {"vit.patch_drop": 0.0, "vit.teacher": "cnn", "vit.epochs": 1})


def test_a_vit_learns_from_the_cnn_of_its_run(taught, squares, tmp_path):
    classify(taught, "cnn", squares, tmp_path)
    with_teacher = classify(taught, "vit", squares, tmp_path)
    alone = classify(override(taught, {"vit.teacher": ""}), "vit", squares, tmp_path / "alone")
    assert with_teacher["identity"] != alone["identity"]
    weights = [
        load_classifier(classifier_path(folder, "vit")).patch_head.weight
        for folder in (tmp_path, tmp_path / "alone")
    ]
    assert not torch.equal(*weights)


def test_another_teacher_is_another_training(taught, squares, tmp_path):
    classify(taught, "cnn", squares, tmp_path)
    first = classify(taught, "vit", squares, tmp_path)
    classify(override(taught, {"seed": 1}), "cnn", squares, tmp_path / "other")
    other = override(taught, {"vit.teacher": str(classifier_path(tmp_path / "other", "cnn"))})
    assert classify(other, "vit", squares, tmp_path / "taught")["identity"] != first["identity"]


def test_a_teacher_that_does_not_fit_is_told(taught, squares, tmp_path):
    classify(override(taught, {"vit.teacher": ""}), "vit", squares, tmp_path)
    path = classifier_path(tmp_path, "vit")
    with pytest.raises(ConfigError, match="must be a CNN trained on the same classes"):
        classify(override(taught, {"vit.teacher": str(path)}), "vit", squares, tmp_path / "run")


def test_a_teacher_needs_all_patches():
    with pytest.raises(ConfigError, match="patch_drop 0"):
        ClassifyConfig(model="test_vit", head="cls+patch", patch_drop=0.5, teacher="cnn")
