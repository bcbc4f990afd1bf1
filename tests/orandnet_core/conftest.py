"""How long property tests look for counterexamples, and a small data set with photos that several use."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from orandnet_core.datasets import Dataset
from orandnet_core.scoring import Source

# A busy machine is no counterexample.
settings.register_profile("orandnet", deadline=None, max_examples=40)
settings.load_profile("orandnet")

IMAGES = 7


@pytest.fixture
def dataset_with_photos(tmp_path: Path) -> Dataset:
    rng = np.random.default_rng(0)
    labels = {}
    for number in range(IMAGES):
        image_id, size_hw = str(number), (24, 32) if number % 2 else (30, 20)
        blocks = rng.choice([0, 0, 0, 1, 2, 3, 255], (size_hw[0] // 4 + 1, size_hw[1] // 4 + 1))
        mask = blocks.repeat(4, 0).repeat(4, 1)[: size_hw[0], : size_hw[1]].astype(np.uint8)
        labels[image_id] = np.isin([1, 2, 3], mask).astype(np.uint8)
        Image.fromarray(mask).save(tmp_path / f"{image_id}-mask.png")
        photo = rng.integers(0, 256, (*size_hw, 3)).astype(np.uint8)
        Image.fromarray(photo).save(tmp_path / f"{image_id}.png")
    return Dataset(
        name="shapes",
        root=tmp_path,
        class_names=("circle", "square", "star"),
        splits={"train": tuple(labels)},
        image_labels_by_id=labels,
        image_path_of=lambda image_id: tmp_path / f"{image_id}.png",
        mask_path_of=lambda image_id: tmp_path / f"{image_id}-mask.png",
        image_dirs=(tmp_path,),
        mask_dirs=(tmp_path,),
    )


@pytest.fixture
def noisy_source(dataset_with_photos: Dataset) -> Source:
    """Random maps of the classes that are there and of one that is not."""

    def cam_of(image_id: str) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(int(image_id))
        class_ids = np.union1d(dataset_with_photos.class_ids(image_id), [1 + int(image_id) % 3])
        mask = dataset_with_photos.mask(image_id)
        noise = rng.random((len(class_ids), *mask.shape), dtype=np.float32)
        return 0.4 * (mask == class_ids[:, None, None]) + 0.6 * noise, class_ids

    return Source("noisy", "noisy-1", cam_of)
