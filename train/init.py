"""`python -m train init <folder>`: look at a data set of one's own and write a recipe file for it."""

import argparse
import json
import re
import statistics
from collections.abc import Sequence
from pathlib import Path

from orandnet_core.array_files import write_atomically
from orandnet_core.datasets import Dataset, image_size_hw, open_dataset
from orandnet_core.datasets.opening import recognise
from orandnet_core.errors import ConfigError, DataError
from train.config import Recipe, override, to_dict
from train.device_queue import devices
from train.recipes import RECIPES, recipe
from train.stages import STAGES, flat

# What the recipes' epochs are meant for: VOC 2012's train_aug, or the part of it that two cores train on.
IMAGES_OF = {"voc12_paper": 10_582, "voc12_cpu": 3_357}
MOST_TIMES_LONGER = 10
SIZED = 40
CROPS = ("cnn.augment.crop_px", "refine.crop_px", "irn.augment.crop_px", "segment.augment.crop_px")
CROP_UNIT_PX = 32
FEW_IMAGES = 20


def own_recipe(base: str, dataset: Dataset, kind: str, name: str) -> Recipe:
    """A named recipe fitted to a data set: its splits, its number of images and their size.

    A small data set gets more epochs, so that a network takes about as many steps, up to ten
    times as many; crops shrink to what its images fill.

    Args:
        base: a key of `RECIPES`.
        kind: layout of the data set, a key of `orandnet_core.datasets.opening.BUILDERS`.
        name: of the recipe; its runs are called so.
    """
    config = override(
        recipe(base), {"name": name, "data.kind": kind, "data.root": str(dataset.root.resolve())}
    )
    config = override(config, split_overrides(config, dataset))
    times = IMAGES_OF.get(base, 0) / max(1, len(dataset.image_ids(config.data.train_split)))
    longer = min(MOST_TIMES_LONGER, times)
    changes: dict[str, object] = {}
    for each in STAGES.values():
        if each.training:
            epochs = getattr(config, each.training).epochs
            changes[f"{each.training}.epochs"] = max(epochs, round(epochs * longer))
    short_px = typical_short_side(dataset)
    for path in CROPS:
        crop_px = int(flat(config)[path])
        changes[path] = min(crop_px, max(CROP_UNIT_PX, short_px // CROP_UNIT_PX * CROP_UNIT_PX))
    return override(config, changes)


def split_overrides(config: Recipe, dataset: Dataset) -> dict[str, object]:
    """What a recipe has to change to name splits that the data set has."""
    splits = list(dataset.splits)
    changes: dict[str, object] = {}
    for name, fallback in (("train_split", "train"), ("eval_split", "val")):
        if getattr(config.data, name) not in splits:
            changes[f"data.{name}"] = fallback if fallback in splits else splits[0]
    trained = str(changes.get("data.train_split", config.data.train_split))
    cams = dict.fromkeys(split if split in splits else trained for split in config.data.cam_splits)
    if tuple(cams) != config.data.cam_splits:
        changes["data.cam_splits"] = tuple(cams)
    scored = tuple(split for split in config.evaluate.splits if split in splits)
    if len(scored) < len(config.evaluate.splits):
        changes["evaluate.splits"] = scored or (str(changes.get("data.eval_split", config.data.eval_split)),)
    return changes


def typical_short_side(dataset: Dataset) -> int:
    """Median of the short sides of some images, in pixels.

    Raises:
        DataError: none of them can be read.
    """
    image_ids = [image_id for ids in dataset.splits.values() for image_id in ids]
    sides = []
    for image_id in image_ids[:: max(1, len(image_ids) // SIZED)]:
        try:
            sides.append(min(image_size_hw(dataset.image_path_of(image_id))))
        except DataError:
            continue
    if not sides:
        raise DataError(f"{dataset.root}: no image can be read; `python -m train data check` says why")
    return int(statistics.median(sides))


def remarks(dataset: Dataset, config: Recipe) -> list[str]:
    """What somebody should know before training on it."""
    said = []
    rare = {}
    for index, class_name in enumerate(dataset.class_names):
        labels = (dataset.image_labels_by_id.get(i) for i in dataset.image_ids(config.data.train_split))
        count = sum(bool(found[index]) for found in labels if found is not None)
        if count < FEW_IMAGES:
            rare[class_name] = count
    if rare:
        named = ", ".join(f"{class_name} ({count})" for class_name, count in list(rare.items())[:5])
        more = ", ..." if len(rare) > 5 else ""
        said.append(f"classes with few training images: {named}{more}")
    for split in config.evaluate.splits:
        masks = sum(dataset.has_mask(image_id) for image_id in dataset.image_ids(split))
        if not masks:
            said.append(f"no masks of {split}: predictions are made, but cannot be scored")
    if dataset.problems.counts:
        said.append(f"some files were passed over: `python -m train data check {dataset.root}` lists them")
    return said


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("init", help="write a recipe file for a data set of one's own")
    parser.add_argument("folder", type=Path, help="holds images/ with labels.csv, or a VOC devkit")
    parser.add_argument(
        "--recipe", choices=list(RECIPES), help="to start from; by default what this machine can"
    )
    parser.add_argument("--out", type=Path, help="the file; default: <folder's name>.json here")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    kind = recognise(args.folder)
    dataset = open_dataset(args.folder, kind)
    base = args.recipe or ("voc12_paper" if devices()[0].startswith("cuda") else "voc12_cpu")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", dataset.root.resolve().name).strip("-._")[:64] or "own"
    path = args.out or Path(f"{name}.json")
    if path.suffix != ".json":
        raise ConfigError(f"--out {path}: a recipe file ends in .json, so that --recipe knows it for one")
    if path.exists() and not args.force:
        raise ConfigError(f"{path} is there already: add --force to replace it, or name another with --out")
    config = own_recipe(base, dataset, kind, name)
    write_atomically(path, json.dumps(to_dict(config), indent=2).encode())
    print("\n".join(_summary(dataset, config, base, path)))
    return 0


def _summary(dataset: Dataset, config: Recipe, base: str, path: Path) -> Sequence[str]:
    splits = ", ".join(f"{len(ids):,} in {split}" for split, ids in dataset.splits.items())
    return [
        f"{dataset.name}: {len(dataset.class_names)} classes; images: {splits}",
        *(f"note: {remark}" for remark in remarks(dataset, config)),
        f"{path}: {base}, fitted to these images; every field can be changed in it",
        f"next: python -m train run {path} --dry-run    # what will run, how long it takes",
        f"then: python -m train run {path}",
    ]
