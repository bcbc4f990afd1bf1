"""The deterministic mode, by what a CPU shows: equal numbers, and no operation that a GPU cannot repeat."""

import pytest
import timm
import torch
from timm.layers import resample_abs_pos_embed
from timm.models import vision_transformer

from orandnet_core.backbones import Network, build_classifier
from tests.orandnet_core.test_segmentation_loss import operations
from train.determinism import make_deterministic, resampled_position_embedding


@pytest.fixture
def deterministic(monkeypatch):
    """The mode for this test alone."""
    monkeypatch.setattr(vision_transformer, "resample_abs_pos_embed", resample_abs_pos_embed)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    benchmark = torch.backends.cudnn.benchmark
    yield make_deterministic
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = benchmark


@pytest.mark.parametrize("prefix", [0, 1, 5])
@pytest.mark.parametrize("new", [(16, 16), (5, 9), (37, 20), (40, 41), (37, 37)])
def test_matrices_resample_as_timm_does_and_have_its_gradient(prefix, new):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1, prefix + 37 * 37, 6, generator=generator)
    weight = torch.randn(1, prefix + new[0] * new[1], 6, generator=generator)
    ours, theirs = (values.clone().requires_grad_() for _ in range(2))
    made = resampled_position_embedding(ours, new, (37, 37), prefix)
    expected = resample_abs_pos_embed(theirs, new, (37, 37), prefix)
    torch.testing.assert_close(made, expected, atol=1e-6, rtol=1e-5)
    (made * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        assert torch.equal(resampled_position_embedding(ours, new, (37, 37), prefix), expected)


def test_half_precision_does_not_reach_the_embedding():
    values = torch.randn(1, 1 + 49, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = resample_abs_pos_embed(values, (4, 5), (7, 7))
    with torch.autocast("cpu", torch.bfloat16):
        made = resampled_position_embedding(values, (4, 5), (7, 7))
    torch.testing.assert_close(made, expected, atol=1e-6, rtol=1e-5)


def test_a_vit_that_learns_at_another_size_resamples_nothing_bicubically(deterministic):
    network = Network(model="test_vit", head="cls+patch", class_names=("a",))
    assert timm.get_pretrained_cfg("test_vit").input_size[-1] != 96
    classifier, images = build_classifier(network).eval(), torch.zeros(1, 3, 96, 96)
    before = classifier(images)
    assert any("Bicubic" in name for name in operations(before.sum()))
    deterministic()
    after = classifier(images)
    assert not any("Bicubic" in name for name in operations(after.sum()))
    torch.testing.assert_close(after, before, atol=1e-6, rtol=1e-5)
