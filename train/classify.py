"""`python -m train classify`: train the classifiers whose CAMs will be fused."""

import argparse
from pathlib import Path

import numpy as np
import timm.optim
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from orandnet_core.backbones import (
    Classifier,
    Network,
    build_classifier,
    load_classifier,
    save_classifier,
)
from orandnet_core.cams import with_output_stride
from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError, DataError
from orandnet_core.weights import weights_identity
from train.config import ClassifyConfig, Recipe, to_dict
from train.kept_command import kept_command
from train.learning import learning_row
from train.loading import leave_group, loading_processes, started
from train.loop import LoopConfig, fit
from train.open_run import add_run_arguments, open_run
from train.photos import EvaluationPhotos, TrainingPhotos
from train.provenance import device_words
from train.results import write_rows
from train.teacher import Teacher, position_loss
from train.training import (
    accelerator_for,
    finished,
    identity_of,
    training_loader,
    write_result,
)

EVAL_BATCH = 16
TEACHER_STRIDE = 16


def classifier_path(run_dir: Path, source: str) -> Path:
    """Where the trained classifier of a source (`cnn`, `vit`) lies in a run."""
    return run_dir / f"classify-{source}" / "classifier.safetensors"


def classify(recipe: Recipe, source: str, dataset: Dataset, run_dir: Path) -> dict[str, object]:
    """Train one classifier of a recipe, or go on with it, or find it done.

    Args:
        source: `cnn` or `vit`.
        run_dir: the run's folder; everything goes to `classify-<source>` in it.

    Returns:
        What `result.json` holds: `map` (mean average precision on the evaluation split,
        fraction), `average_precision` by class, `seconds`, `images`, `identity`.

    Raises:
        ConfigError: ranks or micro-batches do not divide the batch.
        CheckpointError: the folder holds another run's training.
        DataError: no image of the evaluation split has a label.
    """
    config, stage = recipe.classifier(source), f"classify-{source}"
    stage_dir = run_dir / stage
    identity = training_identity(recipe, source, dataset, run_dir)
    done = finished(stage_dir, classifier_path(run_dir, source), identity)
    if done:
        return done
    eval_ids = evaluation_ids(dataset, recipe.data.eval_split)
    accelerator = accelerator_for(
        config.precision, batch_size=config.batch_size, accumulate=config.accumulate
    )
    torch.manual_seed(recipe.seed)
    network = Network(
        model=config.model,
        head=config.head,
        class_names=dataset.class_names,
        pooling=config.pooling,
        output_stride=config.output_stride,
        image_px=config.image_px,
        depth=config.depth,
    )
    model = build_classifier(
        network, config.weights, patch_drop=config.patch_drop, drop_path=config.drop_path
    )
    model.freeze(config.frozen_stages)
    if network.kind == "cnn":
        model = model.to(memory_format=torch.channels_last)

    image_ids = dataset.image_ids(recipe.data.train_split)
    photos = TrainingPhotos(dataset, image_ids, config.augment, recipe.seed)
    steps_per_epoch = max(1, len(image_ids) // config.batch_size)
    loop = LoopConfig(
        steps=steps_per_epoch * config.epochs,
        seed=recipe.seed,
        identity=identity,
        schedule=config.schedule,
        warmup_share=config.warmup_share,
        clip_norm=config.clip_norm,
        accumulate=config.accumulate,
    )

    def loader_from(step: int) -> DataLoader:
        return training_loader(photos, config.batch_size, loop, accelerator, start=step)

    teacher = _teacher(config, run_dir, dataset.class_names)
    if teacher:
        teacher.to(accelerator.device, memory_format=torch.channels_last)

    def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        photos, labels = (part.to(accelerator.device, non_blocking=True) for part in batch)
        images = accelerator.unwrap_model(model).normalise(photos)
        if not teacher:
            return _image_loss(model(images), labels)
        logits, maps = model(images, with_maps=True)
        where = position_loss(maps.float(), *teacher(photos), labels)
        return _image_loss(logits, labels) + config.teacher_weight * where

    def after_epoch(model: nn.Module) -> dict[str, float]:
        scores = average_precisions(model, dataset, eval_ids, config.eval_px)
        return {"map": float(np.nanmean(scores))}

    seconds = fit(
        model,
        _optimiser(model, config),
        loss_of,
        loader_from,
        loop,
        accelerator,
        run_dir=run_dir,
        stage=stage,
        batch_size=config.batch_size,
        after_epoch=after_epoch,
        steps_per_epoch=steps_per_epoch,
    )
    scores = average_precisions(model, dataset, eval_ids, config.eval_px)
    result = classifier_result(recipe, dataset, scores, identity) | {"seconds": seconds}
    if accelerator.is_main_process:
        save_classifier(classifier_path(run_dir, source), model)
        write_result(stage_dir, result)
    accelerator.wait_for_everyone()
    return result


def evaluation_ids(dataset: Dataset, split: str) -> tuple[str, ...]:
    """The ids of a split that a mean average precision can be taken over.

    Raises:
        DataError: none of its images has a class.
    """
    image_ids = dataset.image_ids(split)
    labels = (dataset.image_labels_by_id.get(image_id) for image_id in image_ids)
    if not any(each is not None and each.any() for each in labels):
        raise DataError(
            f"{dataset.name}: none of the {len(image_ids)} images of {split} has a class, so that there is "
            "no mAP: label some, or name another split (--set data.eval_split=...)"
        )
    return image_ids


def classifier_result(
    recipe: Recipe, dataset: Dataset, scores: np.ndarray, identity: str
) -> dict[str, object]:
    """What `result.json` says of a classifier with these average precisions (C,); see `classify`."""
    return {
        "map": float(np.nanmean(scores)),
        "average_precision": {
            name: None if np.isnan(score) else float(score)
            for name, score in zip(dataset.class_names, scores, strict=True)
        },
        "eval_split": recipe.data.eval_split,
        "images": len(dataset.image_ids(recipe.data.eval_split)),
        "identity": identity,
    }


@torch.inference_mode()
def average_precisions(
    model: Classifier, dataset: Dataset, image_ids: tuple[str, ...], side_px: int
) -> np.ndarray:
    """Average precision of every class.

    Args:
        side_px: images are squeezed to this square (a multiple of a ViT's patch).

    Returns:
        (C,) float64 in [0, 1], NaN where no image has the class; scikit-learn's
        `average_precision_score`, which interpolates nothing (unlike VOC's 2007 rule).
    """
    model.eval()
    device = next(model.parameters()).device
    photos = EvaluationPhotos(dataset, image_ids, side_px)
    loader = DataLoader(
        photos,
        EVAL_BATCH,
        collate_fn=_without_unreadable,
        num_workers=loading_processes(),
        worker_init_fn=leave_group,
    )
    scores, labels = [], []
    for images, truth in filter(None, started(loader)):
        scores.append(model.predict(images.to(device)).cpu())
        labels.append(truth)
    score, label = torch.cat(scores).numpy(), torch.cat(labels).numpy()
    return np.array(
        [
            average_precision_score(label[:, c], score[:, c]) if label[:, c].any() else np.nan
            for c in range(score.shape[1])
        ]
    )


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("classify", help="train the CNN's or the ViT's classifier")
    parser.add_argument("--source", choices=("cnn", "vit", "both"), default="both", help="which network")
    parser.add_argument(
        "--results", type=Path, help="merge how it learned into this results.json, and its .md"
    )
    add_run_arguments(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    recipe, dataset, run_dir = open_run(args)
    for source in ("cnn", "vit") if args.source == "both" else (args.source,):
        result = classify(recipe, source, dataset, run_dir)
        score = f"mAP {100 * result['map']:.1f} on {result['images']} images of {result['eval_split']}"
        path = classifier_path(run_dir, source)
        spent = f"{result['seconds']:.0f} s of training" if "seconds" in result else "adopted"
        print(f"{source}: {score}, {spent} -> {path}")
        if args.results and "seconds" in result:
            row = learning_row(recipe, dataset, source, result, run_dir)
            write_rows(args.results, [row | {"command": kept_command(args), "device": device_words()}])
    return 0


def _image_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """(B, T, C) logits of every head against (B, C) labels."""
    return F.multilabel_soft_margin_loss(
        logits.float().flatten(0, 1), labels.repeat_interleave(logits.shape[1], 0)
    )


def _teacher_path(config: ClassifyConfig, run_dir: Path) -> Path:
    return classifier_path(run_dir, "cnn") if config.teacher == "cnn" else Path(config.teacher)


def _teacher(config: ClassifyConfig, run_dir: Path, class_names: tuple[str, ...]) -> Teacher | None:
    if not config.teacher:
        return None
    path = _teacher_path(config, run_dir)
    classifier = load_classifier(path)
    if classifier.network.kind != "cnn" or classifier.network.class_names != class_names:
        raise ConfigError(f"teacher {path}: must be a CNN trained on the same classes")
    return Teacher(with_output_stride(classifier, TEACHER_STRIDE))


def _optimiser(model: Classifier, config: ClassifyConfig) -> torch.optim.Optimizer:
    groups = timm.optim.param_groups_layer_decay(
        model.backbone, config.weight_decay, layer_decay=config.layer_decay
    )
    head = [p for name, p in model.named_parameters() if not name.startswith("backbone.")]
    groups.append({"params": head, "weight_decay": config.weight_decay, "lr_scale": config.head_rate_factor})
    for group in groups:
        group["lr"] = group["initial_lr"] = config.learning_rate * group.pop("lr_scale", 1.0)
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _without_unreadable(samples: list) -> tuple[Tensor, Tensor] | None:
    readable = [sample for sample in samples if sample is not None]
    if not readable:
        return None
    images, labels = zip(*readable, strict=True)
    return torch.stack(images), torch.stack(labels)


def training_identity(recipe: Recipe, source: str, dataset: Dataset, run_dir: Path) -> str:
    """A hash of all that decides the trained weights."""
    config = recipe.classifier(source)
    parts = {
        "classifier": to_dict(config) | {"weights": weights_identity(config.model, config.weights)},
        "seed": recipe.seed,
        "data": dataset.fingerprint(recipe.data.train_split),
    }
    if config.teacher:
        parts["teacher"] = weights_identity("teacher", _teacher_path(config, run_dir))
    return identity_of(parts)
