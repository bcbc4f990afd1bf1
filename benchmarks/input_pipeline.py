"""The input pipeline of a segmentation training against its step: while ours is the smaller, no step waits.

One process reads, crops, recolours and scales a batch from JPEGs and PNGs of VOC's size, while
another takes the step; both on one thread, as on two cores.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch.utils.data import DataLoader, default_collate

from benchmarks.table import Row, seconds_of
from orandnet_core.datasets import Dataset, voc12
from orandnet_core.segmentation import SegmentationNetwork, build_segmenter
from orandnet_core.segmentation_loss import cross_entropy
from train.config import SegmentConfig
from train.loading import leave_group, started
from train.pairs import TrainingPairs
from train.recipes import recipe

SIZE_HW, IMAGES, BATCHES = (375, 500), 32, 3


def rows() -> Iterator[Row]:
    config = recipe("voc12_cpu").segment
    with TemporaryDirectory() as folder:
        dataset = _write_photos(Path(folder))
        image_ids = dataset.image_ids("train")
        pairs = TrainingPairs(dataset, image_ids, dataset.mask, config.augment, "majority", seed=0)
        keys = [
            [
                (0, (step * config.batch_size + k) % IMAGES, config.augment.crop_px)
                for k in range(config.batch_size)
            ]
            for step in range(BATCHES)
        ]
        loading_s, batches = seconds_of(
            lambda: [default_collate([pairs[key] for key in batch]) for batch in keys]
        )
        loader = DataLoader(pairs, batch_sampler=keys, num_workers=1, worker_init_fn=leave_group)
        same = all(
            torch.equal(one, other)
            for loaded, batch in zip(started(loader), batches, strict=True)
            for one, other in zip(loaded, batch, strict=True)
        )
    name = f"a batch of {config.batch_size} crops of {config.augment.crop_px} px, against the training step"
    yield Row(name, loading_s / BATCHES, _step_s(config, dataset.class_names, batches), same)


def _step_s(config: SegmentConfig, class_names: tuple[str, ...], batches: list) -> float:
    """Seconds of the fastest step: forward, loss, backward, weights."""
    network = SegmentationNetwork(
        architecture=config.architecture, encoder=config.encoder, class_names=class_names,
        output_stride=config.output_stride,
    )  # fmt: skip
    model = build_segmenter(network).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    remaining = iter(batches)

    def step() -> None:
        photos, masks = next(remaining)
        cross_entropy(model(model.normalise(photos)), masks).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    seconds, _ = seconds_of(step, len(batches))
    return seconds


def _write_photos(folder: Path) -> Dataset:
    """Photographs as VOC keeps them, with masks of large blobs."""
    rng = np.random.default_rng(0)
    photo = load_sample_image("china.jpg")
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    image_ids = [f"{number:05d}" for number in range(IMAGES)]
    for image_id in image_ids:
        y, x = (int(rng.integers(0, 1 + of - side)) for of, side in zip(photo.shape, SIZE_HW, strict=False))
        crop = photo[y : y + SIZE_HW[0], x : x + SIZE_HW[1]]
        Image.fromarray(crop).save(folder / "JPEGImages" / f"{image_id}.jpg", quality=90)
        blobs = rng.integers(0, 21, (4, 5), np.uint8)
        mask = cv2.resize(blobs, SIZE_HW[::-1], interpolation=cv2.INTER_NEAREST)
        Image.fromarray(mask).save(folder / "SegmentationClass" / f"{image_id}.png")
    (folder / "ImageSets/Segmentation/train.txt").write_text("\n".join(image_ids))
    return voc12(folder)
