"""`python -m train export <run> --to voc --out <folder>`: masks or CAMs of a run in others' formats."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError, DataError
from orandnet_core.interchange.exporting import Export, flat_name, new_folder, write_manifest
from orandnet_core.interchange.to_coco import SEGMENTATIONS, CocoExport
from orandnet_core.interchange.to_image_folder import ImageFolderExport
from orandnet_core.interchange.to_irn import IrnExport
from orandnet_core.interchange.to_voc import VocExport
from orandnet_core.mask_store import MaskStore
from orandnet_core.pseudo_mask import pseudo_mask, trimap
from train.cam_pairs import by_rule, fusion_of
from train.config import FusionConfig, Recipe, override
from train.image_stage import ids_of
from train.import_maps import recipe_of_run
from train.open_run import add_set_argument, assignments_of, open_recipe_dataset
from train.per_image import Made
from train.progress import Progress
from train.sources import CamSource, open_source
from train.workspace import RUN_NAME, run_dir

__all__ = [
    "FORMATS",
    "GROUND_TRUTH",
    "RUN_MASKS",
    "TRIMAP",
    "Exported",
    "cam_source",
    "export_run",
    "exportable",
]

FORMATS = {
    "voc": "VOC devkit with palette PNGs",
    "coco": "COCO annotations, run lengths or polygons",
    "image-folder": "an image folder for Hugging Face datasets",
    "irn": "CAMs as IRN writes them, {keys, cam, high_res}",
}
RUN_MASKS = "masks"
GROUND_TRUTH = "ground-truth"
TRIMAP = "trimap"

Report = Callable[[int, int], None]


class _Writer(Protocol):
    def add(self, image_id: str) -> None: ...

    def finish(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What is exported.

    Attributes:
        format: a key of `FORMATS`.
        source: `masks`, which the run made; `ground-truth`; `trimap`, of OR and AND at a threshold each,
            255 where undecided; or a CAM source of the run.
        threshold: the background threshold that makes masks of a CAM source.
        or_threshold, and_threshold: of the trimap.
        segmentation: for COCO, one of `SEGMENTATIONS`.
        photos: copy the photographs too.
    """

    format: str
    source: str
    threshold: float | None = None
    or_threshold: float | None = None
    and_threshold: float | None = None
    segmentation: str = SEGMENTATIONS[0]
    photos: bool = True

    def __post_init__(self):
        if self.format not in FORMATS:
            raise ConfigError(f"--to {self.format!r}: choose one of {', '.join(FORMATS)}")
        has_masks = self.source in (RUN_MASKS, GROUND_TRUTH, TRIMAP)
        if self.format == "irn" and has_masks:
            raise ConfigError("--to irn writes CAMs: name a CAM source with --source, such as cnn or and")
        if self.format != "irn" and not has_masks and self.threshold is None:
            raise ConfigError(f"--source {self.source} has scores: say --threshold, such as 0.3, for masks")
        if self.source == TRIMAP and None in (self.or_threshold, self.and_threshold):
            raise ConfigError("--source trimap: say --or-threshold and --and-threshold, such as 0.3 and 0.4")
        for name in ("threshold", "or_threshold", "and_threshold"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"--{name.replace('_', '-')} {value}: it lies in [0, 1]")


