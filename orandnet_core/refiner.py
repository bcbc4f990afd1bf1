"""The OR -> AND network (ORANDNet): from where either network finds a class to where both would.

Park and Shim, "Precision matters" (AAAI-EIW 2024, arXiv 2406.19638). It is fully convolutional and sees
one class map at a time, so that it knows nothing of classes: every class of an image is a sample.
Two architectures have one interface: the paper's FCN-8s on VGG-16, and a small one.

Shape legend: N maps (the classes of B images, one after the other), (h, w) cells; K classes of one image.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from orandnet_core.errors import ConfigError, ShapeError
from orandnet_core.store import resize_maps
from orandnet_core.weights import build_backbone, load_described, save_described

__all__ = [
    "ARCHITECTURES",
    "LOSSES",
    "Refiner",
    "RefinerNetwork",
    "build_refiner",
    "load_refiner",
    "photo_cells",
    "refine_cam",
    "refiner_loss",
    "save_refiner",
    "softmax_reference_loss",
]

VGG = "vgg16"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's photos, as VGG-16 saw them
SMALL_WIDTHS = (16, 32, 64, 128)
LEAST = 0.01  # below it, and above 1 less it, scores count as the same: their logits would have no end


@dataclass(frozen=True, kw_only=True)
class RefinerNetwork:
    """What a refiner is made of; saved beside its weights, so that a file is enough.

    Attributes:
        architecture: a key of `ARCHITECTURES`.
        guidance: whether it also sees the photo.
        cell_px: side in pixels of the photo of what one cell of its maps stands for; 4 is the
            resolution at which CAMs are stored, 1 that of the photo.
    """

    architecture: str = "small"
    guidance: bool = False
    cell_px: int = 4

    def __post_init__(self):
        if self.architecture not in ARCHITECTURES:
            raise ConfigError(f"architecture {self.architecture!r}: choose one of {tuple(ARCHITECTURES)}")
        if self.cell_px < 1:
            raise ConfigError(f"cell_px {self.cell_px}: a cell is at least 1 pixel")


class Refiner(nn.Module, ABC):
    """What both architectures share: input, and an output that lies on it to the cell.

    Halving and doubling keep cells in place only where sides are multiples of the stride. So maps
    of other sizes are lengthened at the right and the bottom by zeros, which is also what the
    convolutions see beyond a border, and the output is cut back.

    Attributes:
        network: what it is made of.
        stride: cells of the input to a cell of the coarsest features.
    """

    stride: int

    def __init__(self, network: RefinerNetwork):
        super().__init__()
        self.network = network
        self.in_channels = 4 if network.guidance else 1
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, maps: Tensor, photos: Tensor | None = None) -> Tensor:
        """(N, 1, h, w) OR maps in [0, 1] -> (N, 1, h, w) logits of the AND maps.

        Args:
            photos: (N, 3, h, w) uint8, the photo of each map; needed with guidance, unused without.

        Raises:
            ShapeError: maps of another shape, or photos that are missing or of another size.
        """
        if maps.ndim != 4 or maps.shape[1] != 1:
            raise ShapeError(f"maps are {tuple(maps.shape)}; they must be (N, 1, h, w)")
        height, width = maps.shape[-2:]
        if self.network.guidance:
            expected = (len(maps), 3, height, width)
            if photos is None or tuple(photos.shape) != expected:
                found = None if photos is None else tuple(photos.shape)
                raise ShapeError(f"photos are {found}; a refiner with guidance takes {expected}")
            maps = torch.cat([maps, (photos.float() / 255 - self.mean) / self.std], 1)
        maps = F.pad(maps, (0, -width % self.stride, 0, -height % self.stride))
        return self.scores(maps)[..., :height, :width]

    @abstractmethod
    def scores(self, inputs: Tensor) -> Tensor:
        """(N, 1 or 4, h, w), sides multiples of the stride -> (N, 1, h, w) logits."""


class SmallRefiner(Refiner):
    """A U-Net (Ronneberger et al., MICCAI 2015) of some 440,000 parameters that says what to change.

    Its answer is added to the map that it got, as logits, and is 0 before it has learned anything:
    details need not find their way through it, and a short training already gives sharp maps.
    There are no normalisation layers: their statistics would depend on the other maps of a batch,
    or on how much of a map is border.
    """

    stride = 2 ** (len(SMALL_WIDTHS) - 1)

    def __init__(self, network: RefinerNetwork, weights: str | Path = "none"):
        super().__init__(network)
        if str(weights) != "none":
            raise ConfigError(f"weights {weights}: the small refiner starts from nothing, 'none'")
        inputs = (self.in_channels, *SMALL_WIDTHS)
        self.down = nn.ModuleList(
            nn.Sequential(_conv3x3(before, width), nn.ReLU(), _conv3x3(width, width), nn.ReLU())
            for before, width in zip(inputs, SMALL_WIDTHS, strict=False)
        )
        self.up = nn.ModuleList(
            nn.Sequential(_conv3x3(coarse + fine, fine), nn.ReLU())
            for fine, coarse in zip(SMALL_WIDTHS, SMALL_WIDTHS[1:], strict=False)
        )
        self.change = _zero_score(SMALL_WIDTHS[0])

    def scores(self, inputs: Tensor) -> Tensor:
        features = [self.down[0](inputs)]
        for stage in self.down[1:]:
            features.append(stage(F.max_pool2d(features[-1], 2)))
        coarse = features.pop()
        for stage, fine in zip(reversed(self.up), reversed(features), strict=True):
            coarse = stage(torch.cat([_enlarged(coarse, 2), fine], 1))
        return torch.logit(inputs[:, :1], eps=LEAST) + self.change(coarse)


class Fcn8sRefiner(Refiner):
    """FCN-8s on VGG-16 (Long et al., CVPR 2015), with one output and the map as its first channel.

    It differs from the paper in what aligns it: the 7x7 convolution that was VGG's first linear layer
    is padded by 3 on all sides instead of the image by 100, and scores are enlarged by bilinear
    interpolation alone, with which FCN's own enlarging layers start.
    """

    stride = 32

    def __init__(self, network: RefinerNetwork, weights: str | Path = "none"):
        super().__init__(network)
        vgg = build_backbone(VGG, weights)
        _replace_first(vgg.features, self.in_channels)
        pools = [i + 1 for i, layer in enumerate(vgg.features) if isinstance(layer, nn.MaxPool2d)]
        self.to_pool3 = vgg.features[: pools[2]]
        self.to_pool4 = vgg.features[pools[2] : pools[3]]
        self.to_pool5 = vgg.features[pools[3] :]
        first, second = vgg.pre_logits.fc1, vgg.pre_logits.fc2
        first.padding = (3, 3)
        self.linear = nn.Sequential(
            first, nn.ReLU(inplace=True), nn.Dropout(0.5), second, nn.ReLU(inplace=True), nn.Dropout(0.5)
        )
        self.score_pool3 = _zero_score(_width(self.to_pool3))
        self.score_pool4 = _zero_score(_width(self.to_pool4))
        self.score = _zero_score(second.out_channels)

    def scores(self, inputs: Tensor) -> Tensor:
        pool3 = self.to_pool3(inputs)
        pool4 = self.to_pool4(pool3)
        coarse = self.score(self.linear(self.to_pool5(pool4)))
        coarse = _enlarged(coarse, 2) + self.score_pool4(pool4)
        coarse = _enlarged(coarse, 2) + self.score_pool3(pool3)
        return _enlarged(coarse, 8)


ARCHITECTURES: dict[str, type[Refiner]] = {"small": SmallRefiner, "fcn8s": Fcn8sRefiner}


def build_refiner(network: RefinerNetwork, weights: str | Path = "none") -> Refiner:
    """Make a refiner.

    Args:
        network: what to build.
        weights: where VGG-16's come from (see `build_backbone`); the small refiner takes `none`.

    Raises:
        WeightsError: the weights cannot be found or do not fit.
        ConfigError: weights for the small refiner.
    """
    return ARCHITECTURES[network.architecture](network, weights)


def refine_cam(
    refiner: Refiner,
    or_cam: np.ndarray,
    photo: np.ndarray | None = None,
    *,
    output_hw: tuple[int, int] | None = None,
) -> np.ndarray:
    """Refine the maps of one image.

    Args:
        refiner: in evaluation mode, on any device.
        or_cam: (K, h, w) in [0, 1], at the refiner's `cell_px`.
        photo: (H, W, 3) uint8 of any size; needed with guidance.
        output_hw: size of the refined maps; None is that of `or_cam`.

    Returns:
        (K, h, w) or (K, *output_hw) float32 in [0, 1]; the largest cell of a class is 1, or all are 0
        where the class had no cell above 0 before.

    Raises:
        ShapeError: the maps are not (K, h, w), or a photo is needed.
    """
    or_cam = np.asarray(or_cam, np.float32)
    if or_cam.ndim != 3:
        raise ShapeError(f"or_cam is {or_cam.shape}; it must be (K, h, w)")
    output_hw = output_hw or or_cam.shape[1:]
    if not len(or_cam):
        return np.empty((0, *output_hw), np.float32)
    device = refiner.mean.device
    photos = None
    if refiner.network.guidance and photo is not None:
        photos = torch.from_numpy(photo_cells(photo, or_cam.shape[1:])).expand(len(or_cam), -1, -1, -1)
        photos = photos.to(device)
    with torch.inference_mode():
        logits = refiner(torch.from_numpy(or_cam)[:, None].to(device), photos)
        refined = logits.float().sigmoid()[:, 0].cpu().numpy()
    if output_hw != or_cam.shape[1:]:
        refined = resize_maps(refined, output_hw)
    # Where nothing was found, dividing by the maximum would make something of the network's rest.
    refined *= or_cam.max((1, 2), keepdims=True) > 0
    peak = refined.max((1, 2), keepdims=True)
    return np.divide(refined, peak, out=refined, where=peak > 0)


def photo_cells(photo: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 -> (3, h, w) uint8, each cell the average of the pixels that it covers."""
    height, width = hw
    if photo.shape[:2] != (height, width):
        photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(photo.transpose(2, 0, 1))


