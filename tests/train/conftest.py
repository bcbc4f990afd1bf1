"""A data set of coloured squares, small enough to train on in a second."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (50, 70, 230)}


def write_squares(root: Path, images: int = 12, side_px: int = 48) -> Path:
    """A VOC devkit of squares, one or two colours an image; returns its root."""
    rng = np.random.default_rng(0)
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True, exist_ok=True)
    ids = [f"square_{i:03d}" for i in range(images)]
    for i, image_id in enumerate(ids):
        photo = rng.integers(90, 160, (side_px, side_px, 3), np.uint8)
        mask = np.zeros((side_px, side_px), np.uint8)
        for k in {i % 3, (i // 3) % 3}:
            y, x = rng.integers(0, side_px // 2, 2)
            photo[y : y + 20, x : x + 20] = list(COLOURS.values())[k]
            mask[y : y + 20, x : x + 20] = k + 1
        Image.fromarray(photo).save(root / "JPEGImages" / f"{image_id}.jpg", quality=95)
        Image.fromarray(mask).save(root / "SegmentationClass" / f"{image_id}.png")
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("\n".join(ids[: images * 2 // 3]))
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("\n".join(ids[images * 2 // 3 :]))
    return root


@pytest.fixture
def squares(tmp_path):
    """The data set of squares, opened."""
    from orandnet_core.datasets import voc12

    return voc12(write_squares(tmp_path / "squares"), name="squares", class_names=tuple(COLOURS))


def make_tiny_recipe():
    """A recipe whose two networks train on the squares in seconds."""
    from train.config import AugmentConfig, CamConfig, ClassifyConfig, DataConfig, Recipe

    shared = {
        "weights": "none",
        "augment": AugmentConfig(crop_px=32),
        "eval_px": 32,
        "epochs": 3,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "head_rate_factor": 1.0,
        "precision": "float32",  # exact comparisons, also on CPUs that are fast at bfloat16
    }
    return Recipe(
        name="tiny",
        data=DataConfig(kind="voc12"),
        cnn=ClassifyConfig(model="test_resnet", head="conv", **shared),
        vit=ClassifyConfig(model="test_vit", head="cls+patch", image_px=32, patch_drop=0.2, **shared),
        cnn_cams=CamConfig(method="cam"),
        vit_cams=CamConfig(method="patch_cam"),
    )


@pytest.fixture(scope="session")
def tiny_recipe():
    """What `make_tiny_recipe` makes."""
    return make_tiny_recipe()


@pytest.fixture(autouse=True)
def own_precision():
    """accelerate keeps the precision of the first network that a process trained; no test may pass it on."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()
