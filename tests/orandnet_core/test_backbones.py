"""Classifiers: maps and logits agree, weights come from three places, files rebuild networks."""

import json

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from orandnet_core.backbones import (
    POOLINGS,
    Network,
    build_classifier,
    load_classifier,
    pool,
    save_classifier,
)
from orandnet_core.errors import ConfigError, WeightsError
from orandnet_core.weights import weights_identity

NAMES = ("cat", "dog", "bird")
CNN = Network(model="test_resnet", head="conv", class_names=NAMES)
VIT = Network(model="test_vit", head="cls+patch", class_names=NAMES)
IMAGES = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=[CNN, VIT], ids=["cnn", "vit"])
def classifier(request):
    torch.manual_seed(0)
    return build_classifier(request.param).eval()


def test_the_mean_of_the_class_maps_is_the_logit(classifier):
    with torch.no_grad():
        maps, logits = classifier.class_maps(IMAGES), classifier(IMAGES)
    assert maps.shape[:2] == (2, 3)
    torch.testing.assert_close(maps.mean((2, 3)), logits[:, -1], atol=1e-5, rtol=1e-4)


def test_a_vits_map_has_a_cell_for_each_patch():
    vit = build_classifier(VIT).eval()
    assert vit.class_maps(IMAGES).shape == (2, 3, 64 // vit.patch_px, 96 // vit.patch_px)


def test_patch_scores_lie_where_the_patches_are():
    vit = build_classifier(VIT).eval()
    grid = torch.randn(1, vit.backbone.num_features, 4, 6)
    tokens = torch.cat([torch.zeros(1, 1, vit.backbone.num_features), grid.flatten(2).transpose(1, 2)], 1)
    vit.backbone.forward_features = lambda images: tokens
    torch.testing.assert_close(vit.class_maps(IMAGES[:1]), vit.patch_head(grid))


def test_output_stride_16_doubles_the_grid_with_the_same_weights():
    plain = build_classifier(CNN).eval()
    dense = build_classifier(Network(model="test_resnet", head="conv", class_names=NAMES, output_stride=16))
    dense.load_state_dict(plain.state_dict())
    assert dense.eval().class_maps(IMAGES).shape[-2:] == (4, 6)
    assert plain.class_maps(IMAGES).shape[-2:] == (2, 3)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_of_a_constant_map_is_the_constant(pooling):
    maps = torch.full((2, 3, 5, 7), 1.5)
    torch.testing.assert_close(pool(maps, pooling), torch.full((2, 3), 1.5))


def test_pooling_orders_from_mean_to_maximum():
    maps = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    mean, top, soft = (pool(maps, name) for name in ("mean", "top", "log_sum_exp"))
    assert (mean <= soft).all()
    assert (soft <= maps.amax((2, 3))).all()
    assert (mean <= top).all()
    flat = np.sort(maps.flatten(2).numpy(), axis=2)[:, :, -16:]
    np.testing.assert_allclose(top.numpy(), flat.mean(2), rtol=1e-6)


def test_patch_dropout_thins_training_only():
    vit = build_classifier(VIT, patch_drop=0.5)
    assert vit.train()(IMAGES).shape == vit.eval()(IMAGES).shape == (2, 2, 3)
    assert vit.class_maps(IMAGES).shape[-2:] == (4, 6)


def test_predict_takes_bytes_or_fractions(classifier):
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(classifier.predict(image), classifier.predict(image.float() / 255))


def test_frozen_parts_keep_weights_and_statistics(classifier):
    classifier.freeze(2)
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    classifier.train()
    optimizer = torch.optim.SGD([p for p in classifier.parameters() if p.requires_grad], lr=0.5)
    classifier(IMAGES).square().sum().backward()
    optimizer.step()
    changed = {
        name for name, value in classifier.state_dict().items() if not torch.equal(value, before[name])
    }
    stem = next(iter(classifier.backbone.state_dict()))
    assert f"backbone.{stem}" not in changed
    assert any(name.endswith("head.weight") for name in changed)
    if classifier.network.kind == "cnn":
        assert not any(name.startswith(("backbone.bn1", "backbone.layer1")) for name in changed)


@pytest.mark.parametrize("half", [False, True])
def test_a_file_rebuilds_the_classifier(classifier, tmp_path, half):
    path = tmp_path / "weights" / "classifier.safetensors"
    save_classifier(path, classifier, half=half)
    again = load_classifier(path)
    assert again.network == classifier.network
    tolerance = 2e-2 if half else 0
    with torch.no_grad():
        torch.testing.assert_close(again(IMAGES), classifier(IMAGES), atol=tolerance, rtol=tolerance)
    assert list(path.parent.iterdir()) == [path]


def test_backbone_weights_from_a_file_and_from_a_folder(tmp_path):
    source = timm.create_model("test_resnet", num_classes=10)
    path = tmp_path / "test_resnet.some_tag.safetensors"
    save_file(
        {
            name: value.half() if value.is_floating_point() else value
            for name, value in source.state_dict().items()
        },
        path,
    )
    for weights in (path, tmp_path):
        got = build_classifier(CNN, weights).backbone.state_dict()
        torch.testing.assert_close(
            got["layer1.0.conv1.weight"], source.state_dict()["layer1.0.conv1.weight"].half().float()
        )


def test_a_folder_of_several_tags_gives_the_one_that_was_named(tmp_path):
    for value, tag in enumerate((".a1_in1k", ".tv2_in1k")):
        save_file({"x": torch.tensor(float(value))}, tmp_path / f"test_resnet{tag}.safetensors")

    def same_as(model, tag):
        named = weights_identity(model, tmp_path / f"test_resnet{tag}.safetensors")
        return weights_identity(model, tmp_path) == named

    assert same_as("test_resnet.a1_in1k", ".a1_in1k")
    assert same_as("test_resnet.tv2_in1k", ".tv2_in1k")
    with pytest.raises(WeightsError, match=r"no weights of test_resnet\.b1k at "):
        weights_identity("test_resnet.b1k", tmp_path)
    with pytest.raises(WeightsError, match=r"test_resnet\.a1_in1k, test_resnet\.tv2_in1k"):
        weights_identity("test_resnet", tmp_path)
    save_file({"x": torch.tensor(2.0)}, tmp_path / "test_resnet.safetensors")
    assert same_as("test_resnet", "")


def test_weights_are_known_by_content_not_by_place(tmp_path):
    for folder, value in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
        (tmp_path / folder).mkdir()
        save_file({"x": torch.tensor(value)}, tmp_path / folder / "test_resnet.safetensors")
    a, b, c = (weights_identity("test_resnet", tmp_path / folder) for folder in "abc")
    assert a == b != c
    assert weights_identity("test_resnet", "hub") == "hub"


def test_missing_weights_name_the_three_ways(tmp_path):
    with pytest.raises(WeightsError, match=r"'hub'.*safetensors file.*folder"):
        build_classifier(CNN, tmp_path)


def test_a_hub_out_of_reach_names_the_three_ways(monkeypatch):
    real = timm.create_model

    def offline(name, pretrained=False, **options):
        if pretrained:
            raise ConnectionError("no route to host")
        return real(name, pretrained=pretrained, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsError, match=r"could not be downloaded.*no route.*folder"):
        build_classifier(CNN, "hub")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"not safetensors", "not a readable safetensors"), (None, "no such file")],
)
def test_a_bad_classifier_file_is_named(tmp_path, content, message):
    path = tmp_path / "classifier.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        load_classifier(path)


