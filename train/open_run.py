"""From a command line to what every stage works on: the recipe, the data set, the run's folder."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from orandnet_core.array_files import write_atomically
from orandnet_core.datasets import Dataset, open_dataset
from orandnet_core.errors import ConfigError
from train.config import Recipe, from_dict, override, to_dict
from train.ranks import rank_and_ranks
from train.recipes import RECIPES, recipe
from train.workspace import runs_dir, sample_dir

DEFAULT_RECIPE = "scenes"
OWN_CNN = "cnn"  # weights that another stage of the run trains


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Which recipe, on which data: what every command about runs takes."""
    parser.add_argument(
        "--recipe",
        help=f"one of {', '.join(RECIPES)}, or a config.json; default: the run's own, else {DEFAULT_RECIPE}",
    )
    parser.add_argument("--data", type=Path, help="root of the data set; the built-in sample without it")
    add_set_argument(parser)
    parser.set_defaults(parser=parser)


def add_measuring_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of a command that looks at one run and leaves its config alone."""
    parser.add_argument("--run-dir", type=Path, help="default: workspace/runs/<recipe>")
    add_recipe_arguments(parser)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that every stage of a run takes."""
    add_measuring_arguments(parser)
    parser.add_argument("--weights", help="starting weights: hub, none, a file or a folder of files")
    parser.add_argument("--tensorboard", action="store_true", help="write figures for TensorBoard as well")
    parser.add_argument(
        "--deterministic", action="store_true", help="the same numbers every time on a GPU too; slower"
    )


def add_set_argument(parser: argparse.ArgumentParser) -> None:
    """`--set`, which `assignments_of` reads."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change one field of the recipe, such as cnn.epochs=3; repeatable",
    )


def open_run(args: argparse.Namespace, *, write: bool = True) -> tuple[Recipe, Dataset, Path]:
    """Resolve a recipe with its overrides, open its data set, and make the run's folder.

    TensorBoard and determinism begin here, where they are asked for.

    Args:
        write: make the folder and write its config; false only finds out, as what measures does.

    Raises:
        ConfigError: a wrong recipe, override or missing data root.
        DataError: the data set cannot be opened.
    """
    config = resolve(args)
    dataset = open_recipe_dataset(config)
    run_dir = args.run_dir or runs_dir() / config.name
    if not write:
        return config, dataset, run_dir
    write_config(config, run_dir)
    if args.deterministic:
        from train.determinism import make_deterministic  # torch, which the stage brings anyway

        make_deterministic()
    if args.tensorboard and rank_and_ranks()[0] == 0:
        from train.tensorboard import follow

        follow(run_dir)
    return config, dataset, run_dir


def write_config(config: Recipe, run_dir: Path) -> None:
    """Make the run's folder and write its `config.json`, atomically; StoreError where the disk refuses."""
    write_atomically(run_dir / "config.json", json.dumps(to_dict(config), indent=2).encode())


def resolve(args: argparse.Namespace) -> Recipe:
    """The recipe that the arguments name, with `--data`, `--weights` and `--set` applied."""
    config = _load(str(args.recipe or own_config(args) or DEFAULT_RECIPE))
    assignments: dict[str, object] = {}
    if args.data:
        assignments["data.root"] = str(args.data.resolve())
    if weights := getattr(args, "weights", None):
        assignments |= weight_overrides(config, weights)
    return override(config, assignments | assignments_of(args.set))


def own_config(args: argparse.Namespace) -> Path | None:
    """The config of the run that `--run-dir` names, which holds where no recipe is named."""
    path = args.run_dir / "config.json" if getattr(args, "run_dir", None) else None
    return path if path and path.is_file() else None


def assignments_of(texts: Sequence[str]) -> dict[str, str]:
    """Fields and values as `override` takes them, from what followed each `--set`.

    Raises:
        ConfigError: one that is not FIELD=VALUE.
    """
    assignments = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text!r}: expected FIELD=VALUE, such as cnn.epochs=3")
        assignments[name.strip()] = value.strip()
    return assignments


def weight_overrides(config: Recipe, weights: str) -> dict[str, object]:
    """The fields that `--weights` sets: of all networks but those that start from nothing or the own CNN."""
    changes: dict[str, object] = {f"{part}.weights": weights for part in ("cnn", "vit")}
    if config.refine.architecture != "small":  # which starts from nothing
        changes["refine.weights"] = weights
    for part in ("irn", "segment"):
        if getattr(config, part).weights != OWN_CNN:
            changes[f"{part}.weights"] = weights
    if weights == "none" and "irn.weights" in changes and not config.irn.backbone_rate_factor:
        # What starts from nothing has to learn, and must be told so first.
        changes = {"irn.backbone_rate_factor": 1.0} | changes
    return changes


def open_recipe_dataset(config: Recipe) -> Dataset:
    """The data set of a recipe; the built-in sample is made when it is not there yet."""
    if config.data.kind == "scenes" and not config.data.root:
        return open_dataset(sample_dir(), "scenes")
    if not config.data.root:
        raise ConfigError(f"recipe {config.name} needs a data set: give its folder with --data")
    return open_dataset(Path(config.data.root), config.data.kind)


def _load(name: str) -> Recipe:
    path = Path(name)
    if path.suffix != ".json":
        return recipe(name)
    try:
        return from_dict(json.loads(path.read_text()), Recipe)
    except (OSError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path}: not a readable recipe ({error})") from None
