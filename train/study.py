"""`python -m train study`: which pseudo-masks, and which curriculum, train the better segmentation network?

On the maps of one run, networks learn from the masks of several sources, with each curriculum and
several seeds. Every one is a run of its own beside the base, `<base>-<source>-<curriculum>-<seed>`,
which links to what the base made; so pages and commands take it as any other, and a study that was
stopped goes on where it was.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError
from train.adopt import is_adopted
from train.config import CURRICULA, Recipe, override
from train.evaluate import SOURCES
from train.kept_command import kept_command
from train.open_run import add_run_arguments, open_run, write_config
from train.plan import Step, between
from train.results import write_rows
from train.results_page import Row, print_row
from train.run import run
from train.score import score_run
from train.segmentations import compare_segmentations

FIRST = "masks"  # the first stage that differs between the networks of a study
BEST = "best"
NETWORKS = ("cnn", "vit")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One network of a study.

    Attributes:
        source: whose maps its masks come from.
        threshold: of those masks, in [0, 1].
        curriculum: `none`, `scale` or `equal_compute`.
        seed: of its training.
    """

    source: str
    threshold: float
    curriculum: str
    seed: int

    def recipe(self, base: Recipe) -> Recipe:
        """The base's recipe, with what this arm changes."""
        return override(
            base,
            {
                "masks.source": self.source,
                "masks.background_threshold": self.threshold,
                "segment.curriculum.kind": self.curriculum,
                "seed": self.seed,
            },
        )

    def folder(self, base_dir: Path) -> Path:
        """Its run's folder, beside the base's."""
        return base_dir.with_name(f"{base_dir.name}-{self.source}-{self.curriculum}-{self.seed}")

    def row_name(self, main_source: str) -> str:
        """What rows call its network: `segment`, the source where it is not the main one, the curriculum."""
        stage, plus, curriculum = SOURCES[self.curriculum].partition("+")
        return (stage if self.source == main_source else f"{stage}-{self.source}") + plus + curriculum


def arms_of(
    recipe: Recipe, scored: Sequence[Row], sources: Sequence[str], curricula: Sequence[str], seeds: int
) -> list[Arm]:
    """All arms of a study, a whole seed before the next.

    Args:
        scored: rows of the base's sources on the first CAM split, as `score_run` makes them; their
            calibrated thresholds make the masks, so no arm sees more ground truth than another.
        sources: names, or `best` for the network whose maps are better there.

    Raises:
        ConfigError: a source that was not scored.
    """
    split = recipe.data.cam_splits[0]
    of_source = {
        row["source"]: row for row in scored if (row["split"], row["threshold_rule"]) == (split, "calibrated")
    }
    best = max(NETWORKS, key=lambda name: of_source[name]["miou"])
    named = list(dict.fromkeys(best if source == BEST else source for source in sources))
    if unknown := [source for source in named if source not in of_source]:
        raise ConfigError(f"source {unknown[0]!r}: choose {BEST}, or among {', '.join(of_source)}")
    return [
        Arm(source=source, threshold=of_source[source]["threshold"], curriculum=curriculum, seed=seed)
        for seed, source, curriculum in product(range(seeds), named, curricula)
    ]


def study(
    recipe: Recipe,
    dataset: Dataset,
    base_dir: Path,
    arms: Sequence[Arm],
    *,
    split: str,
    announce: Callable[[Arm, Step], None] = lambda arm, step: None,
) -> Iterator[list[Row]]:
    """Train and evaluate all arms; yield the rows of what is there after each seed.

    Args:
        base_dir: a run that is done up to its masks.
        split: must be among the recipe's `evaluate.splits`.
        announce: called before a stage of an arm runs.

    Yields:
        A row for every source and curriculum, over the seeds so far; see `compare_segmentations`.

    Raises:
        ConfigError: the split is not evaluated.
    """
    if split not in recipe.evaluate.splits:
        raise ConfigError(
            f"split {split!r}: evaluated are {', '.join(recipe.evaluate.splits)}; set evaluate.splits"
        )
    done: dict[str, list[Path]] = {}
    for index, arm in enumerate(arms):
        own, folder = arm.recipe(recipe), arm.folder(base_dir)
        share(recipe, base_dir, folder)
        write_config(own, folder)
        for _ in run(own, dataset, folder, first=FIRST, announce=lambda step, arm=arm: announce(arm, step)):
            pass
        done.setdefault(arm.row_name(recipe.masks.source), []).append(folder)
        if index + 1 == len(arms) or arms[index + 1].seed != arm.seed:
            yield compare_segmentations(dataset, split, done)


def share(recipe: Recipe, base_dir: Path, folder: Path) -> None:
    """Link what the base made before its masks into another run's folder; deleting that leaves it alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for stage in between(recipe, "", ""):
        if stage.name == FIRST:
            return
        for made in stage.folders(base_dir):
            link = folder / made.name
            if made.exists() and not link.exists():
                link.symlink_to(os.path.relpath(made, folder), target_is_directory=True)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("study", help="masks of several sources x curricula x seeds, compared")
    parser.add_argument(
        "--source",
        nargs="+",
        help=f"{BEST} single network, mean, walk, ...; default: {BEST} mean and the recipe's",
    )
    parser.add_argument("--curriculum", nargs="+", choices=CURRICULA, default=CURRICULA)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each (default: 3)")
    parser.add_argument("--split", default="val", help="where the networks are compared")
    parser.add_argument("--results", type=Path, help="merge the rows into this results.json, and its .md")
    add_run_arguments(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    recipe, dataset, base_dir = open_run(args)
    if args.seeds < 1:
        raise ConfigError(f"--seeds {args.seeds}: at least one")
    stages = [stage.name for stage in between(recipe, "", "")]
    before = stages[stages.index(FIRST) - 1]
    for result in run(recipe, dataset, base_dir, last=before, announce=_say):
        print(f"{result.stage}: {result.summary}", flush=True)
    command = _command(args, base_dir)
    splits = tuple(recipe.data.cam_splits)
    scored = score_run(recipe, dataset, base_dir, splits, calibrate_on=splits[0], command=command)
    _keep(scored, args.results)
    sources = args.source or [BEST, "mean", recipe.masks.source]
    arms = arms_of(recipe, scored, sources, args.curriculum, args.seeds)
    rows: list[Row] = []
    for rows in study(recipe, dataset, base_dir, arms, split=args.split, announce=_say_arm):
        rows = [row | {"command": command, "recipe": recipe.name} for row in rows]
        _keep(rows, args.results)
    for row in rows:
        print_row(row)
    return 0


def _command(args: argparse.Namespace, base_dir: Path) -> str:
    """What makes the rows again; a base run whose networks were adopted was not trained by the study."""
    command = kept_command(args)
    if any(is_adopted(base_dir, source) for source in NETWORKS):
        command = f"{kept_command(args, 'adopt', only=('recipe', 'run_dir', 'data'))} && {command}"
    return command


def _keep(rows: list[Row], results: Path | None) -> None:
    if results:
        write_rows(results, rows)
        print(f"{len(rows)} rows -> {results}", flush=True)


def _say(step: Step) -> None:
    print(f"{step.stage.name}: {step.why}", flush=True)


def _say_arm(arm: Arm, step: Step) -> None:
    print(f"{arm.source}, {arm.curriculum}, seed {arm.seed}: {step.stage.name}", flush=True)
