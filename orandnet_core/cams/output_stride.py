"""A trained CNN at a finer stride."""

import dataclasses

import torch

from orandnet_core.backbones import Classifier, build_classifier
from orandnet_core.errors import ConfigError

OUTPUT_STRIDES = (8, 16, 32)


def with_output_stride(classifier: Classifier, output_stride: int | None) -> Classifier:
    """The same CNN with its last stages at another stride: finer maps from the same weights.

    timm keeps the field of view by dilating the convolutions, so a network trained at
    stride 32 can infer at 16.

    Args:
        output_stride: 8, 16 or 32; None gives the classifier back.

    Returns:
        A new classifier in evaluation mode on the same device, or the one given if its
        stride is already so.

    Raises:
        ConfigError: another stride, the classifier is a ViT, or timm cannot build it so.
    """
    if output_stride is None or output_stride == classifier.network.output_stride:
        return classifier
    if classifier.network.kind != "cnn":
        raise ConfigError(
            f"output_stride {output_stride}: only CNNs have one; a ViT's maps get finer with long_side_px"
        )
    if output_stride not in OUTPUT_STRIDES:
        raise ConfigError(f"output_stride {output_stride}: choose one of {OUTPUT_STRIDES}")
    strided = build_classifier(dataclasses.replace(classifier.network, output_stride=output_stride))
    strided.load_state_dict(classifier.state_dict())
    device = next(classifier.parameters()).device
    return strided.to(device, memory_format=torch.channels_last).eval()
