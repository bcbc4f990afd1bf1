"""Patch CAM, and its refinement by attention worked out patch by patch."""

from operator import mul

import pytest
import torch
from torch.nn import functional as F

from orandnet_core.cams.patch import patch_cam
from orandnet_core.cams.vit import block_inputs
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


@pytest.mark.parametrize("registers", [0, 3])
def test_affinity_of_features_spreads_scores_to_patches_that_look_alike(registers, images):
    vit = make_vit(reg_tokens=registers)
    plain = patch_cam(vit, images, CLASSES).clamp(min=0).flatten(2)
    settings = {"affinity_steps": 2, "affinity": "features", "affinity_power": 3}
    refined = patch_cam(vit, images, CLASSES, **settings).flatten(2)
    with torch.no_grad():
        between = block_inputs(vit.backbone, images)
        # Of three blocks: what the first and the second leave.
        first, second = (tokens[:, vit.backbone.num_prefix_tokens :] for tokens in between[1:3])
        for image in range(2):
            seen = [
                torch.cat((a / a.norm(), b / b.norm()))
                for a, b in zip(first[image], second[image], strict=True)
            ]
            alike = [[max(0, float(F.cosine_similarity(a, b, 0))) ** 3 for b in seen] for a in seen]
            for k in range(2):
                scores = list(plain[image, k])
                for _ in range(2):
                    scores = [sum(map(mul, row, scores)) / sum(row) for row in alike]
                torch.testing.assert_close(refined[image, k], torch.stack(scores), rtol=1e-3, atol=1e-4)


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
        ({"head": "patch"}, {"affinity_steps": 1, "affinity_power": 0}, "affinity_power 0"),
        (
            {"head": "patch"},
            {"affinity_steps": 1, "affinity": "feature"},
            "choose one of attention, features",
        ),
        (
            {"head": "patch"},
            {"affinity": "features", "class_attention": True},
            "goes with affinity 'attention'",
        ),
    ],
)
def test_what_cannot_be_is_refused(build, options, words, images):
    with pytest.raises(ConfigError, match=words):
        patch_cam(make_vit(**build), images, CLASSES, **options)


def test_plain_patch_cam_asks_nothing_of_the_attention(images):
    assert patch_cam(make_vit("patch", attn_layer="diff"), images, CLASSES).shape == (2, 2, 3, 4)
