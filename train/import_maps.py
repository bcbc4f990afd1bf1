"""`python -m train import <folder> --into <run>/<source>`: another system's CAMs as a source of a run."""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from orandnet_core.datasets import open_dataset
from orandnet_core.datasets.opening import recognise
from orandnet_core.errors import ConfigError, DataError
from orandnet_core.interchange import (
    CHOICES,
    OPTIONS,
    MapImport,
    Recognised,
    coverage,
    list_maps,
    recognise_maps,
)
from orandnet_core.interchange.recognising import FORMAT_SEEN
from orandnet_core.store import CamStore
from train.claim import claim
from train.config import Recipe, from_dict, override
from train.init import own_recipe
from train.open_run import open_recipe_dataset, write_config
from train.per_image import Made, for_each_image
from train.recipes import recipe
from train.workspace import RUN_NAME, cams_dir, run_dir, sample_dir

__all__ = ["import_maps", "previewed", "recipe_of_run", "target_of"]

PREVIEWED = 3
_LISTED = 20
_SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


def target_of(text: str) -> tuple[Path, str]:
    """The run's folder and the source's name that `--into` names.

    Args:
        text: `RUN/SOURCE`, a run of the workspace; or the path of a store, `.../cams-SOURCE`.

    Raises:
        ConfigError: neither of the two.
    """
    path = Path(text)
    if path.name.startswith("cams-") and _SOURCE_NAME.fullmatch(path.name.removeprefix("cams-")):
        return path.parent.resolve(), path.name.removeprefix("cams-")
    run, slash, source = text.partition("/")
    if slash and RUN_NAME.fullmatch(run) and _SOURCE_NAME.fullmatch(source):
        return run_dir(run), source
    raise ConfigError(
        f"--into {text!r}: give RUN/SOURCE, such as mine/amn, or a store's path that ends in cams-SOURCE. "
        "Called cnn and vit, two sources are fused like networks of one's own"
    )


def recipe_of_run(folder: Path, data: Path | None) -> Recipe:
    """The recipe of a run: its own config, or one that fits the data set where the run is new.

    Args:
        folder: the run's.
        data: root of the data set; None takes the run's own, and the built-in sample for a new run.

    Raises:
        ConfigError: the run was made on another data set.
        DataError: the data set cannot be opened.
    """
    path = folder / "config.json"
    if not path.is_file():
        name = folder.name if RUN_NAME.fullmatch(folder.name) else "imported"
        if data is None or data.resolve() == sample_dir().resolve():
            return override(recipe("scenes"), {"name": name})
        kind = recognise(data)
        base = "scenes" if kind == "scenes" else "voc12_cpu"
        return own_recipe(base, open_dataset(data, kind), kind, name)
    try:
        config = from_dict(json.loads(path.read_text(encoding="utf-8")), Recipe)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a readable recipe ({error})") from None
    root = Path(config.data.root or sample_dir())
    if data is not None and data.resolve() != root.resolve():
        raise ConfigError(f"--data {data}: the run in {folder} was made on {root}: import into another run")
    return config


def import_maps(
    maps: MapImport,
    folder: Path,
    source: str,
    image_ids: tuple[str, ...],
    *,
    anew: bool = False,
    workers: int = 1,
) -> Made:
    """Fill the store `cams-<source>` of a run, or go on with it, or find it done.

    Args:
        maps: the foreign files and what they mean.
        folder: the run's.
        image_ids: those wanted; an image without a file is not among them.
        anew: throw away what was imported from elsewhere or read otherwise.
        workers: processes; 0 is one for every core.

    Raises:
        StoreError: the store holds something else, or the disk refuses.
    """
    store = CamStore(cams_dir(folder, source))
    claim(store, maps.card(source), anew=anew)
    return for_each_image(
        f"import-{source}",
        image_ids,
        is_done=partial(maps.is_written, store),
        make=partial(maps.write, store.root),
        run_dir=folder,
        workers=workers,
    )


