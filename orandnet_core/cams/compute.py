"""From a classifier and a photograph to CAMs: the one entry point."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from orandnet_core.backbones import Classifier
from orandnet_core.cams.borrow import borrowed
from orandnet_core.cams.checks import checked_size_hw, class_indices
from orandnet_core.cams.methods import method_for
from orandnet_core.cams.scales import input_hw, merged, side_unit_px, views
from orandnet_core.errors import ConfigError


def compute_cam(
    classifier: Classifier,
    image: np.ndarray,
    class_ids: Sequence[int] | np.ndarray,
    method: str,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = True,
    long_side_px: int | None = None,
    output_hw: tuple[int, int] | None = None,
    normalise: str = "relu",
    **options: object,
) -> np.ndarray:
    """Compute the CAMs of the classes present in one photograph.

    The maps of all scales, and of the mirrored image, are enlarged and summed, then brought
    to [0, 1]. Sessions may call this for the same network at once: they take turns, and the
    network is given back as it was, also on error.

    Args:
        classifier: on any device, in any mode.
        image: (H, W, 3) uint8 RGB.
        class_ids: (K,) the classes present, in 1..C; K may be 0.
        method: a name of `METHODS` that fits the network.
        scales: factors on the image's size. Sides are rounded to multiples of a ViT's
            patch or of a CNN's stride.
        flip: add the mirrored image's maps.
        long_side_px: long side of the image at scale 1; None takes the image as it is, reduced to
            `scales.MAX_PIXELS` (640 x 640) where it has more.
        output_hw: size of the maps; None is that of the image.
        normalise: `relu` keeps what speaks for a class, each scale by itself, and divides
            by the maximum; `minmax` stretches lowest to highest over [0, 1].
        options: further settings of the method, see `Method.options`.

    Returns:
        (K, H, W) float32 in [0, 1], in the order of `class_ids`; the largest pixel of a class
        is 1, or all are 0 where nothing speaks for it (`relu`) or its map is flat (`minmax`).

    Raises:
        ShapeError: the image is not (H, W, 3) uint8.
        RangeError: a class id is outside 1..C, or a scale too large or not positive.
        ConfigError: a method, option or normalisation that there is not.
    """
    chosen = method_for(method, classifier)
    chosen.check(normalise=normalise, **options)
    if not scales:
        raise ConfigError("scales is empty: give at least one, such as 1.0")
    size_hw = checked_size_hw(image)
    classes = class_indices(class_ids, classifier)
    output_hw = output_hw or size_hw
    if not len(classes):
        return np.zeros((0, *output_hw), np.float32)

    unit_px = side_unit_px(classifier)
    sizes_hw = [input_hw(size_hw, scale, unit_px, long_side_px) for scale in scales]
    # Gradients are wanted even where the caller has switched them off.
    with torch.inference_mode(False), borrowed(classifier):
        total: Tensor | float = 0.0
        for images in views(classifier, image, sizes_hw, flip):
            maps = chosen.maps(classifier, images, classes.to(images.device), **options)
            if normalise == "relu":
                maps = maps.clamp(min=0)
            if not chosen.in_logits:
                maps = maps / maps.abs().amax((0, 2, 3), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
            total = total + merged(maps.float(), output_hw)
    return _to_unit_range(total, normalise).cpu().numpy()


def _to_unit_range(maps: Tensor, normalise: str) -> Tensor:
    """(K, H, W) sums -> [0, 1], class by class."""
    low = maps.amin((1, 2), keepdim=True) if normalise == "minmax" else 0.0
    span = maps.amax((1, 2), keepdim=True) - low
    # A flat map says nothing of where: it becomes 0 instead of rounding errors stretched to 1.
    rounding = 1e-5 * maps.abs().amax((1, 2), keepdim=True)
    return torch.where(span > rounding, (maps - low) / span, 0.0).clamp(0, 1)
