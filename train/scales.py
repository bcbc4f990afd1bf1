"""`python -m train scales`: what the curriculum's small sizes do to pseudo-masks."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from orandnet_core.datasets import Dataset
from orandnet_core.errors import DataError, OrandnetError
from orandnet_core.mask_scaling import SCALINGS, ScaleCounts, scale_counts
from orandnet_core.mask_store import MaskStore
from orandnet_core.pseudo_mask import pseudo_mask
from train.config import Recipe
from train.open_run import add_measuring_arguments, open_run
from train.progress import Progress
from train.sources import open_source

RUN_MASKS = "masks"
SCALES = (1.0, 0.75, 0.5, 0.25)


def count_scales(
    dataset: Dataset,
    image_ids: Sequence[str],
    mask_of: Callable[[str], np.ndarray],
    scales: Sequence[float] = SCALES,
    report: Callable[[int, int], None] | None = None,
) -> tuple[list[ScaleCounts], dict[str, str]]:
    """Scale pseudo-masks and hold them against the ground truth, over many images.

    Args:
        mask_of: image id -> (H, W) uint8; an OrandnetError passes the image over.
        report: told of progress as (done, total).

    Returns:
        Counts of all images together for every way and scale, and why images were passed over.

    Raises:
        DataError: no image has both a pseudo-mask and ground truth.
    """
    total: list[ScaleCounts] = []
    skipped: dict[str, str] = {}
    for done, image_id in enumerate(image_ids):
        if report:
            report(done, len(image_ids))
        try:
            target = dataset.mask(image_id)
            if target is None:
                raise DataError(f"{dataset.mask_path_of(image_id)}: no mask to hold {image_id} against")
            found = scale_counts(mask_of(image_id), target, dataset.num_classes, scales)
        except OrandnetError as error:
            skipped[image_id] = str(error)
        else:
            total = [one + other for one, other in zip(total, found, strict=True)] if total else found
    if not total:
        reason = next(iter(skipped.values()), "there is none")
        raise DataError(
            f"{dataset.name}: none of {len(image_ids)} images could be scaled; the first: {reason}"
        )
    return total, skipped


def spread(image_ids: Sequence[str], most: int) -> list[str]:
    """Up to `most` of the ids, evenly over their order, both ends among them."""
    if len(image_ids) <= most:
        return list(image_ids)
    return [image_ids[index] for index in np.linspace(0, len(image_ids) - 1, most).round().astype(int)]


def scale_table(counts: Sequence[ScaleCounts]) -> dict[str, list[object]]:
    """Counts as columns, percent: a row for every scale and way, largest first, the original size once."""
    names = (
        "Scale",
        "Mask",
        "Precision",
        "Recall",
        "mIoU",
        "Reduced: precision",
        "Reduced: recall",
        "Decided",
    )
    columns: dict[str, list[object]] = {name: [] for name in names}
    for each in sorted(counts, key=lambda each: (-each.scale, SCALINGS.index(each.how))):
        if each.scale == 1 and each.how != SCALINGS[0]:
            continue  # neither way changes anything there
        full, reduced = ScaleCounts.metrics(each.full), ScaleCounts.metrics(each.reduced)
        scores = (full.mean_precision, full.mean_recall, full.mean_iou, reduced.mean_precision,
                  reduced.mean_recall, ScaleCounts.decided(each.full))  # fmt: skip
        row = [each.scale, "as it is" if each.scale == 1 else each.how, *(100 * float(s) for s in scores)]
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return columns


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("scales", help="what small images do to pseudo-masks")
    parser.add_argument("--source", default="and", help="`masks`, or a source as `masks.source` takes it")
    parser.add_argument("--threshold", type=float, default=0.3, help="background threshold; not of `masks`")
    parser.add_argument("--split", default="train", help="images with ground truth")
    parser.add_argument("--images", type=int, default=100, help="at most so many, evenly over the split")
    add_measuring_arguments(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    recipe, dataset, run_dir = open_run(args, write=False)
    mask_of = _masks_of(args.source, args.threshold, recipe, dataset, run_dir)
    image_ids = spread(dataset.image_ids(args.split), args.images)
    with Progress("scales", len(image_ids)) as progress:
        counts, skipped = count_scales(
            dataset, image_ids, mask_of, report=lambda done, _: progress.advance(done - progress.done)
        )
        progress.advance(len(image_ids) - progress.done)
    table = scale_table(counts)
    print(f"| {' | '.join(table)} |\n|{'---|' * len(table)}")
    for scale, how, *scores in zip(*table.values(), strict=True):
        print(f"| {scale:g} | {how} | {' | '.join(f'{score:.2f}' for score in scores)} |")
    print(f"\n{len(image_ids) - len(skipped)} images of {args.split}, {len(skipped)} passed over")
    return 0


def _masks_of(
    name: str, threshold: float, recipe: Recipe, dataset: Dataset, run_dir: Path
) -> Callable[[str], np.ndarray]:
    if name == RUN_MASKS:
        return MaskStore(run_dir / RUN_MASKS).read
    source = open_source(name, recipe, run_dir)

    def mask_of(image_id: str) -> np.ndarray:
        class_ids = dataset.class_ids(image_id)
        return pseudo_mask(source.read(image_id, class_ids), class_ids, threshold)

    return mask_of
