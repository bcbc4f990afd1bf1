"""Grad-CAM against the `grad-cam` package and, where both are the same thing, against the CAM."""

import numpy as np
import pytest
import torch

from orandnet_core.cams import compute_cam, package_cam
from orandnet_core.cams.gradcam import grad_cam
from orandnet_core.errors import ConfigError
from tests.orandnet_core.cams.conftest import make_cnn, make_vit

CLASSES = torch.tensor([3, 1])


def stretched(maps: np.ndarray) -> np.ndarray:
    """Each map over [0, 1], as the package gives it."""
    low = maps.min((1, 2), keepdims=True)
    return (maps - low) / (maps.max((1, 2), keepdims=True) - low)


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("cnn", ""),
        ("cnn", "layer3"),
        ("cnn", "layer2"),
        ("vit", ""),
        ("vit", "blocks.1"),
        ("vit", "blocks.2.norm2"),
    ],
)
def test_it_is_the_packages(kind, layer, image):
    classifier = make_cnn() if kind == "cnn" else make_vit("patch" if layer == "blocks.2.norm2" else "cls")
    # At a size that needs no resizing, which each does in its own way.
    photo = np.ascontiguousarray(image[:32, :64])
    theirs = package_cam(classifier, photo, [1, 2, 3, 4], "GradCAM", layer=layer)
    ours = compute_cam(classifier, photo, [1, 2, 3, 4], "grad_cam", flip=False, layer=layer)
    assert theirs.max() > 0.9
    for our, their in zip(ours, theirs, strict=True):
        if their.max() > 0:  # where nothing speaks for the class, both are 0
            our = stretched(our[None])[0]
        np.testing.assert_allclose(our, their, atol=2e-2)
        assert np.abs(our - their).mean() < 2e-3


def test_at_the_last_map_under_mean_pooling_it_is_the_cam(image):
    cnn = make_cnn()
    ours, cams = (compute_cam(cnn, image, [1, 4], method, flip=False) for method in ("grad_cam", "cam"))
    np.testing.assert_allclose(ours, cams, atol=1e-4)


def test_in_a_layer_that_the_logit_does_not_depend_on_it_is_zero(images):
    # The class token's logit sees no other token of the last block's output.
    assert not grad_cam(make_vit("cls"), images, CLASSES, layer="blocks.2").any()


@pytest.mark.parametrize(
    ("kind", "layer", "words"),
    [
        ("cnn", "layer9", "no layer 'layer9'; names begin with conv1"),
        ("cnn", "fc", "takes no part"),
        ("vit", "patch_embed", "no feature map"),
        ("vit", "blocks.0.attn.q_norm", "no feature map"),
        ("vit", "head", "takes no part"),
    ],
)
def test_a_layer_that_does_not_fit_is_named(kind, layer, words, images):
    classifier = make_cnn() if kind == "cnn" else make_vit()
    with pytest.raises(ConfigError, match=words):
        grad_cam(classifier, images, CLASSES, layer=layer)
    assert not any(module._forward_hooks for module in classifier.modules())


def test_a_network_without_blocks_needs_a_layer_named(images):
    vit = make_vit()
    vit.backbone.stages = vit.backbone.blocks
    del vit.backbone.blocks
    with pytest.raises(ConfigError, match="name the layer"):
        grad_cam(vit, images, CLASSES)