def export_run(
    wanted: Exported,
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    splits: Sequence[str],
    out: Path,
    report: Report,
) -> Made:
    """Write an export of some splits of a run.

    Args:
        wanted: what.
        recipe, dataset, folder: the run.
        splits: each becomes a split of the export.
        out: a new folder, which is there once all is in it.
        report: called with images done and in all; raise from it to stop, and nothing is left behind.

    Raises:
        ConfigError: the run has no such source.
        DataError: no such split, no image to export, or `out` is taken.
        StoreError: the disk refuses.
    """
    source = cam_source(wanted, recipe, folder)
    there = {split: exportable(wanted, dataset, folder, source, split) for split in splits}
    total = sum(map(len, there.values()))
    if not total:
        raise DataError(f"{folder}: {wanted.source} has nothing of {', '.join(splits)}: make it first")
    reasons: dict[str, str] = {}
    done = 0
    with new_folder(out) as unfinished:
        for split, image_ids in there.items():
            to = Export(out=unfinished, dataset=dataset, split=split, photos=wanted.photos)
            writer = _writer(wanted, to, recipe, folder, source)
            for image_id in image_ids:
                try:
                    writer.add(image_id)
                except (DataError, ValueError) as error:
                    reasons[image_id] = str(error)
                done += 1
                report(done, total)
            writer.finish()
        counts = {split: sum(image_id not in reasons for image_id in ids) for split, ids in there.items()}
        about = _about(wanted, recipe, dataset, folder, source, counts)
        if wanted.format == "voc":
            names = {image_id: flat_name(image_id) for ids in there.values() for image_id in ids}
            about["renamed"] = {image_id: name for image_id, name in names.items() if name != image_id}
        write_manifest(unfinished, about | {"failed": reasons})
    return Made(made=total - len(reasons), kept=0, reasons=reasons)


def cam_source(wanted: Exported, recipe: Recipe, folder: Path) -> CamSource | None:
    """The source whose scores are exported, for a trimap the OR; None where masks are.

    Raises:
        ConfigError: the run has no such source.
    """
    if wanted.source == TRIMAP:
        return _unshaped("or", recipe, folder)
    return None if wanted.source in (RUN_MASKS, GROUND_TRUTH) else open_source(wanted.source, recipe, folder)


def _unshaped(rule: str, recipe: Recipe, folder: Path) -> CamSource:
    """A rule without the recipe's knobs, which a trimap knows nothing of."""
    return open_source(rule, replace(recipe, fusion=FusionConfig()), folder)


def exportable(
    wanted: Exported, dataset: Dataset, folder: Path, source: CamSource | None, split: str
) -> tuple[str, ...]:
    """The images of a split that there is something of; none is no error here.

    Raises:
        DataError: there is no such split.
    """
    image_ids = ids_of(dataset, [split])
    if wanted.source == GROUND_TRUTH:
        return tuple(image_id for image_id in image_ids if dataset.has_mask(image_id))
    if source is None:
        store = MaskStore(folder / RUN_MASKS)
        return tuple(image_id for image_id in image_ids if store.path_of(image_id).is_file())
    try:
        return source.having(image_ids)
    except DataError:
        return ()


def _writer(wanted: Exported, to: Export, recipe: Recipe, folder: Path, source: CamSource | None) -> _Writer:
    dataset = to.dataset
    confident = _unshaped("and", recipe, folder) if wanted.source == TRIMAP else None

    def cam_of(image_id: str) -> tuple[np.ndarray, np.ndarray]:
        class_ids = dataset.class_ids(image_id)
        return source.read(image_id, class_ids), class_ids

    def mask_of(image_id: str) -> np.ndarray:
        if wanted.source == GROUND_TRUTH:
            return dataset.mask(image_id)
        if source is None:
            return MaskStore(folder / RUN_MASKS).read(image_id)
        cam, class_ids = cam_of(image_id)
        if confident is None:
            return pseudo_mask(cam, class_ids, wanted.threshold)
        sure = confident.read(image_id, class_ids)
        return trimap(cam, sure, class_ids, wanted.or_threshold, wanted.and_threshold)

    if wanted.format == "irn":
        return IrnExport(to, cam_of)
    if wanted.format == "coco":
        return CocoExport(to, mask_of, wanted.segmentation)
    return (VocExport if wanted.format == "voc" else ImageFolderExport)(to, mask_of)


