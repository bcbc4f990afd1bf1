"""`python -m train walk`: a source's scores spread within the IRN's boundaries, as a source of their own."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from orandnet_core.datasets import Dataset
from orandnet_core.errors import DataError
from orandnet_core.irn import Irn, load_irn, random_walk, relations
from orandnet_core.store import STRIDE, CamStore, stored_hw
from orandnet_core.weights import weights_identity
from train.claim import claim, in_order
from train.config import Recipe, WalkConfig, to_dict
from train.image_stage import add_image_stage, card_of, ids_of, run_image_stage
from train.irn import irn_path
from train.per_image import WHOLE, Made, Shard, for_each_image
from train.sources import open_source
from train.workspace import cams_dir

STAGE = "walk"


def walk(
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    *,
    splits: Sequence[str] = (),
    shard: Shard = WHOLE,
    anew: bool = False,
) -> Made:
    """Make the store `cams-walk` of a run, or go on with it, or find it done.

    Args:
        run_dir: the run's folder, with the trained IRN and the source's maps.
        splits: which images; those of the recipe by default.
        shard: (i, n): the i-th of n commands that share the work, from 1.
        anew: throw away what another network, source or other settings made.

    Raises:
        ConfigError: the run lacks the source.
        DataError: there is no such split, or no image has maps.
        WeightsError: the IRN is not there or not readable.
        StoreError: the store holds maps of another network, source or other settings.
    """
    config = recipe.walk
    network = _ready(load_irn(irn_path(run_dir)))
    source = open_source(config.source, recipe, run_dir)
    splits = tuple(splits) or recipe.data.cam_splits
    store = CamStore(cams_dir(run_dir, STAGE))
    settings = to_dict(config)
    card = card_of(recipe, dataset, splits) | {
        "source": STAGE,
        "maps": settings.pop("source"),
        "maps_made_by": source.made_by(),
        "method": "random walk",
        "network": asdict(network.network),
        "weights_sha256": weights_identity(STAGE, irn_path(run_dir)),
        **settings,
    }
    claim(store, card, anew=anew)

    def make(image_id: str) -> None:
        photo, class_ids = dataset.image(image_id), dataset.class_ids(image_id)
        cam = source.read(image_id, class_ids, cell_px=STRIDE)
        store.write(image_id, walked(network, photo, cam, config), class_ids, photo.shape[:2])

    return for_each_image(
        STAGE,
        source.having(ids_of(dataset, splits)),
        is_done=lambda image_id: in_order(store, dataset, image_id),
        make=make,
        run_dir=run_dir,
        shard=shard,
    )


def walked(network: Irn, photo: np.ndarray, cam: np.ndarray, config: WalkConfig) -> np.ndarray:
    """One image's scores after the walk.

    Args:
        network: in evaluation mode, on any device.
        photo: (H, W, 3) uint8 RGB.
        cam: (K, h4, w4) in [0, 1], a quarter of the photo's size, rounded up.

    Returns:
        (K, h4, w4) float32 in [0, 1]; the largest score of the image is 1, or that of each class.

    Raises:
        DataError: the maps are not of this photo's size.
    """
    grid = stored_hw(photo.shape[:2])
    if cam.shape[1:] != grid:
        raise DataError(
            f"maps are {cam.shape[1:]}, a photo of {photo.shape[:2]} px has {grid}: make them anew"
        )
    boundary, _ = relations(network, photo)
    maps = torch.tensor(cam, device=boundary.device)
    steps = 2**config.exp_times
    maps = random_walk(maps, boundary, radius=config.radius, beta=config.beta, steps=steps).cpu().numpy()
    axes = (0, 1, 2) if config.normalised_by == "image" else (1, 2)
    peak = maps.max(axis=axes, keepdims=True, initial=0)
    return np.divide(maps, peak, out=np.zeros_like(maps), where=peak > 0)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    add_image_stage(subparsers, STAGE, "spread a source's scores within boundaries, as a source of its own")


def main(args: argparse.Namespace) -> int:
    return run_image_stage(args, STAGE, walk, cams_dir(Path(), STAGE).name)


def _ready(network: Irn) -> Irn:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return network.to(device, memory_format=torch.channels_last).eval()
