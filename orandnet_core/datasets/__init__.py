"""Data sets: one type, a builder for each layout, and a check of what is there."""

from orandnet_core.datasets.base import Dataset
from orandnet_core.datasets.coco import coco
from orandnet_core.datasets.folder import folder
from orandnet_core.datasets.images import image_size_hw, read_image, read_mask
from orandnet_core.datasets.opening import open_dataset
from orandnet_core.datasets.sample import scenes
from orandnet_core.datasets.voc import voc12

__all__ = [
    "Dataset",
    "coco",
    "folder",
    "image_size_hw",
    "open_dataset",
    "read_image",
    "read_mask",
    "scenes",
    "voc12",
]
