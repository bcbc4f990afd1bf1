"""Patch CAM, and its refinement by attention worked out patch by patch."""

import pytest
import torch

from orandnet_core.cams.patch import patch_cam
from orandnet_core.errors import ConfigError
from tests.orandnet_core.cams.conftest import make_vit
from tests.orandnet_core.cams.test_rollout import attentions_of

CLASSES = torch.tensor([3, 1])


def test_it_is_the_patch_heads_score_of_each_patch(images):
    vit = make_vit("patch")
    maps = patch_cam(vit, images, CLASSES)
    with torch.no_grad():
        tokens = vit.backbone.forward_features(images)
        weight, bias = vit.patch_head.weight[3, :, 0, 0], vit.patch_head.bias[3]
        # Row 2, column 1 of four columns is patch 9, after the class token.
        torch.testing.assert_close(maps[1, 0, 2, 1], tokens[1, 1 + 9] @ weight + bias)
        torch.testing.assert_close(maps.mean((2, 3)), vit(images)[:, 0][:, CLASSES])


@pytest.mark.parametrize("blocks", [None, 1, 2])
def test_affinity_spreads_scores_by_attention(blocks, images):
    vit = make_vit(reg_tokens=1)
    plain = patch_cam(vit, images, CLASSES)
    refined = patch_cam(vit, images, CLASSES, affinity_steps=2, affinity_blocks=blocks)
    attentions, _ = attentions_of(vit, images)
    used = attentions[-blocks:] if blocks else attentions
    affinity = torch.stack([attention.mean(1) for attention in used]).mean(0)[:, 2:, 2:]
    expected = torch.zeros(2, 2, 12)
    for image in range(2):
        for k in range(2):
            scores = plain[image, k].flatten()
            for _ in range(2):
                weights = affinity[image] / affinity[image].sum(1, keepdim=True)
                scores = torch.stack([(weights[patch] * scores).sum() for patch in range(12)])
            expected[image, k] = scores
    torch.testing.assert_close(refined.flatten(2), expected.detach(), rtol=1e-4, atol=1e-4)


def test_affinity_keeps_scores_within_their_range(images):
    vit = make_vit()
    plain, refined = (patch_cam(vit, images, CLASSES, affinity_steps=steps) for steps in (0, 5))
    assert (refined.amax((2, 3)) <= plain.amax((2, 3)) + 1e-4).all()
    assert (refined.amin((2, 3)) >= plain.amin((2, 3)) - 1e-4).all()


def test_class_attention_weighs_scores(images):
    vit = make_vit()
    weighed = patch_cam(vit, images, CLASSES, class_attention=True, affinity_blocks=1)
    attentions, _ = attentions_of(vit, images)
    looked_at = torch.stack([attention.mean(1)[:, 0, 1:] for attention in attentions]).mean(0)
    expected = patch_cam(vit, images, CLASSES).flatten(2) * looked_at[:, None].detach()
    torch.testing.assert_close(weighed.flatten(2), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "options", "words"),
    [
        ({"head": "cls"}, {}, "no patch head"),
        ({"head": "cls"}, {"affinity_steps": 1}, "no patch head"),
        ({"head": "patch", "class_token": False}, {"class_attention": True}, "no class token"),
        ({"head": "patch", "attn_layer": "diff"}, {"affinity_steps": 1}, "DiffAttention"),
        ({"head": "patch"}, {"affinity_steps": -1}, "affinity_steps -1"),
        ({"head": "patch"}, {"affinity_steps": 1, "affinity_blocks": 0}, "affinity_blocks 0"),
    ],
)
def test_what_cannot_be_is_refused(build, options, words, images):
    with pytest.raises(ConfigError, match=words):
        patch_cam(make_vit(**build), images, CLASSES, **options)


def test_plain_patch_cam_asks_nothing_of_the_attention(images):
    assert patch_cam(make_vit("patch", attn_layer="diff"), images, CLASSES).shape == (2, 2, 3, 4)
