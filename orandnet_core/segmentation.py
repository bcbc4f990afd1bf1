"""The network that pseudo-masks train: DeepLabV3+ or a SegFormer decoder on any timm encoder.

Shape legend: B images, C classes with background, (H, W) the photograph's size, (h, w) the size
at which the network sees it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from orandnet_core.errors import ConfigError, RangeError, ShapeError
from orandnet_core.weights import build_backbone, load_described, save_described

__all__ = [
    "ACTIVATIONS",
    "ARCHITECTURES",
    "MAX_PIXELS",
    "SegmentationNetwork",
    "Segmenter",
    "build_segmenter",
    "class_scores",
    "load_segmenter",
    "save_segmenter",
    "segment",
]

# Chen et al., ECCV 2018; the all-MLP decoder of Xie et al., NeurIPS 2021.
ARCHITECTURES = ("deeplabv3plus", "segformer")
ACTIVATIONS = ("softmax", "sigmoid")
OUTPUT_STRIDES = (8, 16)

# What the network sees of a photograph at scale 1 at most. A larger one is reduced first: this bounds the
# memory, and objects keep about the size in pixels that they had in training.
MAX_PIXELS = 1_000_000
_STRIP_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class SegmentationNetwork:
    """What a segmentation network is made of; saved beside its weights, so that a file is enough.

    Attributes:
        architecture: one of `ARCHITECTURES`.
        encoder: timm name of a network that gives features at strides 4 to 32.
        class_names: the C - 1 foreground classes.
        output_stride: of the encoder under `deeplabv3plus`, 8 or 16; `segformer` takes 32.
        activation: how scores become probabilities: `softmax`, or `sigmoid` where each class was
            trained against the rest.
    """

    architecture: str
    encoder: str
    class_names: tuple[str, ...]
    output_stride: int = 16
    activation: str = "softmax"

    def __post_init__(self):
        if self.architecture not in ARCHITECTURES:
            raise ConfigError(f"architecture {self.architecture!r}: choose one of {ARCHITECTURES}")
        if self.activation not in ACTIVATIONS:
            raise ConfigError(f"activation {self.activation!r}: choose one of {ACTIVATIONS}")
        if self.output_stride not in OUTPUT_STRIDES:
            raise ConfigError(f"output_stride {self.output_stride}: choose one of {OUTPUT_STRIDES}")
        if not timm.is_model(self.encoder.split(".")[0]):
            near = ", ".join(timm.list_models(f"*{self.encoder[:6]}*")[:5])
            raise ConfigError(f"timm has no model {self.encoder!r}" + (f"; near: {near}" if near else ""))

    @property
    def num_classes(self) -> int:
        """Classes with background."""
        return len(self.class_names) + 1

    @property
    def stride(self) -> int:
        """What the sides of the network's input are multiples of."""
        return self.output_stride if self.architecture == "deeplabv3plus" else 32


class Segmenter(nn.Module):
    """A segmentation network with the normalisation that its encoder expects, for images of any size."""

    def __init__(self, network: SegmentationNetwork, model: nn.Module):
        super().__init__()
        self.network = network
        self.model = model
        self.frozen_statistics = False
        config = timm.get_pretrained_cfg(network.encoder)
        mean, std = (
            (config.mean, config.std)
            if config
            else (timm.data.IMAGENET_DEFAULT_MEAN, timm.data.IMAGENET_DEFAULT_STD)
        )
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    @property
    def encoder(self) -> nn.Module:
        """The part that starts from pretrained weights."""
        return self.model.encoder

    def freeze_statistics(self) -> None:
        """Keep the encoder's batch statistics: those of a few small crops are far from an image's."""
        self.frozen_statistics = True
        self.train(self.training)

    def train(self, mode: bool = True) -> "Segmenter":
        """As of any module; frozen statistics stay."""
        super().train(mode)
        if self.frozen_statistics:
            for module in self.encoder.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def normalise(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) in [0, 1] or uint8 -> what the encoder was trained on."""
        if images.dtype == torch.uint8:
            images = images.float() / 255
        return (images - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) normalised -> (B, C, h, w) scores, unbounded.

        Sides that are no multiples of the stride are padded at the right and below with the mean
        colour, and what was padded is cut off again.
        """
        height, width = images.shape[-2:]
        stride = self.network.stride
        scores = self.model(F.pad(images, (0, -width % stride, 0, -height % stride)))
        return scores[..., :height, :width]

    def probabilities(self, scores: Tensor) -> Tensor:
        """(B, C, ...) scores -> probabilities that sum to 1 over the classes."""
        if self.network.activation == "softmax":
            return scores.softmax(1)
        each = scores.sigmoid()
        return each / each.sum(1, keepdim=True).clamp(min=torch.finfo(each.dtype).tiny)


