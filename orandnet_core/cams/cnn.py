"""Class activation map of a CNN (Zhou et al., CVPR 2016), and its refinement by the CNN's own features."""

import torch
from torch import Tensor

from orandnet_core.backbones import CnnClassifier
from orandnet_core.cams.affinity import correlation, spread
from orandnet_core.errors import ConfigError

AFFINITY_STAGES = 3  # the last ones: of a ResNet those with strides 8, 16 and 32


def cam(
    classifier: CnnClassifier,
    images: Tensor,
    classes: Tensor,
    *,
    affinity_steps: int = 0,
    affinity_power: int = 4,
) -> Tensor:
    """Weigh the last feature map by a class's weights; no gradient, all classes in one pass.

    Args:
        images: (B, 3, H, W) normalised.
        classes: (K,) from 0.
        affinity_steps: how often each cell's scores, what speaks against a class left out, are replaced
            by their mean over the cells that look alike to the network's last three stages; see
            `affinity.correlation`. It carries scores from an object's telling parts to the rest of it.
        affinity_power: the higher, the more the likest cells count, and the more steps it takes.

    Returns:
        (B, K, h, w) scores, unbounded. Without affinity their mean is the class's logit; with it they
        are at least 0.

    Raises:
        ConfigError: steps below 0 or a power below 1, or affinity asked for of a network that does not
            show its features.
        RangeError: affinity between more cells than memory is meant for.
    """
    if affinity_steps < 0 or affinity_power < 1:
        raise ConfigError(
            f"affinity_steps {affinity_steps} must be 0 or more, affinity_power {affinity_power} 1 or more"
        )
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        if not affinity_steps:
            return classifier.class_maps(images)[:, classes]
        if not hasattr(classifier.backbone, "forward_intermediates"):
            raise ConfigError(
                f"{classifier.network.model} does not show its features: set affinity_steps to 0"
            )
        last, stages = classifier.backbone.forward_intermediates(images, indices=AFFINITY_STAGES)
        grid_hw = last.shape[-2:]
        scores = classifier.head(last)[:, classes].clamp(min=0)
        alike = correlation(stages, grid_hw, affinity_power)
        return spread(scores.flatten(2), alike, affinity_steps).unflatten(2, grid_hw)
