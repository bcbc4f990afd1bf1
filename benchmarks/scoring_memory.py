"""Peak memory of scoring 10,000 images against that of scoring 100: flat, or not.

Each run is a process of its own, which scores a split through the cache, bootstraps nothing, and
reads the per-image scores at one threshold. The 10,000 images are the 100 a hundred times over,
so that the answer is known: every count is a hundredfold.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from benchmarks.table import Row
from orandnet_core.datasets import voc12
from orandnet_core.metrics import per_image
from orandnet_core.scoring import Source, score

FEW, MANY = 100, 10_000
SIZE_HW = (96, 128)
CLASS_NAMES = ("circle", "square", "star")


def rows() -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        _make_data_set(Path(folder))
        few, many = (_in_a_process_of_its_own(folder, count) for count in (FEW, MANY))
    expected = [MANY // FEW * pixels for pixels in few["true_positive"]]
    same = many["true_positive"] == expected and many["images"] == MANY
    yield Row(
        f"peak memory of scoring, {MANY:,} images against {FEW}", many["peak_mb"], few["peak_mb"], same, "MB"
    )


def _in_a_process_of_its_own(folder: str, count: int) -> dict:
    command = [sys.executable, "-m", "benchmarks.scoring_memory", folder, str(count)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def score_images(folder: Path, count: int) -> dict:
    """Score `count` images made from the folder's 100; the peak is the process's own."""
    small = voc12(folder, name="shapes", class_names=CLASS_NAMES)
    image_ids = tuple(f"{number:05d}" for number in range(count))
    dataset = replace(
        small,
        splits={"train": image_ids},
        image_labels_by_id={image_id: small.image_labels(_original(image_id)) for image_id in image_ids},
        mask_path_of=lambda image_id: small.mask_path_of(_original(image_id)),
    )

    def cam_of(image_id: str) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(int(image_id) % FEW)
        class_ids = small.class_ids(_original(image_id))
        return rng.random((len(class_ids), *SIZE_HW), dtype=np.float32), class_ids

    scores = score(dataset, "train", Source("noise", "noise", cam_of), cache_dir=folder / f"cache-{count}")
    per_image(scores.counts, 0.5)
    return {
        "images": scores.card.images,
        "true_positive": scores.sweep.at(0.5).true_positive.tolist(),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        / (1 << 20 if sys.platform == "darwin" else 1 << 10),
    }


def _original(image_id: str) -> str:
    return f"{int(image_id) % FEW:05d}"


def _make_data_set(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    image_ids = [f"{number:05d}" for number in range(FEW)]
    for image_id in image_ids:
        mask = rng.choice([0, 0, 1, 2, 3, 255], SIZE_HW).astype(np.uint8)
        Image.fromarray(mask).save(folder / "SegmentationClass" / f"{image_id}.png")
    (folder / "ImageSets/Segmentation/train.txt").write_text("\n".join(image_ids))


if __name__ == "__main__":
    print(json.dumps(score_images(Path(sys.argv[1]), int(sys.argv[2]))))
