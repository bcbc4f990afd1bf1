"""One image at several sizes and mirrored: what every method shares.

Shape legend: B = 2 with the mirrored image, else 1; (H, W) the photograph's size.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from orandnet_core.backbones import Classifier
from orandnet_core.errors import RangeError

# What a network sees of a photograph at scale 1 at most, if no `long_side_px` is asked for: the largest of
# COCO, and about the largest that recipes train on. A ViT's attention grows with the square of it.
MAX_PIXELS = 640 * 640
MAX_INPUT_PIXELS = 50_000_000  # at any scale and `long_side_px`; beyond it, a setting is a mistake


def side_unit_px(classifier: Classifier) -> int:
    """What image sides must be multiples of: a ViT's patch, or the stride of a CNN's last map.

    A CNN takes any size, but only at multiples does each cell of its map cover the same
    share of the image, so that the enlarged map lies where it should.
    """
    if classifier.network.kind == "vit":
        return classifier.patch_px
    stages = getattr(classifier.backbone, "feature_info", None)
    return stages[-1]["reduction"] if stages else 32


def input_hw(
    size_hw: tuple[int, int], scale: float, unit_px: int, long_side_px: int | None = None
) -> tuple[int, int]:
    """The size at which a network sees a photograph.

    Args:
        size_hw: of the photograph, in pixels.
        scale: factor on it.
        unit_px: both sides are rounded to the nearest multiple of this, at least one.
        long_side_px: what the long side is at scale 1; None leaves the photograph's size, or reduces
            it in proportion to `MAX_PIXELS`.

    Raises:
        RangeError: the scale is not positive, or scale and `long_side_px` ask for more than 50 million
            pixels.
    """
    if not 0 < scale < math.inf:
        raise RangeError(f"scale {scale}: must be positive")
    at_scale_1 = (
        long_side_px / max(size_hw) if long_side_px else min(1, math.sqrt(MAX_PIXELS / math.prod(size_hw)))
    )
    factor = scale * at_scale_1
    height, width = (max(1, round(side * factor / unit_px)) * unit_px for side in size_hw)
    if height * width > MAX_INPUT_PIXELS:
        raise RangeError(
            f"scale {scale} makes a photograph of {size_hw[1]} x {size_hw[0]} px {width} x {height}; "
            f"at most {MAX_INPUT_PIXELS:,} pixels: take a smaller scale or long_side_px"
        )
    return height, width


def views(
    classifier: Classifier, image: np.ndarray, sizes_hw: list[tuple[int, int]], flip: bool
) -> Iterator[Tensor]:
    """The photograph at every size, mirrored beside itself, as the network expects it.

    Args:
        image: (H, W, 3) uint8 RGB.

    Yields:
        (B, 3, h, w) float32 normalised, on the network's device.
    """
    device = next(classifier.parameters()).device
    photograph = torch.tensor(image, device=device).permute(2, 0, 1)[None].float() / 255
    for size_hw in sizes_hw:
        resized = F.interpolate(
            photograph, size_hw, mode="bilinear", align_corners=False, antialias=True
        ).clamp(0, 1)
        both = torch.cat((resized, resized.flip(3))) if flip else resized
        yield classifier.normalise(both)


def merged(maps: Tensor, output_hw: tuple[int, int]) -> Tensor:
    """Turn the mirrored maps back, average both, and enlarge them.

    Args:
        maps: (B, K, h, w).

    Returns:
        (K, H, W), bilinear with `align_corners=False`.
    """
    upright = (maps[0] + maps[1].flip(2)) / 2 if len(maps) == 2 else maps[0]
    return F.interpolate(upright[None], output_hw, mode="bilinear", align_corners=False)[0]
