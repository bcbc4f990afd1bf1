"""Class activation map of a ViT's patch tokens, and its refinement by attention or by features."""

import torch
from torch import Tensor

from orandnet_core.backbones import VitClassifier
from orandnet_core.cams.affinity import correlation, spread
from orandnet_core.cams.vit import attention_of, block_inputs, check_plain, to_grid
from orandnet_core.errors import ConfigError

AFFINITIES = ("attention", "features")


def patch_cam(
    classifier: VitClassifier,
    images: Tensor,
    classes: Tensor,
    *,
    affinity_steps: int = 0,
    affinity: str = "attention",
    affinity_blocks: int | None = None,
    affinity_power: int = 4,
    class_attention: bool = False,
) -> Tensor:
    """Score every patch token by the patch head.

    Args:
        images: (B, 3, H, W) normalised, sides multiples of the patch.
        classes: (K,) from 0.
        affinity_steps: how often each patch's scores are replaced by their mean over all patches,
            weighted by affinity; so they stay within the range they had.
        affinity: `attention`, the patches' attention to each other (Xu et al., MCTformer, CVPR 2022); or
            `features`, how alike their tokens are after a third and two thirds of the blocks, which still
            know more of parts than of classes: see `affinity.correlation`. Scores below 0 count as 0 then,
            as in a CNN's `cam`.
        affinity_blocks: how many of the last blocks `attention` is averaged over; None is all.
        affinity_power: of `features`: the higher, the more the likest patches count.
        class_attention: multiply the scores by the class token's attention to each patch,
            averaged over all blocks (Gao et al., TS-CAM, ICCV 2021).

    Returns:
        (B, K, h, w) scores, unbounded.

    Raises:
        ConfigError: settings out of range or that do not go together, no patch head, no class token to
            ask, or attention asked for of a network that is no plain ViT.
        RangeError: features of more patches than memory is meant for.
    """
    if affinity_steps < 0 or affinity_power < 1 or (affinity_blocks is not None and affinity_blocks < 1):
        raise ConfigError(
            f"affinity_steps {affinity_steps} must be 0 or more, affinity_blocks {affinity_blocks} and "
            f"affinity_power {affinity_power} 1 or more"
        )
    if affinity not in AFFINITIES:
        raise ConfigError(f"affinity {affinity!r}: choose one of {', '.join(AFFINITIES)}")
    if not affinity_steps and not class_attention:
        with torch.no_grad():
            return classifier.class_maps(images)[:, classes]
    if classifier.patch_head is None:
        raise ConfigError(f"{classifier.network.model} has no patch head: train with head='cls+patch'")
    if affinity == "features":
        if class_attention:
            raise ConfigError("class_attention goes with affinity 'attention', not with 'features'")
        return _with_features(classifier, images, classes, affinity_steps, affinity_power)
    check_plain(classifier, "patch_cam with attention")
    if class_attention and not classifier.backbone.has_class_token:
        raise ConfigError(f"{classifier.network.model} has no class token: set class_attention to false")
    return _with_attention(classifier, images, classes, affinity_steps, affinity_blocks, class_attention)


@torch.no_grad()
def _with_features(
    classifier: VitClassifier, images: Tensor, classes: Tensor, steps: int, power: int
) -> Tensor:
    backbone = classifier.backbone
    depth = len(backbone.blocks)
    # After a third and two thirds of the blocks, rounded up; counted from 0.
    blocks = sorted({-(-depth * third // 3) - 1 for third in (1, 2)})
    tokens, levels = backbone.forward_intermediates(images, indices=blocks)
    grid_hw = levels[0].shape[-2:]
    patches = tokens[:, backbone.num_prefix_tokens :].transpose(1, 2).unflatten(2, grid_hw)
    scores = classifier.patch_head(patches)[:, classes].clamp(min=0)
    return spread(scores.flatten(2), correlation(levels, grid_hw, power), steps).unflatten(2, grid_hw)


@torch.no_grad()
def _with_attention(
    classifier: VitClassifier,
    images: Tensor,
    classes: Tensor,
    affinity_steps: int,
    affinity_blocks: int | None,
    class_attention: bool,
) -> Tensor:
    backbone = classifier.backbone
    prefix = backbone.num_prefix_tokens
    between = block_inputs(backbone, images)
    first = max(0, len(backbone.blocks) - (affinity_blocks or len(backbone.blocks)))
    affinity = from_class_token = torch.zeros(())
    for index, (block, tokens) in enumerate(zip(backbone.blocks, between, strict=False)):
        if index < first and not class_attention:
            continue
        attention = attention_of(block, tokens)
        from_class_token = from_class_token + attention[:, 0, prefix:]
        if index >= first:
            affinity = affinity + attention[:, prefix:, prefix:]
    patches = backbone.norm(between[-1])[:, prefix:].transpose(1, 2)
    scores = classifier.patch_head(patches[:, :, None])[:, classes, 0]  # (B, K, n)
    if class_attention:
        scores = scores * (from_class_token / len(backbone.blocks))[:, None]
    scores = spread(scores, affinity, affinity_steps)
    prefixed = torch.cat((scores.new_zeros(*scores.shape[:2], prefix), scores), 2)
    return to_grid(prefixed, classifier, images)
