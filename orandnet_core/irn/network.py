"""The inter-pixel relation network: a boundary map and a displacement field on any timm pyramid.

Source: Ahn, Cho and Kwak, "Weakly Supervised Learning of Instance Segmentation with Inter-pixel
Relations", CVPR 2019, section 4.1. Both branches see all levels of the backbone through 1x1
convolutions alone and answer on a grid of a quarter of the image.

Where the paper enlarges maps, joins them and convolves the whole, each map here is convolved by its
own part of the kernel, enlarged, and added. Both steps are linear and the kernel is 1x1, so this is
the same function, at the cost of the small maps.

Shape legend: B images, (H, W) their size, (h, w) a quarter of it, rounded up.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from orandnet_core.errors import ConfigError, ShapeError, WeightsError
from orandnet_core.weights import build_backbone, load_described, save_described

STRIDE = 4
NORM_GROUP = 8  # channels that GroupNorm treats as one


@dataclass(frozen=True, kw_only=True)
class IrnNetwork:
    """What an IRN is made of; saved beside its weights, so that a file is enough.

    Attributes:
        model: timm name of a backbone with features at several strides.
        output_stride: 16 keeps the last stage of a ResNet at double resolution, as published;
            None leaves the backbone as timm has it.
        boundary_channels: of each level in the boundary branch, 32 as published.
        displacement_channels: at most, of each level in the displacement branch, 256 as published.
    """

    model: str
    output_stride: int | None = None
    boundary_channels: int = 32
    displacement_channels: int = 256

    def __post_init__(self):
        if not timm.is_model(self.model.split(".")[0]):
            near = ", ".join(timm.list_models(f"*{self.model[:6]}*")[:5])
            raise ConfigError(f"timm has no model {self.model!r}" + (f"; near: {near}" if near else ""))
        for name in ("boundary_channels", "displacement_channels"):
            channels = getattr(self, name)
            if channels < NORM_GROUP or channels % NORM_GROUP:
                raise ConfigError(f"{name} {channels}: must be a multiple of {NORM_GROUP}")


class Irn(nn.Module):
    """Both branches on one backbone.

    In evaluation mode `mean_displacement` is taken off the displacement field: pairs say only how
    displacements differ, so that their mean over a data set drifts freely in training, and is
    set to zero afterwards by `centre_displacement`.
    """

    def __init__(self, network: IrnNetwork, backbone: nn.Module):
        super().__init__()
        self.network = network
        self.backbone = backbone
        self.frozen = False
        levels = backbone.feature_info.channels()
        reductions = backbone.feature_info.reduction()
        self.unit_px = max(STRIDE, *reductions)
        self.boundary = _Boundary(levels, network.boundary_channels)
        self.displacement = _Displacement(levels, network.displacement_channels)
        config = backbone.pretrained_cfg
        self.register_buffer("mean", torch.tensor(config["mean"]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config["std"]).view(3, 1, 1), persistent=False)
        self.register_buffer("mean_displacement", torch.zeros(2, 1, 1))

    def normalise(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] or uint8 -> what the backbone was trained on."""
        if images.dtype == torch.uint8:
            images = images.float() / 255
        return (images - self.mean) / self.std

    def freeze_backbone(self) -> None:
        """Keep the backbone's weights and batch statistics, as published."""
        self.frozen = True
        self.backbone.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Irn":
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) normalised -> boundary logits (B, h, w), displacement (B, 2, h, w) in cells."""
        height, width = images.shape[-2:]
        grid = -(-height // STRIDE), -(-width // STRIDE)
        padded = F.pad(images, (0, -width % self.unit_px, 0, -height % self.unit_px), mode="replicate")
        grid_hw = padded.shape[-2] // STRIDE, padded.shape[-1] // STRIDE
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            levels = self.backbone(padded)
            # What is finer than the grid is brought to it first, as by the pooling of a ResNet's stem.
            levels = [_pooled(level, level.shape[-2] // grid_hw[0]) for level in levels]
        logits = self.boundary(levels, grid_hw)[:, 0, : grid[0], : grid[1]]
        displacement = self.displacement(levels, grid_hw)[..., : grid[0], : grid[1]]
        return logits, displacement if self.training else displacement - self.mean_displacement


class _Boundary(nn.Module):
    """Every level reduced to a few channels, and all of them to one map."""

    def __init__(self, levels: list[int], channels: int):
        super().__init__()
        self.reduce = nn.ModuleList(_block(count, channels) for count in levels)
        self.fuse = nn.ModuleList(nn.Conv2d(channels, 1, 1, bias=False) for _ in levels)
        self.bias = nn.Parameter(torch.zeros(1, 1, 1, 1))

    def forward(self, levels: list[Tensor], grid_hw: tuple[int, int]) -> Tensor:
        """Features, the finest first -> (B, 1, h, w) logits."""
        each = zip(self.reduce, self.fuse, levels, strict=True)
        return self.bias + sum(_resized(fuse(reduce(level)), grid_hw) for reduce, fuse, level in each)


class _Displacement(nn.Module):
    """A top-down pathway: from the coarsest level on, enlarge, join the next finer one, reduce."""

    def __init__(self, levels: list[int], channels: int):
        super().__init__()
        widths = [max(NORM_GROUP, min(count, channels) // NORM_GROUP * NORM_GROUP) for count in levels]
        self.reduce = nn.ModuleList(_block(*sizes) for sizes in zip(levels, widths, strict=True))
        coarser = [*[channels] * (len(levels) - 2), widths[-1]]
        self.own = nn.ModuleList(nn.Conv2d(width, channels, 1, bias=False) for width in widths[:-1])
        self.from_coarser = nn.ModuleList(nn.Conv2d(width, channels, 1, bias=False) for width in coarser)
        self.after = nn.ModuleList(_norm(channels) for _ in coarser)
        self.decode = nn.Sequential(_block(channels, channels), nn.Conv2d(channels, 2, 1, bias=False))

    def forward(self, levels: list[Tensor], grid_hw: tuple[int, int]) -> Tensor:
        """Features, the finest first -> (B, 2, h, w)."""
        *finer, merged = (reduce(level) for reduce, level in zip(self.reduce, levels, strict=True))
        for k in reversed(range(len(finer))):
            own = self.own[k](finer[k])
            merged = self.after[k](own + _resized(self.from_coarser[k](merged), own.shape[-2:]))
        return self.decode(_resized(merged, grid_hw))


def build_irn(
    network: IrnNetwork, weights: str | Path = "none", *, backbone_state: dict[str, Tensor] | None = None
) -> Irn:
    """Make an IRN with fresh branches.

    Args:
        network: what to build.
        weights: where the backbone's come from, as `build_backbone` takes them.
        backbone_state: weights of the whole backbone, of a classifier that is at hand, instead.

    Raises:
        WeightsError: the weights cannot be found or do not fit.
        ConfigError: the backbone has no features at several strides, or does not take the output stride.
    """
    if backbone_state is None and str(weights) != "none":
        # Loaded into the whole network first, which is strict: features alone leave layers out, so
        # that a file of another network could pass for one that fits.
        backbone_state = build_backbone(network.model, weights).state_dict()
    options = {"output_stride": network.output_stride} if network.output_stride else {}
    try:
        backbone = timm.create_model(network.model, features_only=True, **options)
        reductions = backbone.feature_info.reduction()
    except (RuntimeError, TypeError, AttributeError, NotImplementedError, AssertionError) as error:
        raise ConfigError(
            f"{network.model} with output_stride {network.output_stride} gives no features that an IRN "
            f"can take ({type(error).__name__}: {error})"
        ) from None
    if len(set(reductions)) < 2:
        raise ConfigError(
            f"{network.model} has features at stride {reductions[0]} alone; take a CNN with a pyramid"
        )
    if backbone_state is not None:
        _load_features(backbone, network.model, backbone_state)
    return Irn(network, backbone)


def save_irn(path: Path, irn: Irn, *, half: bool = False) -> None:
    """Write network and weights to one safetensors file, atomically; `half` stores float16."""
    save_described(path, irn, "irn", asdict(irn.network), half=half)


def load_irn(path: Path | str) -> Irn:
    """Rebuild an IRN from a file of `save_irn`, in evaluation mode.

    Raises:
        WeightsError: the file is missing, damaged, or holds something else.
    """
    return load_described(
        Path(path),
        "irn",
        "inter-pixel relation network",
        "python -m train irn",
        lambda fields: build_irn(IrnNetwork(**fields)),
    )


@torch.inference_mode()
def relations(irn: Irn, image: np.ndarray) -> tuple[Tensor, Tensor]:
    """Boundary map and displacement field of a photograph.

    Args:
        irn: in evaluation mode, on any device.
        image: (H, W, 3) uint8 RGB.

    Returns:
        boundary (h, w) float32 in [0, 1], from the mean logit of the photograph and its mirror
        image; displacement (2, h, w) float32, rows then columns, in cells of the grid.

    Raises:
        ShapeError: the image is not (H, W, 3) uint8.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError(f"image is {image.dtype} {image.shape}; it must be (H, W, 3) uint8")
    device = next(irn.parameters()).device
    height, width = image.shape[:2]
    photo = irn.normalise(torch.tensor(image, device=device).permute(2, 0, 1)[None])
    # Padded before it is mirrored, so that both see the same cells.
    photo = F.pad(photo, (0, -width % irn.unit_px, 0, -height % irn.unit_px), mode="replicate")
    logits, displacement = irn(torch.cat((photo, photo.flip(3))))
    boundary = torch.sigmoid((logits[0] + logits[1].flip(1)).float() / 2)
    grid = (..., slice(-(-height // STRIDE)), slice(-(-width // STRIDE)))
    return boundary[grid], displacement[0].float()[grid]


@torch.inference_mode()
def centre_displacement(irn: Irn, batches: Iterable[Tensor]) -> None:
    """Set `mean_displacement`: the mean over all cells of all images, as published.

    Args:
        irn: on any device; it is left in evaluation mode.
        batches: of images (B, 3, H, W) uint8; none leave the mean as it is.
    """
    irn.eval()
    total, count = torch.zeros_like(irn.mean_displacement), 0
    for images in batches:
        displacement = irn(irn.normalise(images.to(total.device)))[1] + irn.mean_displacement
        total += displacement.sum((0, 2, 3)).view(2, 1, 1)
        count += displacement[:, 0].numel()
    if count:
        irn.mean_displacement.copy_(total / count)


def _load_features(features: nn.Module, model: str, state: dict[str, Tensor]) -> None:
    """Load a whole backbone's weights into its features, which timm may have wrapped and renamed."""

    def plain(name: str) -> str:
        return name.removeprefix("model.").replace(".", "_")

    by_name = {plain(name): value for name, value in state.items()}
    names = features.state_dict().keys()
    try:
        features.load_state_dict({name: by_name[plain(name)] for name in names if plain(name) in by_name})
    except RuntimeError as error:
        raise WeightsError(f"the weights do not fit {model}'s features ({error})") from None


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, bias=False), _norm(channels_out))


def _norm(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.GroupNorm(channels // NORM_GROUP, channels), nn.ReLU(inplace=True))


def _pooled(maps: Tensor, factor: int) -> Tensor:
    return F.avg_pool2d(maps, factor) if factor > 1 else maps


def _resized(maps: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Enlarged bilinearly; as they are at that size."""
    if maps.shape[-2:] == size_hw:
        return maps
    return F.interpolate(maps, size_hw, mode="bilinear", align_corners=False)
