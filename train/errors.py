"""`python -m train errors`: which errors cost a source most, in slices, and pictures of them."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

from orandnet_core.array_files import write_atomically
from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError, OrandnetError
from orandnet_core.metrics import THRESHOLD_RULES, ThresholdChoice, thresholds
from orandnet_core.mining import FACETS, Mined, backgrounds_of, images_of, mine, ranked, slice_label
from orandnet_core.mining.miner import errors_of_image
from orandnet_core.mining.picture import slice_picture
from orandnet_core.render import contact_sheet, framed, png_bytes
from orandnet_core.scoring import Scores
from train.kept_command import kept_command
from train.map_sources import map_source, scores_of
from train.open_run import add_measuring_arguments, open_run
from train.progress import Progress
from train.results import write_rows
from train.results_page import Row
from train.slice_records import GAIN_OF, slice_records
from train.workspace import cache_dir

SOURCES = ("cnn", "vit", "and")
RULES_AT = ("oracle", "no_labels", "precision_over_recall")
PICTURED = "background"  # the facet whose slices are worth a picture
_SHEET = (4, 2)  # columns and rows of a picture
_PICTURE_PX = (320, 240)  # width and height of each image on it


def mine_run(
    dataset: Dataset, split: str, run_dir: Path, sources: Iterable[str], at: str
) -> dict[str, Mined]:
    """The errors of some sources of a run, each at its own threshold.

    Args:
        at: a rule of `RULES_AT`, or the threshold itself as a number.

    Raises:
        ConfigError: no such source, or `at` is neither.
        DataError: no image could be scored, or the rule has no answer.
    """
    scored = scores_of(dataset, split, run_dir, sources)
    cache = cache_dir() / "errors"
    found = {}
    for name, scores in scored.items():
        with Progress(f"errors-{split}-{name}", len(dataset.image_ids(split))) as progress:
            found[name] = mine(
                dataset, split, map_source(run_dir, name), choice_at(at, scores),
                backgrounds_of(dataset, split, cache), cache_dir=cache,
                progress=lambda done, _, bar=progress: bar.advance(done - bar.done),
            )  # fmt: skip
    return found


def choice_at(at: str, scores: Scores) -> ThresholdChoice:
    """The threshold that a rule of `RULES_AT` gives a source, or a number itself."""
    if at in RULES_AT:
        return THRESHOLD_RULES[at].choose(scores.agreement if at == "no_labels" else scores.counts)
    try:
        return thresholds.fixed(float(at))
    except ValueError:
        raise ConfigError(f"--at {at!r}: take a number in [0, 1], or {', '.join(RULES_AT)}") from None


def error_rows(mined: Mapping[str, Mined], class_names: tuple[str, ...], by: str, most: int) -> list[Row]:
    """Rows for `docs/results.json`: of each source and facet, the slices that give back most.

    Args:
        by: "iou", "precision" or "recall", the mean that ranks.
        most: slices of each facet; kinds are always whole.
    """
    rows = []
    for found in mined.values():
        metrics = found.metrics()
        scores = {"miou": float(metrics.mean_iou), "precision": float(metrics.mean_precision),
                  "recall": float(metrics.mean_recall)}  # fmt: skip
        rows += [
            record | scores | {"ranked_by": by}
            for record in slice_records(found, class_names, by=by)
            if record["rank"] <= most or record["facet"] == "kind"
        ]
    return rows


def write_pictures(
    dataset: Dataset, run_dir: Path, mined: Mapping[str, Mined], by: str, count: int, folder: Path
) -> list[tuple[Path, str]]:
    """A sheet of images for each of the dearest slices of background, over all sources.

    Args:
        count: how many sheets; no two of the same class.
        folder: where they go, as `errors-1.png`, ...

    Returns:
        Each file with what it shows, in words.
    """
    every = [
        (each, name)
        for name, found in mined.items()
        for each in ranked(found, FACETS[PICTURED], by)
    ]  # fmt: skip
    dearest: dict[int, tuple] = {}
    for each, name in sorted(every, key=lambda item: -item[0].gains[by]):
        dearest.setdefault(each.where["owner"], (each, name))
    written = []
    for number, (each, name) in enumerate(list(dearest.values())[:count], start=1):
        found, source = mined[name], map_source(run_dir, name)
        pictures = []
        for image_id, _ in images_of(found, each.where, most=_SHEET[0] * _SHEET[1]):
            errors = errors_of_image(dataset, source, found.card.threshold, found.backgrounds, image_id)
            pictures.append(framed(slice_picture(dataset.image(image_id), errors, each.where), _PICTURE_PX))
        path = folder / f"errors-{number}.png"
        write_atomically(path, png_bytes(contact_sheet(pictures, _SHEET[0])))
        label = slice_label(each.where, dataset.class_names, found.backgrounds.names)
        gain = f"{100 * each.gains[by]:+.2f} points of {_name(by)}"
        written.append((path, f"{name}, {label}: {each.images} images, {gain}"))
    return written


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("errors", help="which errors cost a source most, and where they are")
    add_measuring_arguments(parser)
    parser.add_argument(
        "--source", action="append", help=f"cnn, vit, a fusion rule, a CAM store of the run; repeatable; "
        f"default: {', '.join(SOURCES)}",
    )  # fmt: skip
    parser.add_argument("--split", default="train", help="images with ground truth")
    parser.add_argument("--at", default="oracle", help=f"threshold: a number, or {', '.join(RULES_AT)}")
    parser.add_argument(
        "--by", choices=tuple(GAIN_OF), default="precision", help="the mean whose gain ranks slices"
    )
    parser.add_argument("--top", type=int, default=5, help="slices of each kind to tell")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="write sheets of example images here")
    parser.add_argument("--sheets", type=int, default=3, help="how many of them")
    parser.add_argument("--results", type=Path, help="merge the rows into this results.json, and its .md")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    recipe, dataset, run_dir = open_run(args, write=False)
    sources = tuple(args.source or SOURCES)
    mined = mine_run(dataset, args.split, run_dir, sources, args.at)
    rows = error_rows(mined, dataset.class_names, args.by, args.top)
    for row in rows:
        row |= {"recipe": recipe.name, "command": kept_command(args)}
    for name, found in mined.items():
        _print_source(name, found, rows, args.by)
    if args.pictures:
        try:
            written = write_pictures(dataset, run_dir, mined, args.by, args.sheets, args.pictures)
        except OrandnetError as error:
            raise ConfigError(f"--pictures {args.pictures}: {error}") from None
        for path, what in written:
            print(f"{path}: {what}")
    if args.results:
        write_rows(args.results, rows)
        print(f"{len(rows)} rows -> {args.results}")
    return 0


def _print_source(name: str, found: Mined, rows: Iterable[Row], by: str) -> None:
    metrics = found.metrics()
    print(
        f"\n{name}: mIoU {metrics.mean_iou:.1%}, precision {metrics.mean_precision:.1%}, recall "
        f"{metrics.mean_recall:.1%} at {found.card.threshold:.3f} ({found.card.threshold_rule}), "
        f"{found.card.images} images"
    )
    facet = None
    for row in rows:
        if row["source"] != found.card.source:
            continue
        if row["facet"] != facet:
            facet = row["facet"]
            print(f"  {FACETS[facet].label}, points of {_name(by)} given back")
        lift = f", co-occurs x{row['background_lift']:.1f}" if row["background_lift"] is not None else ""
        print(f"    {100 * row[GAIN_OF[by]]:+6.2f}  {row['slice']}  ({row['slice_images']} images{lift})")


def _name(by: str) -> str:
    return "mIoU" if by == "iou" else by
