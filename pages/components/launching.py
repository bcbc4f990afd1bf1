"""From a recipe and a data set to a background job: what will run, checked before it starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orandnet_core.datasets import Dataset
from pages.components.commands import run_command
from pages.components.selection import DatasetRef
from pages.components.tasks import Report
from train import jobs, stages
from train.config import Recipe, override
from train.device_queue import visible_devices
from train.init import split_overrides
from train.open_run import weight_overrides
from train.recipes import RECIPES
from train.recipes import recipe as recipe_of
from train.workspace import free_run_name, run_dir, sample_dir

STAGES = tuple(stages.STAGES)
# Fields of a stage's part of the recipe that say the most of it.
_TELLING = ("model", "architecture", "encoder", "method", "preset", "source")


@dataclass(frozen=True)
class Launch:
    """A run before it starts.

    Attributes:
        recipe: a key of `train.recipes.RECIPES`.
        dataset: what it runs on.
        overrides: fields of the recipe that differ, as text, by path such as `cnn.epochs`.
        weights: starting weights of both networks; empty leaves them to the recipe.
        device: `cpu`, `mps` or `cuda:<n>`.
        run: name of the run's folder.
    """

    recipe: str
    dataset: DatasetRef
    overrides: Mapping[str, str] = field(default_factory=dict)
    weights: str = ""
    device: str = "cpu"
    run: str = ""

    def config(self) -> Recipe:
        """The full recipe that will run.

        Raises:
            ConfigError: an override that does not fit; the message names it.
        """
        config = recipe_of(self.recipe)
        weights = weight_overrides(config, self.weights) if self.weights else {}
        return override(config, weights | dict(self.overrides))

    def command(self, folder: Path) -> list[str]:
        """The command line that runs it."""
        words: list[str | Path] = ["run", "--recipe", self.recipe, "--run-dir", folder]
        if not _is_builtin(self.recipe, self.dataset):
            words += ["--data", self.dataset.root]
        if self.weights:
            words += ["--weights", self.weights]
        for path, value in self.overrides.items():
            words += ["--set", f"{path}={value}"]
        return jobs.train_command(*words)

    def start(self) -> str:
        """Start it in the background; returns the run's name.

        Raises:
            ConfigError: an override that does not fit, or a name that makes no folder.
            JobError: it cannot start, or a job of that name is alive.
        """
        self.config()
        name = self.run or free_run_name(self.recipe)
        folder = run_dir(name)
        jobs.start(folder, self.command(folder), self.device)
        return name


def rehearse(launch: Launch, report: Report) -> bool:
    """Time a launch's stages on a few images, in a process of their own, so that its forecast is known.

    Args:
        report: called while it goes on; what it raises stops the rehearsal.

    Returns:
        True, once it is done.

    Raises:
        JobError: it failed, which the run would as well; the message is its last word.
    """
    command = [*launch.command(run_dir(free_run_name(launch.recipe))), "--dry-run"]
    device = visible_devices(launch.device, os.environ.get("CUDA_VISIBLE_DEVICES"))
    run_command(command, lambda: report(0, 0), device)
    return True


def fitting_recipe(kind: str) -> str:
    """The recipe to offer first for a data set of a kind: one made for it, or else one that starts
    from networks that have seen photographs."""
    recipes = {name: make() for name, make in RECIPES.items()}
    made_for_it = [name for name, config in recipes.items() if config.data.kind == kind]
    pretrained = [name for name, config in recipes.items() if config.cnn.weights != "none"]
    return [*made_for_it, *pretrained, *recipes][0]


def fitted_overrides(recipe: str, ref: DatasetRef, dataset: Dataset | None) -> dict[str, str]:
    """What a recipe has to change to run on a data set: its layout, and splits that are not there.

    Args:
        recipe: a key of `train.recipes.RECIPES`.
        ref, dataset: the data set; None where it cannot be opened yet (the sample before it is drawn).
    """
    config = recipe_of(recipe)
    changes: dict[str, str] = {}
    if config.data.kind not in ("auto", ref.kind):
        changes["data.kind"] = ref.kind
    if dataset is not None:
        changes |= {path: as_text(value) for path, value in split_overrides(config, dataset).items()}
    return changes


def stage_title(name: str) -> str:
    """What a name of `metrics.jsonl`, such as `cams-cnn` or `walk 2/4`, is called on screen."""
    stage = stages.stage_of(name.partition(" ")[0])
    return stage.title if stage else name


def stage_words(stage: stages.Stage, config: Recipe, dataset: Dataset | None) -> str:
    """What a stage does in a few words: its network or method, how long, on which images.

    Args:
        config: the recipe.
        dataset: to count its images; None where it cannot be opened yet.
    """
    values = stage.config(config)
    names = [values.get(f"{part}.{name}") for part in stage.parts(config) for name in _TELLING]
    words = [f"`{name}`" for name in names if name]
    if stage.training:
        words.append(f"for {values[f'{stage.training}.epochs']} epochs")
    splits = stage.splits(config)
    count = ""
    if dataset is not None and set(splits) <= set(dataset.splits):
        count = f" ({sum(len(dataset.splits[split]) for split in splits):,} images)"
    return f"{' '.join(words)} on {', '.join(splits)}{count}".strip()


def as_text(value: Any, *, nested: bool = False) -> str:
    """A field's value as `--set` takes it; `nested` where it is part of a tuple."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return (":" if nested else ",").join(as_text(item, nested=True) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_builtin(recipe: str, ref: DatasetRef) -> bool:
    """Whether the recipe takes the built-in sample by itself, and draws it where it is absent."""
    return recipe_of(recipe).data.kind == "scenes" and ref.root.resolve() == sample_dir().resolve()
