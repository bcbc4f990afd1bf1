"""What the refiner learns from: crops of OR and AND maps, the same for the same (seed, epoch, image)."""

import logging
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from orandnet_core.datasets import Dataset
from orandnet_core.errors import DataError
from orandnet_core.refiner import MEAN, photo_cells
from train.cam_pairs import CamPairs, FusedCams
from train.config import RefineConfig

RULES = ("or", "and")

# What the refiner takes for nothing at all, as it does the 0 that it pads with itself.
_BEYOND = np.round(255 * np.array(MEAN)).astype(np.uint8)[:, None, None]

log = logging.getLogger(__name__)


class MapCrop(NamedTuple):
    """One image's crop.

    Attributes:
        or_cam, and_cam: (K, S, S) float32 in [0, 1], 0 beyond the image.
        inside: (S, S) bool, false beyond the image.
        photo: (3, S, S) uint8, of a middling colour beyond the image; None without guidance.
    """

    or_cam: Tensor
    and_cam: Tensor
    inside: Tensor
    photo: Tensor | None


class CropBatch(NamedTuple):
    """The crops of B images; N is the sum of their classes.

    Attributes:
        or_cam, and_cam: (N, 1, S, S), image after image.
        inside: (B, 1, S, S).
        photos: (B, 3, S, S) uint8, None without guidance.
        class_counts: B numbers of classes.
    """

    or_cam: Tensor
    and_cam: Tensor
    inside: Tensor
    photos: Tensor | None
    class_counts: list[int]


class MapCrops(TorchDataset):
    """Random crops by (epoch, index).

    An image whose CAMs or photo cannot be read is replaced by the next, with a warning, so that one bad
    file does not end a training.

    Args:
        image_ids: images with CAMs of both networks and at least one class.
        config: `cell_px`, `crop_px`, `flip` and `guidance` of it are taken.
    """

    def __init__(
        self, dataset: Dataset, pairs: CamPairs, image_ids: Sequence[str], config: RefineConfig, seed: int
    ):
        self.dataset, self.pairs, self.image_ids = dataset, pairs, tuple(image_ids)
        self.config, self.seed = config, seed
        self.side = config.crop_px // config.cell_px

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, key: tuple[int, int]) -> MapCrop:
        epoch, index = key
        fused, photo, image_id = self._readable(index)
        rng = np.random.default_rng((self.seed, epoch, zlib.crc32(image_id.encode())))
        planes = np.concatenate([fused.cams[rule] for rule in RULES])
        hw = planes.shape[1:]
        top, left = (int(rng.integers(max(length - self.side, 0) + 1)) for length in hw)
        mirrored = self.config.flip and bool(rng.integers(2))

        def crop(maps: np.ndarray, beyond: np.ndarray | int = 0) -> Tensor:
            window = maps[..., top : top + self.side, left : left + self.side]
            if mirrored:
                window = window[..., ::-1]
            cropped = np.empty((*maps.shape[:-2], self.side, self.side), maps.dtype)
            cropped[:] = beyond
            cropped[..., : window.shape[-2], : window.shape[-1]] = window
            return torch.from_numpy(cropped)

        or_cam, and_cam = crop(planes).chunk(2)
        photo = None if photo is None else crop(photo_cells(photo, hw), _BEYOND)
        return MapCrop(or_cam, and_cam, crop(np.ones(hw, bool)), photo)

    def _readable(self, index: int) -> tuple[FusedCams, np.ndarray | None, str]:
        for step in range(len(self)):
            image_id = self.image_ids[(index + step) % len(self)]
            try:
                fused = self.pairs.read(image_id, RULES, cell_px=self.config.cell_px)
                return fused, self.dataset.image(image_id) if self.config.guidance else None, image_id
            except DataError as error:
                log.warning("passed over: %s", error)
        raise DataError(f"{self.dataset.name}: none of the CAMs of {len(self)} images can be read")


def collate(crops: Sequence[MapCrop]) -> CropBatch:
    """One batch of several images' crops."""
    return CropBatch(
        or_cam=torch.cat([crop.or_cam for crop in crops])[:, None],
        and_cam=torch.cat([crop.and_cam for crop in crops])[:, None],
        inside=torch.stack([crop.inside for crop in crops])[:, None],
        photos=None if crops[0].photo is None else torch.stack([crop.photo for crop in crops]),
        class_counts=[len(crop.or_cam) for crop in crops],
    )
