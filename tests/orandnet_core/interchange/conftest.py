"""Maps of a small data set, and their files as other systems write them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from orandnet_core.datasets import Dataset, folder

CLASSES = ("ant", "bee", "cat", "dog")
# Among them: the first class, the last, both, and one of each number of classes.
LABELS = {"a_001": (1,), "a_002": (4,), "a_003": (1, 4), "b_001": (2, 3), "b_002": (1, 2, 3), "b_003": (3,)}
SIZES_HW = ((40, 61), (40, 60), (64, 40))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set's folder: random photographs, a rectangle a class in the masks."""
    root = tmp_path_factory.mktemp("insects")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    rng = np.random.default_rng(0)
    rows = ["image_id,classes,split"]
    for index, (image_id, class_ids) in enumerate(LABELS.items()):
        height, width = SIZES_HW[index % len(SIZES_HW)]
        photo = rng.integers(0, 255, (height, width, 3), np.uint8)
        Image.fromarray(photo).save(root / "images" / f"{image_id}.png")
        mask = np.zeros((height, width), np.uint8)
        for place, class_id in enumerate(class_ids):
            mask[5:30, 4 + 17 * place : 18 + 17 * place] = class_id
        mask[:3] = 255
        Image.fromarray(mask).save(root / "masks" / f"{image_id}.png")
        names = ";".join(CLASSES[k - 1] for k in class_ids)
        rows.append(f"{image_id},{names},{'train' if index < 4 else 'val'}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return root


@pytest.fixture
def insects(drawn: Path, tmp_path: Path) -> Dataset:
    """The data set, in a folder of the test's own."""
    root = tmp_path / "insects"
    shutil.copytree(drawn, root)
    return folder(root)


@pytest.fixture
def true_maps(insects: Dataset) -> dict[str, np.ndarray]:
    """(K, H, W) float32 in [0, 1] by image id: blurred masks, each with a peak of 1."""
    maps = {}
    for image_id, class_ids in LABELS.items():
        mask = insects.mask(image_id)
        blurred = [cv2.GaussianBlur((mask == k).astype(np.float32), (0, 0), 2) for k in class_ids]
        maps[image_id] = np.stack([one / one.max() for one in blurred])
    return maps


@pytest.fixture
def foreign(tmp_path: Path, true_maps: dict[str, np.ndarray]) -> Callable[..., Path]:
    """Write a folder by a function of (folder, image id, maps (K, H, W), class ids from 1)."""

    def write(save: Callable[[Path, str, np.ndarray, np.ndarray], None]) -> Path:
        root = tmp_path / "foreign"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        for image_id, maps in true_maps.items():
            save(root, image_id, maps, np.array(LABELS[image_id]))
        return root

    return write
