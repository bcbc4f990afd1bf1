"""`python -m train release`: a run's networks as small files that others can use as they are."""

import argparse
from pathlib import Path

from orandnet_core.backbones import load_classifier, save_classifier
from train.classify import classifier_path
from train.open_run import add_measuring_arguments, resolve
from train.workspace import ROOT, runs_dir

SOURCES = ("cnn", "vit")


def released_path(folder: Path, recipe_name: str, source: str) -> Path:
    """Where the released network of a recipe's source lies in a folder."""
    return folder / f"{recipe_name}_{source}.safetensors"


def release(recipe_name: str, run_dir: Path, folder: Path, sources: tuple[str, ...] = SOURCES) -> list[Path]:
    """Write trained classifiers as float16, named `<recipe>_<source>.safetensors`.

    Args:
        run_dir: holds `classify-<source>`.
        folder: where the app looks for released networks is `assets/weights`.

    Raises:
        WeightsError: a classifier is not trained yet.
    """
    paths = []
    for source in sources:
        path = released_path(folder, recipe_name, source)
        save_classifier(path, load_classifier(classifier_path(run_dir, source)), half=True)
        paths.append(path)
    return paths


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("release", help="write a run's networks as float16 files")
    parser.add_argument("--source", choices=SOURCES, action="append", help="default: both")
    parser.add_argument("--into", type=Path, default=ROOT / "assets" / "weights")
    add_measuring_arguments(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    name = resolve(args).name
    sources = tuple(args.source) if args.source else SOURCES
    for path in release(name, args.run_dir or runs_dir() / name, args.into, sources):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0
