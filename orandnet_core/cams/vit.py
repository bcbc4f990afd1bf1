"""A plain ViT run block by block, with its attention in the open.

timm's blocks use a fused attention that shows no weights. Instead of switching it off in a
network that others may be using, the few methods that need the weights run the block's own
layers here, step by step, on tokens that timm's forward pass left at each block's door.

Shape legend: B images, K classes, N tokens of which the first P are no patches, D width,
M heads of width d, (h, w) the grid of patches.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from timm.layers import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor

from orandnet_core.backbones import VitClassifier, pool
from orandnet_core.errors import ConfigError


@dataclass(frozen=True)
class BlockTrace:
    """What happened in one block.

    Attributes:
        tokens: (B, N, D) what came in.
        attention_in: (B, N, D) after the first normalisation.
        query, key, value: (B, M, N, d), the query scaled.
        attention: (B, M, N, N), rows sum to 1.
        context: (B, M, N, d), `attention @ value`.
        projection_in: (B, N, M d) heads side by side.
        attention_branch: (B, N, D) what the attention adds to the tokens.
        middle: (B, N, D) their sum.
        mlp_in: (B, N, D) after the second normalisation.
        mlp_branch: (B, N, D) what the MLP adds.
        out: (B, N, D) their sum.
    """

    tokens: Tensor
    attention_in: Tensor
    query: Tensor
    key: Tensor
    value: Tensor
    attention: Tensor
    context: Tensor
    projection_in: Tensor
    attention_branch: Tensor
    middle: Tensor
    mlp_in: Tensor
    mlp_branch: Tensor
    out: Tensor

    def detached(self) -> "BlockTrace":
        """The same numbers without their history."""
        return BlockTrace(**{field.name: getattr(self, field.name).detach() for field in fields(self)})


Visit = Callable[[int, Tensor], None]


def check_plain(classifier: VitClassifier, method: str, *, mlp_kinds: tuple[type, ...] = ()) -> None:
    """Raise ConfigError unless every block is built in the one way that this module can follow.

    Args:
        method: named in the message.
        mlp_kinds: what the MLPs may be; empty for any.
    """
    backbone = classifier.backbone
    strange = []
    if not isinstance(backbone, VisionTransformer):
        strange.append(type(backbone).__name__)
    else:
        for block in backbone.blocks:
            if type(block) is not Block:
                strange.append(type(block).__name__)
            elif type(block.attn) is not Attention:
                strange.append(type(block.attn).__name__)
            elif getattr(block.attn, "gate", None) is not None:
                strange.append("gated attention")
            elif mlp_kinds and type(block.mlp) not in mlp_kinds:
                strange.append(type(block.mlp).__name__)
    if strange:
        raise ConfigError(
            f"{method} cannot look into {classifier.network.model} ({strange[0]}); "
            "it needs timm's plain VisionTransformer, so use patch_cam or grad_cam instead"
        )


def block_inputs(backbone: VisionTransformer, images: Tensor) -> list[Tensor]:
    """Run the network once without gradients and keep the tokens between its blocks.

    Args:
        images: (B, 3, H, W) normalised, sides multiples of the patch.

    Returns:
        depth + 1 tensors (B, N, D): the input of every block, then what the last one gives.
    """
    with torch.no_grad():
        tokens = backbone._pos_embed(backbone.patch_embed(images))
        between = [backbone.norm_pre(tokens)]
        for block in backbone.blocks:
            between.append(block(between[-1]))
    return between


def trace_block(block: Block, tokens: Tensor) -> BlockTrace:
    """Run one block step by step; under autograd if the caller's context is."""
    attn = block.attn
    attention_in = block.norm1(tokens)
    query, key, value = _query_key_value(attn, attention_in)
    attention = (query @ key.transpose(-1, -2)).softmax(-1)
    context = attention @ value
    projection_in = attn.norm(context.transpose(1, 2).flatten(2))
    attention_branch = block.ls1(attn.proj(projection_in))
    middle = tokens + attention_branch
    mlp_in = block.norm2(middle)
    mlp_branch = block.ls2(block.mlp(mlp_in))
    return BlockTrace(
        tokens=tokens,
        attention_in=attention_in,
        query=query,
        key=key,
        value=value,
        attention=attention,
        context=context,
        projection_in=projection_in,
        attention_branch=attention_branch,
        middle=middle,
        mlp_in=mlp_in,
        mlp_branch=mlp_branch,
        out=middle + mlp_branch,
    )


