"""Small networks with random weights, of every build that the methods must cope with."""

import numpy as np
import pytest
import timm
import torch
from timm.layers import GluMlp, RmsNorm
from torch import nn

from orandnet_core.backbones import (
    Classifier,
    CnnClassifier,
    Network,
    VitClassifier,
    build_classifier,
)
from orandnet_core.cams.scales import input_hw, side_unit_px, views

CLASS_NAMES = ("cat", "dog", "sofa", "train")
PATCH_PX = 16

# What plain ViTs differ in, as arguments to timm's small test ViT.
VITS: dict[str, dict[str, object]] = {
    "plain": {},
    "layer scale": {"init_values": 0.5},
    "query and key norm": {"qk_norm": True},
    "registers": {"reg_tokens": 3},
    "registers without class token": {"class_token": False, "reg_tokens": 2},
    "gated mlp": {"mlp_layer": GluMlp, "act_layer": nn.SiLU},
    "norms inside": {"scale_attn_norm": True, "scale_mlp_norm": True, "norm_layer": RmsNorm},
    "norm before": {"pre_norm": True, "no_embed_class": True, "qkv_bias": False},
}


def make_vit(head: str = "cls+patch", pooling: str = "mean", seed: int = 0, **build: object) -> VitClassifier:
    """A ViT of three blocks whose attention is uneven and whose patch scores have both signs."""
    torch.manual_seed(seed)
    small = {"embed_dim": 24, "depth": 3, "num_heads": 2, "img_size": 64, "dynamic_img_size": True}
    backbone = timm.create_model("test_vit", num_classes=0, global_pool="", **(small | build))
    network = Network(model="test_vit", head=head, class_names=CLASS_NAMES, pooling=pooling)
    classifier = VitClassifier(network, backbone)
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        if classifier.patch_head is not None:
            classifier.eval().patch_head.bias -= classifier.class_maps(_seen_by(classifier)).mean((0, 2, 3))
    return classifier.eval()


def make_cnn(model: str = "test_resnet", seed: int = 0, **network: object) -> CnnClassifier:
    """A small CNN whose batch norms have seen something and whose maps have both signs."""
    torch.manual_seed(seed)
    classifier = build_classifier(
        Network(**{"model": model, "head": "conv", "class_names": CLASS_NAMES} | network)
    )
    nn.init.normal_(classifier.head.weight, std=1.0)
    classifier.train()
    with torch.no_grad():
        classifier(torch.randn(4, 3, 64, 64))
        mean = classifier.eval().backbone.forward_features(_seen_by(classifier)).mean((0, 2, 3))
        weight = classifier.head.weight[:, :, 0, 0]
        weight -= (weight @ mean / (mean @ mean))[:, None] * mean
    return classifier


def photograph() -> np.ndarray:
    """(50, 70, 3) uint8: no side a multiple of a patch, and left is not like right."""
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.linspace(0, 90, 50), np.linspace(0, 90, 70))[:, :, None]
    return (smooth + rng.integers(0, 70, (50, 70, 3))).astype(np.uint8)


def _seen_by(classifier: Classifier) -> torch.Tensor:
    size_hw = input_hw((50, 70), 1.0, side_unit_px(classifier))
    (view,) = views(classifier, photograph(), [size_hw], flip=True)
    return view


@pytest.fixture(params=["cnn", "vit"])
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return make_cnn() if request.param == "cnn" else make_vit()


@pytest.fixture
def image() -> np.ndarray:
    return photograph()


@pytest.fixture
def images() -> torch.Tensor:
    """(2, 3, 48, 64) as a network expects them, the same every time."""
    return torch.randn(2, 3, 48, 64, generator=torch.Generator().manual_seed(1))
