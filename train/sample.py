"""`python -m train sample`: the built-in sample and the CAMs of two networks on it, for a first look.

The networks were trained by the recipe `scenes` and lie in `assets/weights`, so nothing is trained
or downloaded. Once all is there the command only says so, without loading torch.
"""

import argparse
import hashlib
import json
import os
from pathlib import Path

from orandnet_core.datasets import Dataset
from orandnet_core.errors import WeightsError
from orandnet_core.scenes import is_sample, make_scenes
from orandnet_core.store import CamStore
from train.config import Recipe, to_dict
from train.open_run import open_recipe_dataset, write_config
from train.progress import Progress
from train.recipes import recipe
from train.workspace import ROOT, run_dir, sample_dir

RUN = "sample"
SOURCES = ("cnn", "vit")
IMAGES = 240


def shipped_classifier(source: str) -> Path:
    """The network of a source (`cnn`, `vit`) that knows the sample's classes; part of the repository."""
    return ROOT / "assets" / "weights" / f"scenes_{source}.safetensors"


def prepare_sample() -> bool:
    """Draw the sample and compute both networks' CAMs on it into the run `sample`.

    What is there is kept; an interrupted call goes on where it was. CAMs of other weights or
    another recipe are thrown away.

    Returns:
        Whether there was anything to do.

    Raises:
        DataError: the sample's folder holds something else.
        StoreError: the disk refuses.
        WeightsError: the checkout lacks a shipped network.
    """
    config, folder = recipe("scenes"), run_dir(RUN)
    if not is_sample(sample_dir()):
        write_config(config, folder)
        with Progress("Sample images", IMAGES, run_dir=folder) as progress:
            make_scenes(
                sample_dir(),
                IMAGES,
                progress=lambda done, total: progress.advance(done - progress.done),
                workers=os.cpu_count() or 1,
            )
    dataset = open_recipe_dataset(config)
    made_from = _made_from(config, dataset)
    if _is_ready(folder, config, dataset, made_from):
        return False
    from train.cams import cams  # torch costs seconds, and is needed the first time only

    write_config(config, folder)
    for source in SOURCES:
        cams(config, source, dataset, folder, weights_path=shipped_classifier(source), anew=True)
    (folder / "ready.json").write_text(json.dumps(made_from))
    return True


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    subparsers.add_parser("sample", help="prepare the built-in sample that the app opens on")


def main(args: argparse.Namespace) -> int:
    prepare_sample()
    return 0


def _made_from(config: Recipe, dataset: Dataset) -> dict[str, object]:
    """All that the CAMs depend on, as JSON gives it back."""
    return {
        "recipe": json.loads(json.dumps(to_dict(config))),
        "data": {split: dataset.fingerprint(split) for split in config.data.cam_splits},
        "weights": {source: _sha256(shipped_classifier(source)) for source in SOURCES},
    }


def _is_ready(folder: Path, config: Recipe, dataset: Dataset, made_from: dict[str, object]) -> bool:
    try:
        if json.loads((folder / "ready.json").read_text()) != made_from:
            return False
    except (OSError, ValueError):
        return False
    images = sum(len(dataset.image_ids(split)) for split in config.data.cam_splits)
    return all(len(CamStore(folder / f"cams-{source}")) >= images for source in SOURCES)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise WeightsError(
            f"{path}: no such file, though it is part of the repository: check the files out again"
        ) from None