@pytest.mark.parametrize(
    "change",
    [{"norm": "x"}, {"model": "no_such_model"}, {"model": 7}, {"head": "none"}, {"class_names": None}],
)
def test_a_classifier_of_another_version_is_refused_in_words(tmp_path, change):
    path = tmp_path / "classifier.safetensors"
    description = {"model": "test_resnet", "head": "conv", "class_names": ["cat"]} | change
    save_file({"x": torch.zeros(1)}, path, metadata={"network": json.dumps(description)})
    with pytest.raises(WeightsError, match=r"classifier\.safetensors: this version cannot build"):
        load_classifier(path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="holds no classifier"):
        load_classifier(path)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "test_resnet.safetensors"
    save_file(timm.create_model("test_efficientnet").state_dict(), path)
    with pytest.raises(WeightsError, match="does not fit test_resnet"):
        build_classifier(CNN, path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "resnet18", "head": "dense"}, "a CNN takes 'conv'"),
        ({"model": "resnet1800", "head": "conv"}, "timm has no model 'resnet1800'; near: .*resnet"),
        ({"model": "resnet18", "head": "conv", "pooling": "max"}, "choose one of"),
    ],
)
def test_a_wrong_network_says_what_it_takes(fields, message):
    with pytest.raises(ConfigError, match=message):
        Network(class_names=NAMES, **fields)


def test_a_vit_head_on_a_cnn_is_refused():
    with pytest.raises(ConfigError, match="cannot be built as a vit"):
        build_classifier(Network(model="test_resnet", head="cls", class_names=NAMES))


def test_a_class_token_head_needs_a_class_token():
    with pytest.raises(ConfigError, match="test_vit2 has no class token"):
        build_classifier(Network(model="test_vit2", head="cls+patch", class_names=NAMES))


def test_class_maps_need_a_patch_head():
    vit = build_classifier(Network(model="test_vit", head="cls", class_names=NAMES))
    with pytest.raises(ConfigError, match="no patch head"):
        vit.class_maps(IMAGES)


@pytest.mark.parametrize(
    ("model", "head"), [("tf_efficientnet_lite0", "conv"), ("vit_small_patch14_dinov2", "cls+patch")]
)
def test_real_weights_fit(weights_dir, model, head):
    classifier = build_classifier(Network(model=model, head=head, class_names=NAMES), weights_dir).eval()
    with torch.no_grad():
        assert classifier.predict(torch.rand(1, 3, 56, 56)).shape == (1, 3)
