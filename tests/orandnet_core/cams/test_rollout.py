"""Rollouts against products of whole matrices, with attention from timm's own forward pass."""

import pytest
import torch
from torch import Tensor

from orandnet_core.cams.rollout import attention_rollout, gradient_rollout
from tests.orandnet_core.cams.conftest import VITS, make_vit


def attentions_of(vit, images: Tensor) -> tuple[list[Tensor], Tensor]:
    """Attention of every block, (B, M, N, N), and the logits, by timm's unfused code."""
    attentions: list[Tensor] = []
    handles = []
    for block in vit.backbone.blocks:
        block.attn.fused_attn = False
        handles.append(block.attn.attn_drop.register_forward_hook(lambda *seen: attentions.append(seen[2])))
    logits = vit(images)[:, 0]
    for handle in handles:
        handle.remove()
    return attentions, logits


@pytest.mark.parametrize("name", [name for name, build in VITS.items() if build.get("class_token", True)])
def test_gradient_rollout(name, images):
    vit = make_vit("cls", **VITS[name])
    maps = gradient_rollout(vit, images, torch.tensor([1, 3]))
    attentions, logits = attentions_of(vit, images)
    prefix, eye = vit.backbone.num_prefix_tokens, torch.eye(attentions[0].shape[-1])
    for k, index in enumerate((1, 3)):
        gradients = torch.autograd.grad(logits[:, index].sum(), attentions, retain_graph=True)
        product = eye
        for attention, gradient in zip(attentions, gradients, strict=True):
            product = (eye + (attention * gradient).clamp(min=0).mean(1)) @ product
        expected = product[:, 0, prefix:].unflatten(1, (3, 4)).detach()
        torch.testing.assert_close(maps[:, k], expected, rtol=1e-3, atol=1e-3 * float(expected.max()))


def test_attention_rollout(images):
    vit = make_vit("cls", reg_tokens=1)
    maps = attention_rollout(vit, images, torch.tensor([1, 3]))
    attentions, _ = attentions_of(vit, images)
    eye = torch.eye(14)
    product = eye
    for attention in attentions:
        product = (eye + attention.mean(1)) / 2 @ product
    expected = product[:, 0, 2:].unflatten(1, (3, 4)).detach()
    torch.testing.assert_close(maps, expected[:, None].expand(-1, 2, -1, -1))


@pytest.mark.parametrize("method", [gradient_rollout, attention_rollout])
def test_without_a_class_head_the_patches_of_the_class_are_rolled_out(method, images):
    vit = make_vit("patch", class_token=False, reg_tokens=1)
    maps = method(vit, images, torch.tensor([0, 1]))
    assert maps.shape == (2, 2, 3, 4)
    assert (maps >= 0).all()
    assert not torch.allclose(maps[:, 0], maps[:, 1])
