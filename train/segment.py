"""`python -m train segment`: train a segmentation network on pseudo-masks, small images first or not."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import timm.layers
import timm.optim
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from orandnet_core.backbones import load_classifier
from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError, DataError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.segmentation import SegmentationNetwork, Segmenter, build_segmenter, save_segmenter
from orandnet_core.segmentation_loss import cross_entropy, smoothed_bce
from orandnet_core.weights import weights_identity
from train.classify import classifier_path
from train.config import Recipe, SegmentConfig, to_dict
from train.curriculum import Schedule, scale_schedule
from train.loop import LoopConfig, fit
from train.open_run import add_run_arguments, open_run
from train.pairs import TrainingPairs
from train.training import accelerator_for, finished, identity_of, training_loader, write_result
from train.training_masks import Masks

STAGE = "segment"
OWN_CNN = "cnn"


def network_path(run_dir: Path) -> Path:
    """Where the trained segmentation network of a run lies."""
    return run_dir / STAGE / "network.safetensors"


def segment(recipe: Recipe, dataset: Dataset, run_dir: Path) -> dict[str, object]:
    """Train the segmentation network of a recipe, or go on with it, or find it done.

    It learns from those images of the first CAM split that have a mask.

    Args:
        run_dir: the run's folder; everything goes to `segment` in it.

    Returns:
        What `result.json` holds: `images` (how many it learned from), `steps`, `pixels` (that the
        network was shown), `seconds`, `identity`.

    Raises:
        ConfigError: processes and micro-steps do not divide the batch, or leave one image to each.
        DataError: there is no mask to learn from.
        WeightsError: the starting weights, or the run's CNN that they are taken from, are not there.
        CheckpointError: the folder holds another training.
    """
    config = recipe.segment
    masks = Masks.of(config.masks, dataset, run_dir)
    image_ids = tuple(filter(masks.has, dataset.image_ids(recipe.data.cam_splits[0])))
    if not image_ids:
        raise DataError(
            f"{masks.where}: no mask of any image of {recipe.data.cam_splits[0]}; make them with "
            "`python -m train masks`, or learn from others with --set segment.masks=<folder>"
        )
    identity = _identity(recipe, run_dir, image_ids, masks)
    done = finished(run_dir / STAGE, network_path(run_dir), identity)
    if done:
        return done
    accelerator = accelerator_for(
        config.precision, batch_size=config.batch_size, accumulate=config.accumulate
    )
    torch.manual_seed(recipe.seed)
    network = _network(config, dataset.class_names)
    model = _model(network, config, run_dir)
    if config.frozen_statistics and config.weights != "none":
        model.freeze_statistics()
    if config.architecture == "deeplabv3plus":
        model = model.to(memory_format=torch.channels_last)
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        # A share of a batch is too small for statistics of its own; there is no such thing on a CPU.
        model = with_shared_statistics(model)
    unit = accelerator.num_processes * config.accumulate
    schedule = _schedule(config, len(image_ids), network.stride, unit)
    loop = LoopConfig(
        steps=schedule.steps,
        seed=recipe.seed,
        identity=identity,
        schedule=config.schedule,
        warmup_share=config.warmup_share,
        clip_norm=config.clip_norm,
        accumulate=config.accumulate,
    )
    pairs = TrainingPairs(
        dataset, image_ids, masks, config.augment, config.curriculum.mask_scaling, recipe.seed
    )

    def loader_from(step: int) -> DataLoader:
        return training_loader(
            pairs, schedule.images, loop, accelerator, start=step, of_step=schedule.side_px
        )

    loss = _loss(config)

    def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        photos, masks = (part.to(accelerator.device, non_blocking=True) for part in batch)
        images = accelerator.unwrap_model(model).normalise(photos)
        return loss(model(images).float(), masks) * weight_of_share(masks, accelerator)

    seconds = fit(
        model,
        _optimiser(model, config),
        loss_of,
        loader_from,
        loop,
        accelerator,
        run_dir=run_dir,
        stage=STAGE,
        batch_size=schedule.images,
    )
    result = {
        "images": len(image_ids),
        "steps": schedule.steps,
        "pixels": schedule.pixels,
        "seconds": seconds,
        "identity": identity,
    }
    if accelerator.is_main_process:
        save_segmenter(network_path(run_dir), model)
        write_result(run_dir / STAGE, result)
    accelerator.wait_for_everyone()
    return result


def with_shared_statistics(model: nn.Module) -> nn.Module:
    """The model, its batch normalisation over the images of all processes.

    It is timm's conversion, as torch's knows nothing of the activations inside timm's normalisation
    layers and would leave them out.
    """
    return timm.layers.convert_sync_batchnorm(model)


def weight_of_share(masks: Tensor, accelerator: Accelerator) -> Tensor | float:
    """This process's decided pixels over the mean of all processes'.

    The mean loss of each process times this averages to the mean over the pixels of all.
    """
    if accelerator.num_processes == 1:
        return 1.0
    decided = (masks != IGNORE_INDEX).sum().float()
    return decided / accelerator.reduce(decided, "mean").clamp(min=1)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("segment", help="train the segmentation network on pseudo-masks")
    add_run_arguments(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    recipe, dataset, run_dir = open_run(args)
    result = segment(recipe, dataset, run_dir)
    shown = f"{result['images']} images, {result['steps']} steps, {result['pixels'] / 1e6:,.0f} Mpx"
    print(f"segment: {shown}, {result['seconds']:.0f} s of training -> {network_path(run_dir)}")
    return 0


def _network(config: SegmentConfig, class_names: tuple[str, ...]) -> SegmentationNetwork:
    return SegmentationNetwork(
        architecture=config.architecture,
        encoder=config.encoder,
        class_names=class_names,
        output_stride=config.output_stride,
        activation="softmax" if config.loss == "cross_entropy" else "sigmoid",
    )


def _model(network: SegmentationNetwork, config: SegmentConfig, run_dir: Path) -> Segmenter:
    if config.weights != OWN_CNN:
        return build_segmenter(network, config.weights)
    classifier = load_classifier(classifier_path(run_dir, OWN_CNN))
    if classifier.network.model != config.encoder:
        raise ConfigError(
            f"segment.weights 'cnn' takes the backbone of the run's CNN, {classifier.network.model}: "
            f"set segment.encoder to it, or take other weights for {config.encoder}"
        )
    return build_segmenter(network, backbone_state=classifier.backbone.state_dict())


def _schedule(config: SegmentConfig, images: int, stride: int, unit: int) -> Schedule:
    schedule = scale_schedule(
        config.curriculum,
        steps=max(1, images // config.batch_size) * config.epochs,
        batch_size=config.batch_size,
        crop_px=config.augment.crop_px,
        stride=stride,
        unit=unit,
    )
    fewest = min(map(schedule.images, range(schedule.steps)))
    if fewest < 2 * unit:
        raise ConfigError(
            f"batch_size {config.batch_size} leaves {fewest // unit} image to each of {unit} processes x "
            "micro-steps; batch normalisation needs two: take a larger batch, or fewer of them"
        )
    return schedule


def _loss(config: SegmentConfig) -> Callable[[Tensor, Tensor], Tensor]:
    if config.loss == "cross_entropy":
        return cross_entropy
    return partial(smoothed_bce, smoothing=config.label_smoothing)


def _optimiser(model: Segmenter, config: SegmentConfig) -> torch.optim.Optimizer:
    head = nn.ModuleList(part for name, part in model.model.named_children() if name != "encoder")
    groups = []
    for part, factor in ((model.encoder, 1.0), (head, config.head_rate_factor)):
        for group in timm.optim.param_groups_weight_decay(part, config.weight_decay):
            group["lr"] = group["initial_lr"] = config.learning_rate * factor
            groups.append(group)
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _identity(recipe: Recipe, run_dir: Path, image_ids: tuple[str, ...], masks: Masks) -> str:
    """A hash of all that decides the trained weights."""
    config = recipe.segment
    weights = classifier_path(run_dir, OWN_CNN) if config.weights == OWN_CNN else config.weights
    known_by_content = {
        "weights": weights_identity(config.encoder, weights),
        "masks": masks.fingerprint(image_ids),
    }
    return identity_of(
        {
            "segment": to_dict(config) | known_by_content,
            "seed": recipe.seed,
            "data": masks.dataset.fingerprint(recipe.data.cam_splits[0]),
        }
    )
