"""`python -m train irn`: train the network that finds boundaries between classes, from IR labels."""

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from orandnet_core.backbones import load_classifier
from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError, DataError
from orandnet_core.irn import (
    Irn,
    IrnNetwork,
    boundary_loss,
    build_irn,
    centre_displacement,
    displacement_loss,
    pair_labels,
    save_irn,
)
from orandnet_core.irn.network import STRIDE
from orandnet_core.mask_store import MaskStore
from orandnet_core.weights import weights_identity
from train.classify import classifier_path
from train.config import IrnConfig, Recipe, to_dict
from train.loop import LoopConfig, fit
from train.open_run import add_run_arguments, open_run
from train.pairs import TrainingPairs
from train.training import accelerator_for, finished, identity_of, training_loader, write_result

STAGE, LABELS = "irn", "ir-labels"
OWN_CNN = "cnn"

# The published code takes half of what the boundary pairs cost and a quarter of the L1 distance of the
# displacement pairs (half of its mean over rows and columns); the published rates belong to these.
BOUNDARY_WEIGHT, DISPLACEMENT_WEIGHT = 0.5, 0.25

# Images over which displacements are averaged: enough for a mean, and seconds instead of minutes.
MEAN_IMAGES = 200


def irn_path(run_dir: Path) -> Path:
    """Where the trained network lies in a run."""
    return run_dir / STAGE / "network.safetensors"


def irn(recipe: Recipe, dataset: Dataset, run_dir: Path) -> dict[str, object]:
    """Train the inter-pixel relation network of a recipe, or go on with it, or find it done.

    It learns from those images of the first CAM split that have an IR label.

    Args:
        run_dir: the run's folder with `ir-labels`; everything goes to `irn` in it.

    Returns:
        What `result.json` holds: `images` (how many it learned from), `steps`, `seconds`, `identity`.

    Raises:
        ConfigError: processes and micro-steps do not divide the batch, or the backbone does not fit.
        DataError: there is no IR label to learn from.
        WeightsError: the starting weights are not there.
        CheckpointError: the folder holds another training.
    """
    config, labels = recipe.irn, MaskStore(run_dir / LABELS)
    split = recipe.data.cam_splits[0]
    image_ids = tuple(i for i in dataset.image_ids(split) if labels.path_of(i).is_file())
    if not image_ids:
        raise DataError(
            f"{labels.root}: no IR label of any image of {split}; make them with `python -m train ir-labels`"
        )
    identity = _identity(recipe, dataset, run_dir, labels, image_ids)
    done = finished(run_dir / STAGE, irn_path(run_dir), identity)
    if done:
        return done
    accelerator = accelerator_for(
        config.precision, batch_size=config.batch_size, accumulate=config.accumulate
    )
    torch.manual_seed(recipe.seed)
    model = _model(config, run_dir).to(memory_format=torch.channels_last)
    pairs = TrainingPairs(dataset, image_ids, labels.read, config.augment, "nearest", recipe.seed)
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
        return training_loader(
            pairs,
            config.batch_size,
            loop,
            accelerator,
            start=step,
            of_step=lambda _: config.augment.crop_px,
        )

    def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        photos, masks = (part.to(accelerator.device, non_blocking=True) for part in batch)
        logits, displacement = model(accelerator.unwrap_model(model).normalise(photos))
        return pair_loss(logits, displacement, masks, config.radius, accelerator)

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
    result = {"images": len(image_ids), "steps": loop.steps, "seconds": seconds, "identity": identity}
    if accelerator.is_main_process:
        centre_displacement(model, _photos(dataset, image_ids))
        save_irn(irn_path(run_dir), model)
        write_result(run_dir / STAGE, result)
    accelerator.wait_for_everyone()
    return result


def pair_loss(
    logits: Tensor, displacement: Tensor, masks: Tensor, radius: int, accelerator: Accelerator
) -> Tensor:
    """What the pairs of a batch cost, weighed as published.

    Each kind of pair is averaged over all processes of a micro-step, so that they learn as one would.

    Args:
        logits: (B, h, w).
        displacement: (B, 2, h, w).
        masks: (B, 4 h, 4 w) IR labels; a cell takes the label near its centre.
    """
    cells = masks[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE].to(torch.uint8)
    pairs = pair_labels(cells, radius)

    def average(totals: Tensor) -> Tensor:
        return accelerator.reduce(totals, "mean")

    boundary = boundary_loss(logits, pairs, radius, average)
    return BOUNDARY_WEIGHT * boundary + DISPLACEMENT_WEIGHT * displacement_loss(
        displacement, pairs, radius, average
    )


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(STAGE, help="train the boundary and displacement network on IR labels")
    add_run_arguments(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    recipe, dataset, run_dir = open_run(args)
    result = irn(recipe, dataset, run_dir)
    shown = f"{result['images']} images, {result['steps']} steps, {result['seconds']:.0f} s of training"
    print(f"irn: {shown} -> {irn_path(run_dir)}")
    return 0


def _model(config: IrnConfig, run_dir: Path) -> Irn:
    network = IrnNetwork(
        model=config.model,
        output_stride=config.output_stride,
        boundary_channels=config.boundary_channels,
        displacement_channels=config.displacement_channels,
    )
    if config.weights != OWN_CNN:
        model = build_irn(network, config.weights)
    else:
        classifier = load_classifier(classifier_path(run_dir, OWN_CNN))
        if classifier.network.model != config.model:
            raise ConfigError(
                f"irn.weights 'cnn' takes the backbone of the run's CNN, {classifier.network.model}: "
                f"set irn.model to it, or take other weights for {config.model}"
            )
        model = build_irn(network, backbone_state=classifier.backbone.state_dict())
    if not config.backbone_rate_factor:
        model.freeze_backbone()
    return model


def _optimiser(model: Irn, config: IrnConfig) -> torch.optim.Optimizer:
    groups = []
    for part, factor in (
        (model.boundary, 1.0),
        (model.displacement, config.displacement_rate_factor),
        (model.backbone, config.backbone_rate_factor),
    ):
        if factor:
            rate = config.learning_rate * factor
            groups.append({"params": list(part.parameters()), "lr": rate, "initial_lr": rate})
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, momentum=config.momentum, weight_decay=config.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)


def _photos(dataset: Dataset, image_ids: Sequence[str]) -> Iterator[Tensor]:
    """(1, 3, H, W) uint8 of evenly spread images; one that cannot be read is left out."""
    for image_id in image_ids[:: -(-len(image_ids) // MEAN_IMAGES)]:
        try:
            image = dataset.image(image_id)
        except DataError:
            continue
        yield torch.tensor(image).permute(2, 0, 1)[None]


def _identity(
    recipe: Recipe, dataset: Dataset, run_dir: Path, labels: MaskStore, image_ids: Sequence[str]
) -> str:
    """A hash of all that decides the trained weights."""
    config = recipe.irn
    weights = classifier_path(run_dir, OWN_CNN) if config.weights == OWN_CNN else config.weights
    digest = hashlib.sha256()
    for image_id in image_ids:
        digest.update(hashlib.sha256(labels.path_of(image_id).read_bytes()).digest())
    return identity_of(
        {
            "irn": to_dict(config) | {"weights": weights_identity(config.model, weights)},
            "seed": recipe.seed,
            "data": dataset.fingerprint(recipe.data.cam_splits[0]),
            "images": image_ids,
            "labels": digest.hexdigest(),
        }
    )
