"""`python -m train refine`: train the refiner from OR to AND, then refine the CAMs of whole splits."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError, DataError
from orandnet_core.refiner import (
    LOSSES,
    Refiner,
    RefinerNetwork,
    build_refiner,
    load_refiner,
    refine_cam,
    save_refiner,
)
from orandnet_core.store import CamStore, stored_hw
from orandnet_core.weights import weights_identity
from train.cam_pairs import CamPairs
from train.claim import claim, in_order
from train.config import Recipe, RefineConfig, to_dict
from train.loop import LoopConfig, fit
from train.map_crops import RULES, CropBatch, MapCrops, collate
from train.open_run import add_run_arguments, open_run
from train.per_image import WHOLE, Made, Shard, add_shard_argument, for_each_image
from train.training import accelerator_for, finished, identity_of, training_loader, write_result
from train.workspace import cams_dir

STAGE = "refine"


def refiner_path(run_dir: Path) -> Path:
    """Where the trained refiner lies in a run."""
    return run_dir / STAGE / "refiner.safetensors"


def refine(
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    *,
    splits: Sequence[str] = (),
    shard: Shard = WHOLE,
    anew: bool = False,
) -> Made:
    """Train the refiner of a run, or find it done, and refine the CAMs of whole splits.

    Args:
        run_dir: the run's folder, with CAMs of both networks; training goes to `refine`, the store
            is `cams-refine`.
        splits: which images are refined; those of the recipe by default. The refiner learns from
            the first of the recipe's, whatever is refined.
        shard: (i, n): the i-th of n processes that share the images, from 1; the refiner must be there.
        anew: throw away CAMs that another refiner made.

    Raises:
        ConfigError: a shard of what is not trained yet, or devices that do not divide the batch.
        DataError: no image has CAMs of both networks, or there is no such split.
        WeightsError: the starting weights cannot be found.
        CheckpointError: the folder holds another run's training.
        StoreError: the store holds CAMs of another refiner.
    """
    if shard != WHOLE and not _trained(recipe, dataset, run_dir):
        raise ConfigError("--shard shares images, not a training: `python -m train refine` without it first")
    train_refiner(recipe, dataset, run_dir)
    refiner = _ready(load_refiner(refiner_path(run_dir)))
    pairs = CamPairs(run_dir, recipe.fusion)
    splits = tuple(splits) or recipe.data.cam_splits
    image_ids = tuple(dict.fromkeys(image_id for split in splits for image_id in dataset.image_ids(split)))
    store = CamStore(cams_dir(run_dir, STAGE))
    card = {
        "source": STAGE,
        "recipe": recipe.name,
        "dataset": dataset.name,
        "splits": {split: dataset.fingerprint(split) for split in splits},
        "network": asdict(refiner.network),
        "weights_sha256": weights_identity(STAGE, refiner_path(run_dir)),
        "or_made_by": pairs.made_by(RULES[:1]),
    }
    claim(store, card, anew=anew)

    def make(image_id: str) -> None:
        fused = pairs.read(image_id, RULES[:1], cell_px=refiner.network.cell_px)
        class_ids = dataset.class_ids(image_id)
        if fused.class_ids.tolist() != class_ids.tolist():
            raise DataError(
                f"CAMs of classes {fused.class_ids.tolist()}, labels {class_ids.tolist()}: "
                "`python -m train cams` makes them anew"
            )
        photo = dataset.image(image_id) if refiner.network.guidance else None
        cam = refine_cam(refiner, fused.cams[RULES[0]], photo, output_hw=stored_hw(fused.size_hw))
        store.write(image_id, cam, class_ids, fused.size_hw)

    return for_each_image(
        f"cams-{STAGE}",
        image_ids,
        is_done=lambda image_id: in_order(store, dataset, image_id),
        make=make,
        run_dir=run_dir,
        shard=shard,
    )


def train_refiner(recipe: Recipe, dataset: Dataset, run_dir: Path) -> dict[str, Any]:
    """Train the refiner of a recipe, or go on with it, or find it done.

    It learns from the images of the first of `recipe.data.cam_splits` that have CAMs of both networks.

    Returns:
        What `result.json` holds: `images`, `seconds`, `identity`.

    Raises:
        As `refine`.
    """
    config, stage_dir = recipe.refine, run_dir / STAGE
    pairs = CamPairs(run_dir, recipe.fusion)
    image_ids = _training_ids(recipe, dataset, pairs)
    identity = _identity(recipe, pairs, image_ids)
    done = finished(stage_dir, refiner_path(run_dir), identity)
    if done:
        return done
    accelerator = accelerator_for(
        config.precision, batch_size=config.batch_size, accumulate=config.accumulate
    )
    torch.manual_seed(recipe.seed)
    network = RefinerNetwork(
        architecture=config.architecture, guidance=config.guidance, cell_px=config.cell_px
    )
    model = build_refiner(network, config.weights).to(memory_format=torch.channels_last)
    crops = MapCrops(dataset, pairs, image_ids, config, recipe.seed)
    loop = LoopConfig(
        steps=max(1, len(image_ids) // config.batch_size) * config.epochs,
        seed=recipe.seed,
        identity=identity,
        schedule=config.schedule,
        warmup_share=config.warmup_share,
        clip_norm=config.clip_norm,
        accumulate=config.accumulate,
    )

    def loader_from(step: int) -> DataLoader:
        return training_loader(crops, config.batch_size, loop, accelerator, start=step, collate_fn=collate)

    def loss_of(model: nn.Module, batch: CropBatch) -> Tensor:
        return batch_loss(model, batch, config.loss, accelerator.device)

    seconds = fit(
        model,
        _optimiser(model, config),
        loss_of,
        loader_from,
        loop,
        accelerator,
        run_dir=run_dir,
        stage=STAGE,
        batch_size=config.batch_size,
    )
    result = {"images": len(image_ids), "seconds": seconds, "identity": identity}
    if accelerator.is_main_process:
        save_refiner(refiner_path(run_dir), model)
        write_result(stage_dir, result)
    accelerator.wait_for_everyone()
    return result


def batch_loss(model: nn.Module, batch: CropBatch, loss: str, device: torch.device) -> Tensor:
    """The loss of one batch of crops.

    Args:
        model: a refiner, as it is or prepared for several devices.
        loss: a key of `orandnet_core.refiner.LOSSES`.
    """
    counts = torch.tensor(batch.class_counts)

    def by_map(images: Tensor) -> Tensor:
        return images.to(device, non_blocking=True).repeat_interleave(counts.to(device), 0)

    or_cam, and_cam = (maps.to(device, non_blocking=True) for maps in (batch.or_cam, batch.and_cam))
    logits = model(or_cam, None if batch.photos is None else by_map(batch.photos))
    return LOSSES[loss](logits, and_cam, by_map(batch.inside), batch.class_counts)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("refine", help="train the refiner and refine the CAMs")
    parser.add_argument("--split", nargs="+", default=(), help="splits; those of the recipe by default")
    add_shard_argument(parser)
    parser.add_argument("--anew", action="store_true", help="throw away CAMs of another refiner")
    add_run_arguments(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    if args.anew and args.shard != WHOLE:
        raise ConfigError(
            "--anew with --shard would throw away what other shards make: delete the store first"
        )
    recipe, dataset, run_dir = open_run(args)
    made = refine(recipe, dataset, run_dir, splits=args.split, shard=args.shard, anew=args.anew)
    print(f"{STAGE}: CAMs of {made.summary} -> {cams_dir(run_dir, STAGE)}", flush=True)
    for image_id, reason in made.reasons.items():
        print(f"  {image_id}: {reason}", file=sys.stderr)
    return 1 if made.reasons else 0


def _training_ids(recipe: Recipe, dataset: Dataset, pairs: CamPairs) -> tuple[str, ...]:
    split = recipe.data.cam_splits[0]
    found = []
    for image_id in pairs.having(dataset.image_ids(split)):
        labels = dataset.image_labels_by_id.get(image_id)
        if labels is not None and labels.any():
            found.append(image_id)
    if not found:
        raise DataError(f"{dataset.name}: no image of {split} has a class to refine")
    return tuple(found)


def _identity(recipe: Recipe, pairs: CamPairs, image_ids: Sequence[str]) -> str:
    """A hash of all that decides the trained weights."""
    config = recipe.refine
    return identity_of(
        {
            "refine": to_dict(config) | {"weights": weights_identity("vgg16", config.weights)},
            "seed": recipe.seed,
            "cams": pairs.fingerprint_of(image_ids, RULES),
        }
    )


def _trained(recipe: Recipe, dataset: Dataset, run_dir: Path) -> bool:
    pairs = CamPairs(run_dir, recipe.fusion)
    identity = _identity(recipe, pairs, _training_ids(recipe, dataset, pairs))
    return finished(run_dir / STAGE, refiner_path(run_dir), identity) is not None


def _optimiser(model: Refiner, config: RefineConfig) -> torch.optim.Optimizer:
    group = {"params": list(model.parameters()), "lr": config.learning_rate}
    group["initial_lr"] = config.learning_rate
    if config.optimiser == "sgd":
        return torch.optim.SGD([group], momentum=0.9, weight_decay=config.weight_decay)
    return torch.optim.AdamW([group], weight_decay=config.weight_decay)


def _ready(refiner: Refiner) -> Refiner:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return refiner.to(device, memory_format=torch.channels_last).eval()
