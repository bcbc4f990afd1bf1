"""`python -m train cams`: a trained classifier's CAMs of whole splits, into a store."""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from orandnet_core.backbones import Classifier, load_classifier
from orandnet_core.cams import compute_cam, method_for, with_output_stride
from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError
from orandnet_core.store import CamStore, stored_hw
from train.claim import claim, in_order
from train.classify import classifier_path
from train.config import CamConfig, Recipe, to_dict
from train.open_run import add_run_arguments, open_run
from train.per_image import WHOLE, Made, Shard, add_shard_argument, for_each_image
from train.workspace import cams_dir


def cams(
    recipe: Recipe,
    source: str,
    dataset: Dataset,
    run_dir: Path,
    *,
    splits: Sequence[str] = (),
    shard: Shard = WHOLE,
    weights_path: Path | None = None,
    anew: bool = False,
) -> Made:
    """Make the CAMs of one source of a run, or go on with them, or find them done.

    Args:
        source: `cnn` or `vit`.
        run_dir: the run's folder; the store is `cams-<source>` in it.
        splits: which images; those of the recipe by default.
        shard: (i, n): the i-th of n processes that share the work, from 1.
        weights_path: a classifier other than the one that the run trained.
        anew: throw away CAMs that another network or other settings made.

    Raises:
        WeightsError: the classifier is not there or not readable.
        ConfigError: the method does not fit the network, or the network the data set.
        DataError: there is no such split.
        StoreError: the store holds CAMs of another network or other settings.
    """
    config = recipe.cams(source)
    weights_path = weights_path or classifier_path(run_dir, source)
    classifier = load_classifier(weights_path)
    if classifier.network.class_names != dataset.class_names:
        raise ConfigError(
            f"{weights_path} knows {len(classifier.network.class_names)} classes, "
            f"{dataset.name} has {len(dataset.class_names)} or others: train on this data set first"
        )
    splits = tuple(splits) or recipe.data.cam_splits
    image_ids = tuple(dict.fromkeys(image_id for split in splits for image_id in dataset.image_ids(split)))
    store = CamStore(cams_dir(run_dir, source))
    card = {
        "source": source,
        "recipe": recipe.name,
        "dataset": dataset.name,
        "splits": {split: dataset.fingerprint(split) for split in splits},
        "network": asdict(classifier.network),
        "weights_sha256": _sha256(weights_path),
        **to_dict(config),
    }
    claim(store, card, anew=anew)
    stage = f"cams-{source}"
    return make_cams(classifier, dataset, image_ids, store, config, stage=stage, run_dir=run_dir, shard=shard)


def make_cams(
    classifier: Classifier,
    dataset: Dataset,
    image_ids: Sequence[str],
    store: CamStore,
    config: CamConfig,
    *,
    stage: str = "cams",
    run_dir: Path | None = None,
    shard: Shard = WHOLE,
) -> Made:
    """Compute the CAMs of the classes present in each image, one image after the other.

    An image whose CAMs are in the store and in order is left alone; one that cannot be read
    or computed is noted and passed over.

    Args:
        image_ids: of all shards.
        stage, run_dir: where progress is told; see `Progress`.
        shard: (i, n): of `image_ids`, take every n-th from the i-th on, from 1.

    Raises:
        ConfigError: the method or its options do not fit the network.
        StoreError: the store cannot be written to.
    """
    options = dict(config.options)
    method_for(config.method, classifier).check(**options)
    classifier = _ready(with_output_stride(classifier, config.output_stride))

    def make(image_id: str) -> None:
        image, class_ids = dataset.image(image_id), dataset.class_ids(image_id)
        size_hw = image.shape[0], image.shape[1]
        cam = compute_cam(
            classifier,
            image,
            class_ids,
            config.method,
            scales=config.scales,
            flip=config.flip,
            long_side_px=config.long_side_px,
            output_hw=stored_hw(size_hw),
            **options,
        )
        store.write(image_id, cam, class_ids, size_hw)

    return for_each_image(
        stage,
        image_ids,
        is_done=lambda image_id: in_order(store, dataset, image_id),
        make=make,
        run_dir=run_dir,
        shard=shard,
    )


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("cams", help="compute a network's CAMs into a store")
    parser.add_argument("--source", choices=("cnn", "vit", "both"), default="both", help="which network")
    parser.add_argument("--split", nargs="+", default=(), help="splits; those of the recipe by default")
    add_shard_argument(parser)
    parser.add_argument("--classifier", type=Path, help="a file other than the classifier of the run")
    parser.add_argument("--anew", action="store_true", help="throw away CAMs of another network or settings")
    add_run_arguments(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    if args.classifier and args.source == "both":
        raise ConfigError("--classifier is one network's file: say which with --source cnn or --source vit")
    if args.anew and args.shard != WHOLE:
        raise ConfigError(
            "--anew with --shard would throw away what other shards make: delete the store first"
        )
    recipe, dataset, run_dir = open_run(args)
    failed = False
    for source in ("cnn", "vit") if args.source == "both" else (args.source,):
        result = cams(
            recipe,
            source,
            dataset,
            run_dir,
            splits=args.split,
            shard=args.shard,
            weights_path=args.classifier,
            anew=args.anew,
        )
        print(f"{source}: CAMs of {result.summary} -> {cams_dir(run_dir, source)}", flush=True)
        for image_id, reason in result.reasons.items():
            print(f"  {image_id}: {reason}", file=sys.stderr)
        failed = failed or bool(result.reasons)
    return 1 if failed else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _ready(classifier: Classifier) -> Classifier:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layout = torch.channels_last if classifier.network.kind == "cnn" else torch.preserve_format
    return classifier.to(device, memory_format=layout).eval()