def _about(
    wanted: Exported,
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    source: CamSource | None,
    images: Mapping[str, int],
) -> dict[str, Any]:
    """The manifest: format, source and what made it, thresholds, data."""
    about: dict[str, Any] = {
        "format": FORMATS[wanted.format],
        "dataset": dataset.name,
        "data_hash": {split: dataset.fingerprint(split) for split in images},
        "images": dict(images),
        "num_classes": dataset.num_classes,
        "class_names": list(dataset.class_names),
        "source": wanted.source,
        "run": str(folder),
    }
    if source is not None:
        about["source_hash"] = source.made_by()
        if source.rule and wanted.source != TRIMAP:
            about["fusion"] = by_rule(fusion_of(recipe.fusion), source.rule).as_dict()
    elif wanted.source == RUN_MASKS:
        about["made_by"] = MaskStore(folder / RUN_MASKS).card
    if wanted.format != "irn":
        about["ignored"] = "255 is kept: it is neither background nor a class"
    if wanted.source == TRIMAP:
        about |= {"or_threshold": wanted.or_threshold, "and_threshold": wanted.and_threshold}
        about["undecided"] = "255: AND does not pass its threshold, OR passes its own"
    elif source is not None and wanted.format != "irn":
        about |= {"background_threshold": wanted.threshold, "threshold_rule": "given by hand"}
    if wanted.format == "coco":
        about["segmentation"] = wanted.segmentation
    return about


def run_folder(text: str) -> Path:
    """A run's folder, by its name or its path.

    Raises:
        ConfigError: there is no such run.
    """
    folder = run_dir(text) if RUN_NAME.fullmatch(text) and not Path(text).is_dir() else Path(text)
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{text!r}: no run of that name, nor a folder with config.json")
    return folder


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("export", help="write masks or CAMs as VOC, COCO, IRN or an image folder")
    parser.add_argument("run", help="the run's name, or its folder")
    told = "; ".join(f"{name}: {what}" for name, what in FORMATS.items())
    parser.add_argument("--to", required=True, choices=list(FORMATS), help=told)
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument(
        "--source",
        default=RUN_MASKS,
        help="masks (the run's), ground-truth, trimap, or CAMs: cnn, and, fusion (the recipe's), refine, ...",
    )
    parser.add_argument("--threshold", type=float, help="background threshold for masks from CAMs")
    parser.add_argument("--or-threshold", type=float, help="of a trimap: background where OR is not above")
    parser.add_argument("--and-threshold", type=float, help="of a trimap: foreground where AND is above")
    add_set_argument(parser)
    parser.add_argument("--split", nargs="+", default=(), help="default: all of which there is something")
    parser.add_argument("--segmentation", choices=SEGMENTATIONS, default=SEGMENTATIONS[0], help="for coco")
    parser.add_argument("--no-photos", action="store_true", help="masks and annotations only")


def main(args: argparse.Namespace) -> int:
    wanted = Exported(
        format=args.to,
        source=args.source,
        threshold=args.threshold,
        or_threshold=args.or_threshold,
        and_threshold=args.and_threshold,
        segmentation=args.segmentation,
        photos=not args.no_photos,
    )
    folder = run_folder(args.run)
    recipe = override(recipe_of_run(folder, None), assignments_of(args.set))
    dataset = open_recipe_dataset(recipe)
    splits = tuple(args.split) or _splits_with(wanted, recipe, dataset, folder)
    with Progress("export", 0) as progress:

        def report(done: int, total: int) -> None:
            progress.total = total
            progress.advance(done - progress.done)

        made = export_run(wanted, recipe, dataset, folder, splits, args.out, report)
    print(f"export: {made.made:,} images of {', '.join(splits)}, {len(made.reasons)} failed -> {args.out}")
    for image_id, reason in made.reasons.items():
        print(f"  {image_id}: {reason}", file=sys.stderr)
    return 1 if made.reasons else 0


def _splits_with(wanted: Exported, recipe: Recipe, dataset: Dataset, folder: Path) -> tuple[str, ...]:
    source = cam_source(wanted, recipe, folder)
    found = [split for split in dataset.splits if exportable(wanted, dataset, folder, source, split)]
    return tuple(found or dataset.splits)