def build_segmenter(
    network: SegmentationNetwork,
    weights: str | Path = "none",
    *,
    backbone_state: Mapping[str, Tensor] | None = None,
) -> Segmenter:
    """Make a segmentation network with a fresh decoder.

    Args:
        network: what to build.
        weights: where the encoder's come from, as `build_backbone` takes them.
        backbone_state: the encoder's weights in place of those: of the whole timm network, its
            classifier left out.

    Raises:
        WeightsError: the weights cannot be found or do not fit.
        ConfigError: the encoder has no features at the strides that the architecture needs.
    """
    if backbone_state is None and str(weights) != "none":
        # Into the whole network first, which is strict: features alone leave layers out, so that a
        # file of another network could pass for one that fits.
        backbone_state = build_backbone(network.encoder, weights).state_dict()
    options: dict[str, object] = {"encoder_weights": None}
    if backbone_state is not None:
        options = {"encoder_weights": True, "pretrained_cfg_overlay": {"state_dict": dict(backbone_state)}}
    if network.architecture == "deeplabv3plus":
        builder, options["encoder_output_stride"] = smp.DeepLabV3Plus, network.output_stride
    else:
        builder = smp.Segformer
    try:
        model = builder(encoder_name=f"tu-{network.encoder}", classes=network.num_classes, **options)
        model.eval()(torch.zeros(1, 3, 2 * network.stride, 2 * network.stride))
    except (TypeError, ValueError, RuntimeError, AssertionError, IndexError) as error:
        raise ConfigError(
            f"{network.encoder} cannot be the encoder of {network.architecture} ({error}); take a network "
            "with features at strides 4, 8, 16 and 32, such as resnet50, tf_efficientnet_lite0 or pvt_v2_b0"
        ) from None
    for module in model.modules():
        if isinstance(module, nn.Upsample | nn.UpsamplingBilinear2d):
            # The library's alignment of corners shifts a map by up to 0.4 of its cells towards the border.
            module.align_corners = False
    return Segmenter(network, model.train())


def save_segmenter(path: Path, segmenter: Segmenter, *, half: bool = False) -> None:
    """Write network and weights to one safetensors file, atomically; `half` stores float16."""
    save_described(path, segmenter, "segmentation", asdict(segmenter.network), half=half)


def load_segmenter(path: Path | str) -> Segmenter:
    """Rebuild a segmentation network from a file of `save_segmenter`, in evaluation mode.

    Raises:
        WeightsError: the file is missing, damaged, or holds something else.
    """
    return load_described(
        Path(path),
        "segmentation",
        "segmentation network",
        "python -m train segment",
        lambda fields: build_segmenter(
            SegmentationNetwork(**fields | {"class_names": tuple(fields["class_names"])})
        ),
    )