def refiner_loss(logits: Tensor, and_cam: Tensor, inside: Tensor, class_counts: Sequence[int]) -> Tensor:
    """Per-cell binary cross entropy against the soft AND: of each map the mean, of each image the sum.

    It departs from the published loss, `softmax_reference_loss`, which compares the classes of an
    image with each other by a softmax over those present. A softmax over one channel is 1 whatever
    the network says, so that an image with a single class (59% of VOC's train_aug) has no gradient;
    and as it only weighs classes against each other, it is blind to the level of a map against the
    background, which is what a threshold cuts at. Here each map is a question of its own.

    Args:
        logits: (N, 1, h, w).
        and_cam: (N, 1, h, w) in [0, 1].
        inside: (N, 1, h, w) bool, false where a cell lies beyond the image.
        class_counts: B numbers of classes; they add up to N.

    Returns:
        Scalar, the mean over images. The sum over an image's maps gives every map the same weight,
        and sharing the images among processes changes nothing.
    """
    _check_counts(logits, class_counts)
    losses = F.binary_cross_entropy_with_logits(logits.float(), and_cam, reduction="none") * inside
    per_map = losses.sum((1, 2, 3)) / inside.sum((1, 2, 3)).clamp(min=1)
    return per_map.sum() / len(class_counts)