def attention_of(block: Block, tokens: Tensor) -> Tensor:
    """(B, N, D) tokens before a block -> (B, N, N) its attention, the mean over heads, no gradients."""
    with torch.no_grad():
        query, key, _ = _query_key_value(block.attn, block.norm1(tokens))
        return (query @ key.transpose(-1, -2)).softmax(-1).mean(1)


def target_tokens(classifier: VitClassifier, tokens: Tensor, classes: Tensor) -> Tensor:
    """Which tokens a class's logit is read from, and how much of it comes from each.

    The class token alone where there is a head on it. Otherwise the patches: what pooling
    takes of each, times its score, where that is positive.

    Args:
        tokens: (B, N, D) after the final normalisation.
        classes: (K,) from 0.

    Returns:
        (K, B, N), at least 0, sums to 1 over N.
    """
    weights = tokens.new_zeros(len(classes), *tokens.shape[:2])
    if classifier.cls_head is not None:
        weights[:, :, 0] = 1
        return weights
    with torch.enable_grad():
        scores = _patch_scores(classifier, tokens.detach())[:, classes].detach().requires_grad_()
        (taken,) = torch.autograd.grad(pool(scores, classifier.network.pooling).sum(), scores)
    scores, taken = scores.detach()[:, :, 0].transpose(0, 1), taken[:, :, 0].transpose(0, 1)
    found = taken * scores.clamp(min=0)
    # A class that no patch speaks for is read from where pooling looked.
    found = torch.where(found.sum(2, keepdim=True) > 0, found, taken)
    weights[:, :, classifier.backbone.num_prefix_tokens :] = found / found.sum(2, keepdim=True)
    return weights


def target_logits(classifier: VitClassifier, tokens: Tensor) -> Tensor:
    """(B, N, D) after the final normalisation -> (B, C) logits, of the class token where it has a head."""
    if classifier.cls_head is not None:
        return classifier.cls_head(tokens[:, 0])
    return pool(_patch_scores(classifier, tokens), classifier.network.pooling)


def descend(
    classifier: VitClassifier,
    between: list[Tensor],
    classes: Tensor,
    enter: Callable[[Block, BlockTrace], Visit],
) -> None:
    """Take the gradients of K logits down through the blocks, last block first, one block at a time.

    Each block is run again from its input under autograd and then let go, so that the
    memory needed is that of one block, however deep the network. One graph serves all classes.

    Args:
        between: from `block_inputs`.
        classes: (K,) from 0.
        enter: called with each block and its trace; what it returns is called for every
            class with the class's place in `classes` and the gradient of its logit with
            respect to the block's attention, (B, M, N, N).
    """
    blocks = classifier.backbone.blocks
    with torch.enable_grad():
        top = between[-1].detach().requires_grad_()
        logits = target_logits(classifier, classifier.backbone.norm(top))
        gradients = [
            torch.autograd.grad(logits[:, index].sum(), top, retain_graph=True)[0] for index in classes
        ]
    for block, tokens in zip(reversed(blocks), reversed(between[:-1]), strict=True):
        with torch.enable_grad():
            entry = tokens.detach().requires_grad_()
            trace = trace_block(block, entry)
        visit = enter(block, trace.detached())
        for k, gradient in enumerate(gradients):
            of_attention, gradients[k] = torch.autograd.grad(
                trace.out, (trace.attention, entry), gradient, retain_graph=True
            )
            visit(k, of_attention)


def to_grid(rows: Tensor, classifier: VitClassifier, images: Tensor) -> Tensor:
    """(..., N) values of tokens -> (..., h, w) those of the patches."""
    side = classifier.patch_px
    patches = rows[..., classifier.backbone.num_prefix_tokens :]
    return patches.unflatten(-1, (images.shape[-2] // side, images.shape[-1] // side))


def _query_key_value(attn: Attention, attention_in: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, N, D) -> three of (B, M, N, d), the query scaled."""
    qkv = attn.qkv(attention_in).unflatten(2, (3, attn.num_heads, attn.head_dim))
    query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    return attn.q_norm(query) * attn.scale, attn.k_norm(key), value


def _patch_scores(classifier: VitClassifier, tokens: Tensor) -> Tensor:
    """(B, N, D) -> (B, C, 1, n) a row of the n patches' scores."""
    patches = tokens[:, classifier.backbone.num_prefix_tokens :]
    return classifier.patch_head(patches.transpose(1, 2)[:, :, None])
