"""Grad-CAM of a CNN or a ViT at any layer (Selvaraju et al., ICCV 2017)."""

import torch
from torch import Tensor, nn

from orandnet_core.backbones import Classifier, pool
from orandnet_core.cams.borrow import output_changed
from orandnet_core.errors import ConfigError


def grad_cam(classifier: Classifier, images: Tensor, classes: Tensor, *, layer: str = "") -> Tensor:
    """Weigh a layer's channels by the mean of their gradients.

    Nothing below the layer takes part in the backward passes; one forward pass serves all classes.

    Args:
        images: (B, 3, H, W) normalised; for a ViT, sides multiples of the patch.
        classes: (K,) from 0.
        layer: name of a module of the backbone, such as `layer3` or `blocks.8.norm1`. By
            default the last feature map of a CNN, where Grad-CAM of mean pooling is the CAM,
            and the normalisation before the last attention of a ViT.

    Returns:
        (B, K, h, w) of the layer's own grid, unbounded, in no unit of its own.

    Raises:
        ConfigError: no such layer, or one without positions.
    """
    features, logits = _run_with_leaf(classifier, images, layer)

    def spatial(values: Tensor) -> Tensor:
        return values if values.ndim == 4 else tokens_to_map(classifier, values, images)

    activations, maps = spatial(features.detach()), []
    for index in classes:
        (gradient,) = torch.autograd.grad(
            logits[:, index].sum(), features, retain_graph=True, materialize_grads=True
        )
        weights = spatial(gradient).mean((2, 3), keepdim=True)
        maps.append((weights * activations).sum(1))
    return torch.stack(maps, 1)


def _run_with_leaf(classifier: Classifier, images: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """The layer's output, cut off from what is below, and the (B, C) logits that follow from it."""
    if not layer and classifier.network.kind == "cnn":
        with torch.no_grad():
            features = classifier.backbone.forward_features(images)
        features.requires_grad_()
        with torch.enable_grad():
            return features, pool(classifier.head(features), classifier.network.pooling)
    module = layer_named(classifier, layer)
    dims = 4 if classifier.network.kind == "cnn" else 3
    leaves: list[Tensor] = []

    def cut(output: Tensor) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != dims:
            raise ConfigError(f"layer {layer!r} gives no feature map; choose a stage, a block or its norm")
        leaves.append(output.detach().requires_grad_())
        return leaves[-1].clone()  # what follows may work in place, which a leaf forbids

    with torch.enable_grad(), output_changed(module, cut):
        logits = classifier(images)[:, 0]
    if not leaves:
        raise ConfigError(f"layer {layer!r} takes no part in the forward pass; choose another")
    return leaves[-1], logits


def layer_named(classifier: Classifier, layer: str) -> nn.Module:
    """A module of the backbone; without a name, the normalisation before a ViT's last attention.

    Raises:
        ConfigError: there is no module of that name.
    """
    backbone = classifier.backbone
    if not layer and not hasattr(backbone, "blocks"):
        raise ConfigError(f"{classifier.network.model} has no blocks: name the layer to look at")
    try:
        return backbone.get_submodule(layer or f"blocks.{len(backbone.blocks) - 1}.norm1")
    except AttributeError:
        begins = ", ".join(name for name, _ in backbone.named_children())
        raise ConfigError(
            f"{classifier.network.model} has no layer {layer!r}; names begin with {begins}"
        ) from None


def tokens_to_map(classifier: Classifier, tokens: Tensor, images: Tensor) -> Tensor:
    """(B, N, D) tokens -> (B, D, h, w) of the patches."""
    side = classifier.patch_px
    grid_hw = images.shape[-2] // side, images.shape[-1] // side
    patches = tokens[:, classifier.backbone.num_prefix_tokens :]
    if patches.shape[1] != grid_hw[0] * grid_hw[1]:
        raise ConfigError(
            f"a layer of {patches.shape[1]} tokens is no grid of {grid_hw}; choose a block or its norm"
        )
    return patches.transpose(1, 2).unflatten(2, grid_hw)
