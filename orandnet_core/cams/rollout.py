"""Attention rolled out from the top of a ViT to its patches, with and without gradients."""

import torch
from timm.models.vision_transformer import Block
from torch import Tensor

from orandnet_core.backbones import VitClassifier
from orandnet_core.cams.vit import (
    BlockTrace,
    Visit,
    attention_of,
    block_inputs,
    check_plain,
    descend,
    target_tokens,
    to_grid,
)


def gradient_rollout(classifier: VitClassifier, images: Tensor, classes: Tensor) -> Tensor:
    """Attention weighted by its gradient (Chefer, Gur and Wolf, ICCV 2021, section 3.1).

    With A the attention of a block and grad its gradient of the class's logit, the row of
    the class token is taken from the product of `I + mean over heads of max(grad * A, 0)`;
    without a class head, the rows of the patches that the logit was read from.

    Args:
        images: (B, 3, H, W) normalised, sides multiples of the patch.
        classes: (K,) from 0.

    Returns:
        (B, K, h, w), at least 0, in no unit of its own.

    Raises:
        ConfigError: the network is no plain ViT.
    """
    check_plain(classifier, "gradient_rollout")
    between = block_inputs(classifier.backbone, images)
    with torch.no_grad():
        rows = list(target_tokens(classifier, classifier.backbone.norm(between[-1]), classes))

    def enter(_: Block, trace: BlockTrace) -> Visit:
        def visit(k: int, attention_gradient: Tensor) -> None:
            seen = (attention_gradient * trace.attention).clamp(min=0).mean(1)
            rows[k] = rows[k] + (rows[k][:, None] @ seen)[:, 0]

        return visit

    descend(classifier, between, classes, enter)
    return to_grid(torch.stack(rows, 1), classifier, images)


def attention_rollout(classifier: VitClassifier, images: Tensor, classes: Tensor) -> Tensor:
    """Attention alone (Abnar and Zuidema, ACL 2020): the product over the blocks of `(I + A) / 2`.

    It shows what the class token looks at, whatever the class: with a class head the maps
    of all classes are the same.

    Args:
        images: (B, 3, H, W) normalised, sides multiples of the patch.
        classes: (K,) from 0.

    Returns:
        (B, K, h, w) in [0, 1]; with those of the tokens that are no patches they sum to 1.

    Raises:
        ConfigError: the network is no plain ViT.
    """
    check_plain(classifier, "attention_rollout")
    between = block_inputs(classifier.backbone, images)
    with torch.no_grad():
        rows = target_tokens(classifier, classifier.backbone.norm(between[-1]), classes)  # (K, B, N)
        for block, tokens in zip(reversed(classifier.backbone.blocks), reversed(between[:-1]), strict=True):
            attention = attention_of(block, tokens)
            rows = (rows + (rows[:, :, None] @ attention)[:, :, 0]) / 2
    return to_grid(rows.transpose(0, 1), classifier, images)
