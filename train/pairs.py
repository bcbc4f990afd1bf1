"""Photographs with their masks as training crops: the same for the same (seed, epoch, image)."""

import logging
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from orandnet_core.datasets import Dataset
from orandnet_core.errors import DataError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.mask_scaling import scale_mask, scaled_hw
from train.config.segment import PairAugmentConfig

log = logging.getLogger(__name__)

Array = np.ndarray
Key = tuple[int, int, int]

_PADDING = 128
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class TrainingPairs(TorchDataset):
    """Augmented crops of photographs and masks, by (epoch, index, side in pixels).

    An image or mask that cannot be read is replaced by the next, with a warning, so that one bad
    file does not end a training of days.

    Args:
        dataset: where the photographs lie.
        image_ids: what is trained on.
        mask_of: image id -> (H, W) uint8, or None where there is none.
        augment: how a crop is cut, at the original size.
        mask_scaling: how its mask shrinks, where a smaller one is asked for.
        seed: of all that is random.
    """

    def __init__(
        self,
        dataset: Dataset,
        image_ids: Sequence[str],
        mask_of: Callable[[str], Array | None],
        augment: PairAugmentConfig,
        mask_scaling: str,
        seed: int,
    ):
        self.dataset, self.image_ids, self.mask_of = dataset, image_ids, mask_of
        self.augment, self.mask_scaling, self.seed = augment, mask_scaling, seed

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        """-> image (3, S, S) uint8, mask (S, S) int64.

        The crop is cut at the original size and scaled as a whole: of one epoch, an image's crop
        shows the same at every side S.
        """
        epoch, index, side_px = key
        image, mask, image_id = self._readable(index)
        rng = np.random.default_rng((self.seed, epoch, zlib.crc32(image_id.encode())))
        image, mask = augmented(image, mask, self.augment, rng)
        image, mask = scaled_pair(image, mask, (side_px, side_px), self.mask_scaling)
        pixels = torch.tensor(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous()
        return pixels, torch.tensor(np.ascontiguousarray(mask), dtype=torch.int64)

    def _readable(self, index: int) -> tuple[Array, Array, str]:
        for step in range(len(self)):
            image_id = self.image_ids[(index + step) % len(self)]
            try:
                return *self._pair(image_id), image_id
            except DataError as error:
                log.warning("passed over: %s", error)
        raise DataError(f"{self.dataset.name}: none of {len(self)} training images can be read with its mask")

    def _pair(self, image_id: str) -> tuple[Array, Array]:
        image, mask = self.dataset.image(image_id), self.mask_of(image_id)
        if mask is None:
            raise DataError(f"{image_id}: no mask to train on")
        if mask.shape != image.shape[:2]:
            raise DataError(f"{image_id}: the photograph is {image.shape[:2]}, its mask {mask.shape}")
        stray = int(mask[mask != IGNORE_INDEX].max(initial=0))
        if stray >= self.dataset.num_classes:
            raise DataError(
                f"{image_id}: its mask has label {stray}; {self.dataset.name} has "
                f"0..{self.dataset.num_classes - 1}, and {IGNORE_INDEX} to ignore"
            )
        return image, mask


def augmented(
    image: Array, mask: Array, augment: PairAugmentConfig, rng: np.random.Generator
) -> tuple[Array, Array]:
    """A random crop of a photograph and its mask, at the original size.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8.

    Returns:
        (S, S, 3) and (S, S) uint8, S = `augment.crop_px`; grey and 255 outside the photograph.
    """
    # All is drawn, in this order, whether it is used or not: settings do not shift each other.
    factor = float(np.exp(rng.uniform(*np.log(augment.resize))))
    place_yx, mirrored = rng.random(2), rng.random() < 0.5
    strengths = 1 + augment.colour_jitter * rng.uniform(-1, 1, 3).astype(np.float32)
    image, mask = scaled_pair(image, mask, scaled_hw(mask.shape, factor), "nearest")
    kept, pads = zip(
        *(_placed(length, augment.crop_px, at) for length, at in zip(mask.shape, place_yx, strict=True)),
        strict=True,
    )
    image = np.pad(image[kept], (*pads, (0, 0)), constant_values=_PADDING)
    mask = np.pad(mask[kept], pads, constant_values=IGNORE_INDEX)
    if augment.flip and mirrored:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return (_recoloured(image, *strengths) if augment.colour_jitter else image), mask


def scaled_pair(image: Array, mask: Array, size_hw: tuple[int, int], how: str) -> tuple[Array, Array]:
    """A photograph and its mask at another size: the photograph bilinearly, averaged where it shrinks,
    the mask by `how`, as `scale_mask` takes it."""
    if mask.shape == tuple(size_hw):
        return image, mask
    # Pillow, not OpenCV, whose threads do not survive the fork of a loading process.
    photo = Image.fromarray(np.ascontiguousarray(image)).resize(size_hw[::-1], Image.Resampling.BILINEAR)
    return np.asarray(photo), scale_mask(np.ascontiguousarray(mask), size_hw, how)


def _placed(length: int, side: int, at: float) -> tuple[slice, tuple[int, int]]:
    """What is kept of a line of pixels, and how much is padded before and after it, to be `side` long.

    Args:
        at: in [0, 1): where the crop lies in the line, or the line in the crop, whichever is longer.
    """
    before = int(at * (abs(length - side) + 1))
    if length >= side:
        return slice(before, before + side), (0, 0)
    return slice(None), (before, side - length - before)


def _recoloured(image: Array, brightness: float, contrast: float, saturation: float) -> Array:
    """Blend an image (S, S, 3) uint8 with black, with its mean grey, and with its own grey."""
    values = image.astype(np.float32) * brightness
    mean = (values @ _LUMA).mean()
    values = (values - mean) * contrast + mean
    grey = (values @ _LUMA)[..., None]
    return ((values - grey) * saturation + grey).clip(0, 255).round().astype(np.uint8)
