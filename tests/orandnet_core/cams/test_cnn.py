"""CNN CAM against its definition."""

import pytest
import torch

from orandnet_core.cams.cnn import cam
from tests.orandnet_core.cams.conftest import make_cnn

CLASSES = torch.tensor([3, 1])


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet"])
def test_it_is_the_features_weighed_by_the_classes_weights(model, images):
    cnn = make_cnn(model)
    maps = cam(cnn, images, CLASSES)
    with torch.no_grad():
        features, weights = cnn.backbone.forward_features(images), cnn.head.weight[:, :, 0, 0]
        expected = torch.stack([(features * weights[k][:, None, None]).sum(1) for k in (3, 1)], 1)
        torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(maps.mean((2, 3)), cnn(images)[:, 0][:, CLASSES], rtol=1e-4, atol=1e-5)


def test_no_gradient_is_kept(images):
    assert not cam(make_cnn(), images, CLASSES).requires_grad