def softmax_reference_loss(
    logits: Tensor, and_cam: Tensor, inside: Tensor, class_counts: Sequence[int]
) -> Tensor:
    """The published loss, to reproduce it: cross entropy of a softmax over the classes present in an image.

    Per cell, - sum_k and_k log softmax_k(logits). See `refiner_loss` for why it is no default: for an
    image with one class it is 0, and so is its gradient.

    Args, Returns: as `refiner_loss`; the mean is over each image's cells, then over images.
    """
    _check_counts(logits, class_counts)
    total = logits.new_zeros((), dtype=torch.float32)
    for scores, target, valid in zip(
        *(maps.split(list(class_counts)) for maps in (logits.float(), and_cam, inside)), strict=True
    ):
        losses = -(target * scores.log_softmax(0) * valid).sum()
        total = total + losses / valid[0].sum().clamp(min=1)
    return total / len(class_counts)


LOSSES = {"binary": refiner_loss, "reference": softmax_reference_loss}


def save_refiner(path: Path, refiner: Refiner, *, half: bool = False) -> None:
    """Write network and weights to one safetensors file, atomically.

    Args:
        half: store float16, for release; training continues from checkpoints, not from here.
    """
    save_described(path, refiner, "refiner", asdict(refiner.network), half=half)


def load_refiner(path: Path | str) -> Refiner:
    """Rebuild a refiner from a file of `save_refiner`, in evaluation mode.

    Raises:
        WeightsError: the file is missing, damaged, or holds something else.
    """
    return load_described(
        Path(path),
        "refiner",
        "refiner",
        "python -m train refine",
        lambda fields: build_refiner(RefinerNetwork(**fields)),
    )


def _conv3x3(before: int, after: int) -> nn.Conv2d:
    conv = nn.Conv2d(before, after, 3, padding=1)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)
    return conv


def _zero_score(width: int) -> nn.Conv2d:
    """As FCN has it: says nothing before it has learned something."""
    score = nn.Conv2d(width, 1, 1)
    nn.init.zeros_(score.weight)
    nn.init.zeros_(score.bias)
    return score


def _width(layers: nn.Sequential) -> int:
    """Channels that the last convolution gives."""
    return next(layer.out_channels for layer in reversed(layers) if isinstance(layer, nn.Conv2d))


def _enlarged(maps: Tensor, factor: int) -> Tensor:
    """Every cell becomes factor x factor cells around the same centre."""
    return F.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)


def _replace_first(layers: nn.Sequential, in_channels: int) -> None:
    """Let a convolution made for photos take a map first: it starts as a photo that is grey."""
    before = layers[0]
    after = nn.Conv2d(in_channels, before.out_channels, 3, padding=1)
    with torch.no_grad():
        after.weight[:, :1] = before.weight.sum(1, keepdim=True)
        after.weight[:, 1:] = before.weight[:, : in_channels - 1]
        after.bias.copy_(before.bias)
    layers[0] = after


def _check_counts(logits: Tensor, class_counts: Sequence[int]) -> None:
    if sum(class_counts) != len(logits):
        raise ShapeError(f"{len(logits)} maps of images with {list(class_counts)} classes")
