"""A CNN at a finer stride: finer maps from the same weights."""

import pytest
import torch

from orandnet_core.cams import compute_cam, with_output_stride
from orandnet_core.errors import ConfigError
from tests.orandnet_core.cams.conftest import make_cnn, make_vit


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet"])
def test_output_stride(model, image):
    cnn = make_cnn(model)
    fine = with_output_stride(cnn, 16)
    assert fine is not cnn
    assert fine.network.output_stride == 16
    assert cnn.network.output_stride is None
    assert not fine.training
    view = torch.zeros(1, 3, 64, 96)
    with torch.no_grad():
        assert cnn.class_maps(view).shape == (1, 4, 2, 3)
        assert fine.class_maps(view).shape == (1, 4, 4, 6)
    for name, value in cnn.state_dict().items():
        torch.testing.assert_close(fine.state_dict()[name], value)
    assert compute_cam(fine, image, [1], "cam").shape == (1, 50, 70)


def test_output_stride_that_is_there_or_cannot_be():
    cnn, vit = make_cnn(), make_vit()
    assert with_output_stride(cnn, None) is cnn
    fine = with_output_stride(cnn, 16)
    assert with_output_stride(fine, 16) is fine
    assert with_output_stride(vit, None) is vit
    with pytest.raises(ConfigError, match="only CNNs"):
        with_output_stride(vit, 16)
    with pytest.raises(ConfigError, match=r"output_stride 12: choose one of \(8, 16, 32\)"):
        with_output_stride(cnn, 12)