def class_scores(
    segmenter: Segmenter,
    image: np.ndarray,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """The probability of every class at every pixel: the mean over scales and mirrored images.

    Args:
        segmenter: in evaluation mode, on any device.
        image: (H, W, 3) uint8 RGB.
        scales: factors on the size.
        flip: add the mirrored image's.
        max_pixels: what the network sees at scale 1 at most; a larger image is reduced first.

    Returns:
        (C, H, W) float32 in [0, 1], the sum over classes 1; enlarged bilinearly with
        `align_corners=False`. For a mask alone, `segment` needs less memory.

    Raises:
        ShapeError: the image is not (H, W, 3) uint8.
        RangeError: a scale is not positive, or there is none.
    """
    scores = _scores(segmenter, image, scales, flip, max_pixels)
    size_hw = image.shape[0], image.shape[1]
    if scores.shape[-2:] == size_hw:
        return scores.cpu().numpy()
    return torch.cat([strip for _, strip in _enlarged(scores, size_hw)], 1).numpy()


def segment(
    segmenter: Segmenter,
    image: np.ndarray,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """The likeliest class of every pixel, (H, W) uint8 in 0..C - 1. Arguments as of `class_scores`."""
    scores = _scores(segmenter, image, scales, flip, max_pixels)
    size_hw = image.shape[0], image.shape[1]
    mask = np.empty(size_hw, np.uint8)
    for start, strip in _enlarged(scores, size_hw):
        mask[start : start + strip.shape[1]] = strip.argmax(0).numpy()
    return mask


@torch.inference_mode()
def _scores(
    segmenter: Segmenter, image: np.ndarray, scales: Sequence[float], flip: bool, max_pixels: int
) -> Tensor:
    """(C, h, w) probabilities on the network's device, (h, w) the photo's size or what it is reduced to."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError(f"image is {image.dtype} {image.shape}; it must be (H, W, 3) uint8")
    if not scales or min(scales) <= 0:
        raise RangeError(f"scales {tuple(scales)}: give at least one, all positive")
    device = next(segmenter.parameters()).device
    photo = torch.tensor(image, device=device).permute(2, 0, 1)[None].float() / 255
    size_hw = _reduced_hw((image.shape[0], image.shape[1]), max_pixels)
    total = torch.zeros(segmenter.network.num_classes, *size_hw, device=device)
    for scale in scales:
        seen = _resized(photo, tuple(max(1, round(side * scale)) for side in size_hw))
        for mirrored in (False, True) if flip else (False,):
            scores = segmenter(segmenter.normalise(seen.flip(3) if mirrored else seen)).float()
            scores = _resized(scores.flip(3) if mirrored else scores, size_hw)
            total += segmenter.probabilities(scores)[0]
    return total / (len(scales) * (2 if flip else 1))


def _resized(images: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """(B, D, ., .) -> (B, D, *size_hw), bilinear, averaged where it shrinks."""
    if images.shape[-2:] == size_hw:
        return images
    return F.interpolate(images, size_hw, mode="bilinear", align_corners=False, antialias=True)


def _reduced_hw(size_hw: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    factor = min(1.0, (max_pixels / (size_hw[0] * size_hw[1])) ** 0.5)
    return max(1, int(size_hw[0] * factor)), max(1, int(size_hw[1] * factor))


def _enlarged(scores: Tensor, size_hw: tuple[int, int]) -> Iterator[tuple[int, Tensor]]:
    """Maps (C, h, w) brought to (H, W), some rows at a time: (first row, (C, rows, W) on the CPU).

    What `F.interpolate(..., mode="bilinear", align_corners=False)` gives in one piece.
    """
    height, width = size_hw
    last = scores.shape[1] - 1
    for start in range(0, height, _STRIP_ROWS):
        rows = torch.arange(start, min(start + _STRIP_ROWS, height), device=scores.device)
        at = ((rows + 0.5) * (scores.shape[1] / height) - 0.5).clamp(0, last)
        above = at.floor().long()
        share = (at - above)[None, :, None]
        strip = torch.lerp(scores[:, above], scores[:, (above + 1).clamp(max=last)], share)
        if strip.shape[2] != width:
            strip = F.interpolate(strip[None], (len(rows), width), mode="bilinear", align_corners=False)[0]
        yield start, strip.cpu()
