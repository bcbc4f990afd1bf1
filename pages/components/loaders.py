"""Cached readers that pages share; every cache is bounded, and what it holds is read-only."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import streamlit as st

from orandnet_core.datasets import Dataset, open_dataset
from orandnet_core.datasets.opening import dataset_stamp
from orandnet_core.errors import StoreError
from orandnet_core.store import CamStore, StoredCam, resize_maps
from pages.components.selection import DatasetRef, Selection

# Larger images are shown reduced: what a page holds and sends stays the same for every data set.
MAX_SHOWN_PIXELS = 1_500_000


class Maps(NamedTuple):
    """One image and both sources' CAMs of it, all of one size (H, W).

    Attributes:
        photo: (H, W, 3) uint8 RGB.
        cnn, vit: (K, H, W) float32 in [0, 1].
        class_ids: (K,) int64, ascending.
        mask: (H, W) uint8, or None where the image has no ground truth.
    """

    photo: np.ndarray
    cnn: np.ndarray
    vit: np.ndarray
    class_ids: np.ndarray
    mask: np.ndarray | None


# What is cached of a data set is made anew once its labels, splits or folders change. `repr`, because
# Streamlit's own way through nested dataclasses takes longer than what is cached saves.
by_stamp = {
    DatasetRef: lambda ref: f"{ref} {dataset_stamp(ref.root)}",
    Selection: lambda selection: f"{selection} {dataset_stamp(selection.dataset.root)}",
}


@st.cache_resource(max_entries=8, ttl="1h", show_spinner=False, hash_funcs=by_stamp)
def open_dataset_cached(ref: DatasetRef) -> Dataset:
    """A data set, opened once for what it holds.

    Raises:
        DataError: it is not there or cannot be used.
    """
    return open_dataset(ref.root, ref.kind)


def forget(ref: DatasetRef) -> None:
    """Read a data set from the disk again: its files may have been overwritten, which no stamp shows."""
    open_dataset_cached.clear(ref)
    maps_of.clear()
    bare_image.clear()


@st.cache_resource(max_entries=16, ttl="1h", show_spinner=False)
def store_cached(root: Path) -> CamStore:
    """A CAM store with its index in memory; it sees by itself what is added."""
    return CamStore(root)


@st.cache_resource(max_entries=16, ttl="1h", show_spinner=False, hash_funcs=by_stamp)
def maps_of(selection: Selection, image_id: str) -> Maps:
    """An image with both sources' CAMs and its mask.

    A class that only one of the sources has counts as 0 in the other. An image of more than
    `MAX_SHOWN_PIXELS` comes reduced, and so do its maps and its mask.

    Raises:
        DataError: the image or its mask cannot be read.
        StoreError: a source has no CAM of the image, or a damaged one.
    """
    cnn = store_cached(selection.cnn_store).read(image_id)
    vit = store_cached(selection.vit_store).read(image_id)
    class_ids = np.union1d(cnn.class_ids, vit.class_ids)
    size_hw = shown_hw(cnn.size_hw)
    photo, mask, photo_hw = _photo_and_mask(open_dataset_cached(selection.dataset), image_id)
    if photo_hw != cnn.size_hw or vit.size_hw != cnn.size_hw:
        raise StoreError(
            f"{image_id} is {photo_hw}, its CAMs were made for {cnn.size_hw} and {vit.size_hw}: "
            "make the CAMs again, or choose sources of this data set"
        )
    maps = Maps(photo, _aligned(cnn, class_ids, size_hw), _aligned(vit, class_ids, size_hw), class_ids, mask)
    _protect(maps)
    return maps


@st.cache_resource(max_entries=16, ttl="1h", show_spinner=False, hash_funcs=by_stamp)
def bare_image(ref: DatasetRef, image_id: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """An image of which nothing was made: photo and mask as in `Maps`, between them its class ids.

    Raises:
        DataError: the image, its labels or its mask cannot be read.
    """
    dataset = open_dataset_cached(ref)
    photo, mask, _ = _photo_and_mask(dataset, image_id)
    bare = photo, dataset.class_ids(image_id), mask
    _protect(bare)
    return bare


def _photo_and_mask(dataset: Dataset, image_id: str) -> tuple[np.ndarray, np.ndarray | None, tuple[int, int]]:
    """Both at the size that is shown, and the size that the file has."""
    photo, mask = dataset.image(image_id), dataset.mask(image_id)
    photo_hw = photo.shape[:2]
    size_hw = shown_hw(photo_hw)
    if size_hw != photo_hw:
        photo = cv2.resize(photo, size_hw[::-1], interpolation=cv2.INTER_AREA)
        mask = None if mask is None else cv2.resize(mask, size_hw[::-1], interpolation=cv2.INTER_NEAREST)
    return photo, mask, photo_hw


def _protect(arrays: Iterable[np.ndarray | None]) -> None:
    for array in arrays:
        if array is not None:
            array.setflags(write=False)


def shown_hw(size_hw: tuple[int, int]) -> tuple[int, int]:
    """The size at which an image is shown: its own, or reduced to `MAX_SHOWN_PIXELS`."""
    factor = min(1.0, (MAX_SHOWN_PIXELS / (size_hw[0] * size_hw[1])) ** 0.5)
    return max(1, int(size_hw[0] * factor)), max(1, int(size_hw[1] * factor))


def _aligned(stored: StoredCam, class_ids: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """(K, H, W) in the order of `class_ids`, 0 for a class that is not stored."""
    shown = resize_maps(stored.cam, size_hw)
    if len(shown) == len(class_ids):
        return shown
    aligned = np.zeros((len(class_ids), *size_hw), np.float32)
    aligned[np.searchsorted(class_ids, stored.class_ids)] = shown
    return aligned
