"""The `grad-cam` package's methods, on networks that stay as they were."""

import numpy as np
import pytest
import pytorch_grad_cam
import torch

from orandnet_core.cams import PACKAGE_METHODS, package_cam
from orandnet_core.errors import ConfigError, RangeError, ShapeError
from tests.orandnet_core.cams.conftest import make_cnn, make_vit
from tests.orandnet_core.cams.test_compute import state_of


@pytest.mark.parametrize(
    ("method", "kind"), [(name, kind) for name in PACKAGE_METHODS for kind in ("cnn", "vit")]
)
def test_every_method_on_every_network_it_fits(method, kind, image):
    classifier = make_cnn() if kind == "cnn" else make_vit("cls", reg_tokens=1)
    if kind not in PACKAGE_METHODS[method]:
        with pytest.raises(ConfigError, match=f"{method}.*is not for a vit: choose one of GradCAM"):
            package_cam(classifier, image, [2], method)
        return
    classifier.train().requires_grad_(False)
    before = state_of(classifier)
    cam = package_cam(classifier, image, [2, 3], method)
    assert cam.shape == (2, 50, 70)
    assert cam.dtype == np.float32
    assert 0 <= cam.min() <= cam.max() <= 1
    assert state_of(classifier) == before


def test_the_table_names_what_the_package_has():
    classes = {name for name, thing in vars(pytorch_grad_cam).items() if hasattr(thing, "get_cam_image")}
    assert classes == set(PACKAGE_METHODS)


def test_on_an_error_of_the_package_the_network_is_as_it_was(image):
    vit = make_vit()
    before = state_of(vit)
    with pytest.raises(ConfigError, match="grad-cam's GradCAM fails on layer 'head'"):
        package_cam(vit, image, [1], "GradCAM", layer="head")
    assert state_of(vit) == before


def test_what_cannot_be_is_refused(image):
    cnn = make_cnn()
    with pytest.raises(ConfigError, match="'BestCAM' is not for a cnn"):
        package_cam(cnn, image, [1], "BestCAM")
    with pytest.raises(ConfigError, match="no layer 'layer9'"):
        package_cam(cnn, image, [1], "GradCAM", layer="layer9")
    with pytest.raises(RangeError, match="knows 1 to 4"):
        package_cam(cnn, image, [5], "GradCAM")
    with pytest.raises(ShapeError, match="uint8"):
        package_cam(cnn, image.astype(np.float32), [1], "GradCAM")


def test_no_class_no_map(image):
    assert package_cam(make_cnn(), image, [], "GradCAM").shape == (0, 50, 70)


def test_where_gradients_are_switched_off(image):
    cnn = make_cnn()
    expected = package_cam(cnn, image, [1], "GradCAM", long_side_px=96)
    with torch.inference_mode():
        np.testing.assert_allclose(
            package_cam(cnn, image, [1], "GradCAM", long_side_px=96), expected, atol=1e-5
        )
