"""Class activation map of a ViT's patch tokens, and its refinement by attention."""

import torch
from torch import Tensor

from orandnet_core.backbones import VitClassifier
from orandnet_core.cams.affinity import spread
from orandnet_core.cams.vit import attention_of, block_inputs, check_plain, to_grid
from orandnet_core.errors import ConfigError


def patch_cam(
    classifier: VitClassifier,
    images: Tensor,
    classes: Tensor,
    *,
    affinity_steps: int = 0,
    affinity_blocks: int | None = None,
    class_attention: bool = False,
) -> Tensor:
    """Score every patch token by the patch head.

    Args:
        images: (B, 3, H, W) normalised, sides multiples of the patch.
        classes: (K,) from 0.
        affinity_steps: how often each patch's scores are replaced by the mean that its
            attention to the other patches gives (Xu et al., MCTformer, CVPR 2022). Rows are
            made to sum to 1, so scores stay within the range they had.
        affinity_blocks: how many of the last blocks the affinity is averaged over; None is all.
        class_attention: multiply the scores by the class token's attention to each patch,
            averaged over all blocks (Gao et al., TS-CAM, ICCV 2021).

    Returns:
        (B, K, h, w) scores, unbounded.

    Raises:
        ConfigError: no patch head, no class token to ask, or attention asked for of a
            network that is no plain ViT.
    """
    if affinity_steps < 0 or (affinity_blocks is not None and affinity_blocks < 1):
        raise ConfigError(
            f"affinity_steps {affinity_steps} must be 0 or more, affinity_blocks {affinity_blocks} 1 or more"
        )
    if not affinity_steps and not class_attention:
        with torch.no_grad():
            return classifier.class_maps(images)[:, classes]
    if classifier.patch_head is None:
        raise ConfigError(f"{classifier.network.model} has no patch head: train with head='cls+patch'")
    check_plain(classifier, "patch_cam with attention")
    if class_attention and not classifier.backbone.has_class_token:
        raise ConfigError(f"{classifier.network.model} has no class token: set class_attention to false")
    return _with_attention(classifier, images, classes, affinity_steps, affinity_blocks, class_attention)


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
