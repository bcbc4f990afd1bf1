"""Training images: read, augmented and turned to tensors, the same for the same (seed, epoch, image)."""

import logging
import zlib

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

from orandnet_core.datasets import Dataset
from orandnet_core.errors import DataError
from train.config import AugmentConfig

log = logging.getLogger(__name__)


class TrainingPhotos(TorchDataset):
    """Augmented crops and image-level labels by (epoch, index).

    An image that cannot be read or has no labels is replaced by the next of the split, with a warning, so
    that one bad file does not end a training of days.
    """

    def __init__(self, dataset: Dataset, image_ids: tuple[str, ...], augment: AugmentConfig, seed: int):
        self.dataset, self.image_ids, self.seed = dataset, image_ids, seed
        self.long_side_px = augment.long_side_px
        self.crop = crop_of(augment)

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """-> image (3, S, S) uint8, labels (C,) float32."""
        epoch, index = key
        image, labels, image_id = self._readable(index)
        torch.manual_seed(zlib.crc32(f"{self.seed} {epoch} {image_id}".encode()))
        if self.long_side_px:
            least, most = self.long_side_px
            image = _long_side_to(image, int(torch.randint(least, most + 1, ())))
        return self.crop(image), labels

    def _readable(self, index: int) -> tuple[Image.Image, Tensor, str]:
        for step in range(len(self)):
            image_id = self.image_ids[(index + step) % len(self)]
            try:
                labels = torch.from_numpy(self.dataset.image_labels(image_id)).float()
                return Image.fromarray(self.dataset.image(image_id)), labels, image_id
            except DataError as error:
                log.warning("passed over: %s", error)
        raise DataError(f"{self.dataset.name}: none of {len(self)} training images can be read")


class EvaluationPhotos(TorchDataset):
    """Images squeezed to a square, and their image-level labels; unreadable ones are left out."""

    def __init__(self, dataset: Dataset, image_ids: tuple[str, ...], side_px: int):
        self.dataset, self.image_ids = dataset, image_ids
        self.squeeze = v2.Compose([v2.Resize((side_px, side_px), antialias=True), v2.PILToTensor()])

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor] | None:
        image_id = self.image_ids[index]
        try:
            image = self.squeeze(Image.fromarray(self.dataset.image(image_id)))
            labels = torch.from_numpy(self.dataset.image_labels(image_id)).float()
        except DataError as error:
            log.warning("passed over: %s", error)
            return None
        return image, labels


def crop_of(augment: AugmentConfig) -> v2.Transform:
    """The random part of an `AugmentConfig`: a PIL image -> (3, S, S) uint8."""
    size = augment.crop_px
    if augment.long_side_px:
        steps: list[v2.Transform] = [v2.RandomCrop(size, pad_if_needed=True, fill=128)]
    else:
        steps = [v2.RandomResizedCrop(size, scale=augment.area, antialias=True)]
    if augment.flip:
        steps.append(v2.RandomHorizontalFlip())
    if augment.colour_jitter:
        strength = augment.colour_jitter
        steps.append(v2.ColorJitter(brightness=strength, contrast=strength, saturation=strength))
    return v2.Compose([*steps, v2.PILToTensor()])


def _long_side_to(image: Image.Image, long_side_px: int) -> Image.Image:
    factor = long_side_px / max(image.size)
    return image.resize([max(1, round(side * factor)) for side in image.size], Image.Resampling.BICUBIC)