def previewed(maps: MapImport, found: Recognised, most: int = PREVIEWED) -> tuple[str, ...]:
    """Some images to look at, with as many classes as there are among those that were recognised."""
    ranked = sorted(found.sampled, key=lambda each: -len(each.labels))
    shown: list[str] = []
    seen: set[int] = set()
    for each in ranked:
        if len(shown) < most and not set(each.labels.tolist()) <= seen:
            shown.append(each.image_id)
            seen |= set(each.labels.tolist())
    others = (each.image_id for each in ranked if each.image_id not in shown)
    return (*shown, *(image_id for image_id, _ in zip(others, range(most - len(shown)), strict=False)))


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("import", help="read another system's CAMs into a run")
    parser.add_argument("folder", type=Path, help="holds a file an image, or PNGs a class; also below")
    parser.add_argument(
        "--into",
        required=True,
        metavar="RUN/SOURCE",
        help="a run of the workspace and a name, or a store's path",
    )
    parser.add_argument("--data", type=Path, help="root of the data set, where the run is new")
    parser.add_argument("--split", nargs="+", default=(), help="only the images of these splits")
    parser.add_argument(
        "--dry-run", "--preview", action="store_true", help="say what would be read; write nothing"
    )
    for name, option in OPTIONS.items():
        text = "; ".join(f"{choice}: {meaning}" for choice, meaning in CHOICES[name].items())
        parser.add_argument(option, dest=name, choices=list(CHOICES[name]), help=text.replace("%", "%%"))
    parser.add_argument("--field", default="", help="which stack of maps, where a file has several")
    parser.add_argument("--anew", action="store_true", help="throw away what was imported otherwise")
    parser.add_argument("--workers", type=int, default=1, help="processes; 0 is one for every core")


def main(args: argparse.Namespace) -> int:
    folder, source = target_of(args.into)
    config = recipe_of_run(folder, args.data)
    dataset = open_recipe_dataset(config)
    wanted = args.split or tuple(dataset.splits)
    image_ids = tuple(dict.fromkeys(image_id for split in wanted for image_id in dataset.image_ids(split)))
    listing = list_maps(args.folder, image_ids, dataset.class_names)
    answers = {name: getattr(args, name) for name in (*OPTIONS, "field") if getattr(args, name)}
    found = recognise_maps(listing, dataset, answers)
    maps = MapImport(listing, dataset, found.reading)
    print("\n".join(_report(maps, found)), flush=True)
    if args.dry_run:
        return 0
    if found.questions:
        raise ConfigError("\n".join(map(str, found.questions)))
    if not (folder / "config.json").is_file():
        write_config(config, folder)
    made = import_maps(maps, folder, source, listing.having(image_ids), anew=args.anew, workers=args.workers)
    print(f"import: {made.summary} -> {cams_dir(folder, source)}", flush=True)
    for image_id, reason in list(made.reasons.items())[:_LISTED]:
        print(f"  {image_id}: {reason.partition(': ')[2] or reason}", file=sys.stderr)
    if len(made.reasons) > _LISTED:
        print(f"  and {len(made.reasons) - _LISTED:,} more", file=sys.stderr)
    return 1 if made.reasons else 0


def _report(maps: MapImport, found: Recognised) -> Iterator[str]:
    """What was found, what is doubtful, and some images as they would be read."""
    listing, dataset, names = maps.listing, maps.dataset, maps.dataset.class_names
    yield f"{listing.root}: {FORMAT_SEEN[found.reading.format]}, {listing.suffix}"
    yield from (f"  {fact}" for fact in found.evidence)
    if len(found.fields) > 1:
        read = found.reading.field or found.fields[0]
        yield f"  stacks: {', '.join(found.fields)}; {read} is read (--field)"
    for split, (there, total) in coverage(listing, dataset).items():
        yield f"  {split}: {there:,} of {total:,} images have maps"
    if listing.passed_over:
        first = listing.examples[0]
        yield f"  {listing.passed_over:,} files passed over, of no image or a second of one: {first}"
    for image_id, reason in list(found.failed.items())[:PREVIEWED]:
        yield f"  cannot be read: {image_id}: {reason}"
    for image_id in previewed(maps, found):
        try:
            cam, class_ids, (height, width) = maps.maps(image_id)
        except DataError as error:
            yield f"  {image_id}: {error}"
            continue
        told = ", ".join(
            f"{names[k - 1]} mean {cam[at].mean():.2f}, peak {_peak(cam[at])}"
            for at, k in enumerate(class_ids.tolist())
        )
        yield f"  {image_id} ({width} x {height} px): {told or 'no class'}"
    yield from (f"doubtful: {question}" for question in found.questions)


def _peak(cam: np.ndarray) -> str:
    row, column = np.unravel_index(np.argmax(cam), cam.shape)
    return f"{cam.max():.2f} at {column / cam.shape[1]:.0%} from left, {row / cam.shape[0]:.0%} from top"
