"""The ViT that is run step by step is timm's own."""

import pytest
import torch
from timm.models.vision_transformer import ParallelScalingBlock

from orandnet_core.backbones import Network, build_classifier
from orandnet_core.cams.vit import (
    attention_of,
    block_inputs,
    check_plain,
    descend,
    target_logits,
    target_tokens,
    to_grid,
    trace_block,
)
from orandnet_core.errors import ConfigError
from tests.orandnet_core.cams.conftest import CLASS_NAMES, VITS, make_vit


@pytest.fixture(params=VITS.values(), ids=VITS.keys())
def vit(request):
    head = "cls+patch" if request.param.get("class_token", True) else "patch"
    return make_vit(head, **request.param)


def test_step_by_step_is_timms_forward_pass(vit, images):
    between = block_inputs(vit.backbone, images)
    with torch.no_grad():
        torch.testing.assert_close(vit.backbone.norm(between[-1]), vit.backbone.forward_features(images))
        torch.testing.assert_close(target_logits(vit, vit.backbone.norm(between[-1])), vit(images)[:, 0])
        for block, tokens, after in zip(vit.backbone.blocks, between, between[1:], strict=False):
            trace = trace_block(block, tokens)
            torch.testing.assert_close(trace.out, after)
            torch.testing.assert_close(trace.attention @ trace.value, trace.context)
            torch.testing.assert_close(trace.attention.sum(-1), torch.ones_like(trace.attention[..., 0]))
            torch.testing.assert_close(attention_of(block, tokens), trace.attention.mean(1))


def test_the_fused_attention_is_left_on(vit, images):
    before = [block.attn.fused_attn for block in vit.backbone.blocks]
    block_inputs(vit.backbone, images)
    assert before == [block.attn.fused_attn for block in vit.backbone.blocks] == [True] * 3


def test_gradients_are_those_of_the_whole_network(vit, images):
    classes = torch.tensor([2, 0])
    found = {}

    def enter(block, trace):
        assert not trace.attention.requires_grad
        depth = [*vit.backbone.blocks].index(block)

        def visit(k, gradient):
            found[depth, k] = gradient

        return visit

    descend(vit, block_inputs(vit.backbone, images), classes, enter)

    attentions = []
    for block in vit.backbone.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda *seen: attentions.append(seen[2]))
    logits = vit(images)[:, 0]
    for k, index in enumerate(classes):
        expected = torch.autograd.grad(logits[:, index].sum(), attentions, retain_graph=True)
        for depth, gradient in enumerate(expected):
            closest = 1e-5 * float(gradient.abs().max())
            torch.testing.assert_close(found[depth, k], gradient, rtol=1e-3, atol=closest)
    assert len(found) == 6


@pytest.mark.parametrize("pooling", ["mean", "top", "log_sum_exp"])
def test_a_logit_of_patches_is_read_where_they_speak_for_the_class(images, pooling):
    vit = make_vit("patch", pooling)
    with torch.no_grad():
        tokens = vit.backbone.forward_features(images)
        scores = vit.class_maps(images).flatten(2)
    weights = target_tokens(vit, tokens, torch.tensor([3, 1]))
    assert weights.shape == (2, 2, 13)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 2))
    assert not weights[:, :, 0].any()
    for k, index in enumerate((3, 1)):
        expected = scores[:, index].clamp(min=0)
        if pooling == "top":
            expected = expected * (scores[:, index] >= scores[:, index].topk(3).values[:, -1:])
        elif pooling == "log_sum_exp":
            expected = expected * (4 * scores[:, index]).softmax(1)
        torch.testing.assert_close(weights[k, :, 1:], expected / expected.sum(1, keepdim=True))


def test_a_class_that_no_patch_speaks_for_is_read_from_all(images):
    vit = make_vit("patch")
    torch.nn.init.constant_(vit.patch_head.bias, -1000)
    with torch.no_grad():
        weights = target_tokens(vit, vit.backbone.forward_features(images), torch.tensor([0]))
    torch.testing.assert_close(weights[0, :, 1:], torch.full((2, 12), 1 / 12))


def test_a_class_head_reads_the_class_token(images):
    vit = make_vit("cls+patch")
    weights = target_tokens(vit, torch.zeros(2, 13, 24), torch.tensor([0, 1, 2]))
    assert weights.sum() == 6
    assert (weights[:, :, 0] == 1).all()


def test_the_grid_leaves_out_what_is_no_patch(images):
    vit = make_vit(reg_tokens=3)
    grid = to_grid(torch.arange(16.0).expand(2, 16), vit, images)
    assert grid.shape == (2, 3, 4)
    assert grid[0].flatten().tolist() == list(range(4, 16))


def test_other_builds_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"rollout cannot look into test_vit \(ParallelScalingBlock\)"):
        check_plain(make_vit(block_fn=ParallelScalingBlock), "rollout")
    with pytest.raises(ConfigError, match="DiffAttention"):
        check_plain(make_vit(attn_layer="diff", num_heads=2), "rollout")
    with pytest.raises(ConfigError, match="Mlp"):
        check_plain(make_vit(), "rollout", mlp_kinds=(torch.nn.Linear,))
    eva = build_classifier(
        Network(model="eva02_tiny_patch14_224", head="cls", class_names=CLASS_NAMES, image_px=28)
    )
    with pytest.raises(ConfigError, match="Eva"):
        check_plain(eva, "rollout")
