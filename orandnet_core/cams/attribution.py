"""Transformer attribution: relevance and gradients of every attention, rolled out from the class token.

Chefer, Gur and Wolf, "Transformer Interpretability Beyond Attention Visualization", CVPR
2021, which the ORANDNet paper makes its ViT's CAMs with.
"""

from collections.abc import Callable

import torch
from timm.layers import GluMlp, Mlp
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from orandnet_core.backbones import VitClassifier
from orandnet_core.cams.relevance import Rule, linear_rule, matmul_rule, product_rule, sum_rule
from orandnet_core.cams.vit import (
    BlockTrace,
    Visit,
    block_inputs,
    check_plain,
    descend,
    target_tokens,
    to_grid,
)

BlockRule = Callable[[Tensor], tuple[Tensor, Tensor]]


def transformer_attribution(classifier: VitClassifier, images: Tensor, classes: Tensor) -> Tensor:
    """Attribute each class's logit to the patches.

    With A the attention of a block, grad its gradient and R its relevance, both of the
    class's logit, the row of the class token is taken from the product over the blocks of
    `I + mean over heads of max(grad * R, 0)`. Where only patches have a head, the rows of
    the patches that the logit was read from take the class token's place.

    One forward pass, then one sweep down through the blocks for all classes, which takes
    the memory of one block: neither grows with the depth times the number of classes.

    Args:
        images: (B, 3, H, W) normalised, sides multiples of the patch.
        classes: (K,) from 0.

    Returns:
        (B, K, h, w), at least 0, in no unit of its own.

    Raises:
        ConfigError: the network is no plain ViT.
    """
    check_plain(classifier, "transformer_attribution", mlp_kinds=(Mlp, GluMlp))
    between = block_inputs(classifier.backbone, images)
    with torch.no_grad():
        tokens = classifier.backbone.norm(between[-1])
    rows = list(target_tokens(classifier, tokens, classes))
    relevance = head_relevance(classifier, tokens, rows, classes)

    def enter(block: Block, trace: BlockTrace) -> Visit:
        rule = block_rule(block, trace)

        def visit(k: int, attention_gradient: Tensor) -> None:
            relevance[k], of_attention = rule(relevance[k])
            seen = (attention_gradient * of_attention).clamp(min=0).mean(1)
            rows[k] = rows[k] + (rows[k][:, None] @ seen)[:, 0]

        return visit

    descend(classifier, between, classes, enter)
    return to_grid(torch.stack(rows, 1), classifier, images)


def head_relevance(
    classifier: VitClassifier, tokens: Tensor, rows: list[Tensor], classes: Tensor
) -> list[Tensor]:
    """Relevance of the last block's output for each class, 1 in all for each image.

    Args:
        tokens: (B, N, D) after the final normalisation.
        rows: K tensors (B, N) from `target_tokens`.

    Returns:
        K tensors (B, N, D).
    """
    head = classifier.patch_head if classifier.cls_head is None else classifier.cls_head
    with torch.no_grad():
        rule = linear_rule(tokens, head.weight.flatten(1))
        relevance = []
        for row, index in zip(rows, classes, strict=True):
            of_logits = tokens.new_zeros(*tokens.shape[:2], classifier.class_count)
            of_logits[:, :, index] = row
            relevance.append(rule(of_logits))
    return relevance


def block_rule(block: Block, trace: BlockTrace) -> BlockRule:
    """The rule of one whole block.

    Returns:
        A rule from the relevance of what the block gave, (B, N, D), to that of what it was
        given, (B, N, D), and that of its attention, (B, M, N, N). The former sums to what came
        in; the latter is a station on the way.
    """
    attn = block.attn
    with torch.no_grad():
        after_mlp = sum_rule(trace.middle, trace.mlp_branch)
        mlp = _mlp_rule(block.mlp, trace.mlp_in)
        after_attention = sum_rule(trace.tokens, trace.attention_branch)
        projection = linear_rule(trace.projection_in, attn.proj.weight)
        mixing = matmul_rule(trace.attention, trace.value)
        matching = matmul_rule(trace.query, trace.key.transpose(-1, -2))
        qkv = linear_rule(trace.attention_in, attn.qkv.weight)

    @torch.no_grad()
    def rule(relevance: Tensor) -> tuple[Tensor, Tensor]:
        skipped, of_branch = after_mlp(relevance)
        relevance = skipped + mlp(of_branch)
        skipped, of_branch = after_attention(relevance)
        of_context = projection(of_branch).unflatten(2, (attn.num_heads, attn.head_dim)).transpose(1, 2)
        of_attention, of_value = mixing(of_context)
        of_query, of_key = matching(of_attention)
        of_qkv = torch.stack((of_query, of_key.transpose(-1, -2), of_value), 1)  # (B, 3, M, N, d)
        return skipped + qkv(of_qkv.permute(0, 3, 1, 2, 4).flatten(2)), of_attention

    return rule


def _mlp_rule(mlp: nn.Module, inputs: Tensor) -> Rule:
    first_layer = linear_rule(inputs, mlp.fc1.weight)
    hidden = mlp.fc1(inputs)
    gated = isinstance(mlp, GluMlp)
    if gated:
        left, right = hidden.chunk(2, -1)
        active = left * mlp.act(right) if mlp.gate_last else mlp.act(left) * right
    else:
        active = mlp.act(hidden)
    second_layer = linear_rule(mlp.norm(active), mlp.fc2.weight)

    def rule(relevance: Tensor) -> Tensor:
        relevance = second_layer(relevance)
        return first_layer(torch.cat(product_rule(relevance), -1) if gated else relevance)

    return rule
