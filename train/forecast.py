"""What a run would do, how long it would take and how much it would write, before it starts."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orandnet_core.datasets import Dataset
from train import pace
from train.config import Recipe
from train.pace import Estimate
from train.plan import Step, plan
from train.records import read_record
from train.stages import run_order


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """One stage of a run to come.

    Attributes:
        step: the stage, and why it runs.
        estimate: what it takes; None where it does not run, or its pace is not known.
    """

    step: Step
    estimate: Estimate | None

    @property
    def runs(self) -> bool:
        return bool(self.step.why)

    @property
    def is_known(self) -> bool:
        """Whether it is known what the stage takes, if only nothing."""
        return self.estimate is not None or not self.runs


def forecast(
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    first: str = "",
    last: str = "",
    *,
    device: str,
    **how: bool,
) -> list[Forecast]:
    """All stages from `first` to `last`, with what is known from earlier runs and rehearsals on this machine.

    Args:
        device: such as `cpu` or `cuda:0`.
        how: `trust_code`, `anew`; see `train.plan.next_step`.

    Raises:
        As `train.plan.plan`.
    """
    steps = plan(recipe, dataset, run_dir, first, last, **how)
    return [Forecast(step=step, estimate=_estimate(step, recipe, dataset, run_dir, device)) for step in steps]


def total(forecasts: Sequence[Forecast]) -> Estimate:
    """What all stages take, as far as it is known: times and files add up, memory does not."""
    return together(each.estimate for each in forecasts)


def together(estimates: Iterable[Estimate | None]) -> Estimate:
    """What stages take one after the other, as far as it is known."""
    known = [each for each in estimates if each]
    return Estimate(
        seconds=sum(each.seconds for each in known),
        bytes=sum(each.bytes for each in known),
        memory_gb=max((each.memory_gb for each in known), default=0.0),
        gpu_memory_gb=max((each.gpu_memory_gb for each in known), default=0.0),
    )


def of_new_run(recipe: Recipe, dataset: Dataset, device: str) -> dict[str, Estimate | None]:
    """What each stage takes in a run from the start; None where its pace is not known."""
    found = {}
    for stage in run_order(recipe):
        known = pace.find(stage, recipe, dataset, pace.machine(device))
        found[stage.name] = pace.estimate(known, stage, recipe, dataset) if known else None
    return found


def lines(forecasts: Sequence[Forecast], run_dir: Path) -> list[str]:
    """A table as text, with a line of totals and of what the disk has."""
    rows = [("stage", "time", "disk", "why")]
    for each in forecasts:
        known, step = each.estimate, each.step
        takes = (
            (duration(known.seconds), size(known.bytes)) if known else ("?", "?") if each.runs else ("", "")
        )
        why = f"{step.why}{', made anew' if step.anew else ''}" if each.runs else "unchanged"
        rows.append((step.stage.name, *takes, why))
    whole = total(forecasts)
    rows.append(
        ("in all", duration(whole.seconds), size(whole.bytes), f"{size(free_bytes(run_dir))} free on disk")
    )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        f"{name:{widths[0]}}  {time:>{widths[1]}}  {disk:>{widths[2]}}  {why}"
        for name, time, disk, why in rows
    ]


def free_bytes(folder: Path) -> int:
    """What the disk of a folder has left; the folder need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def duration(seconds: float) -> str:
    """To read at a glance: `8 s`, `4 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """To read at a glance: `12 MB`, `3.4 GB`."""
    if count < 1e6:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def _estimate(step: Step, recipe: Recipe, dataset: Dataset, run_dir: Path, device: str) -> Estimate | None:
    found = pace.find(step.stage, recipe, dataset, pace.machine(device)) if step.why else None
    if found is None:
        return None
    whole = pace.estimate(found, step.stage, recipe, dataset)
    record = None if step.anew else read_record(run_dir, step.stage.name)
    spent = record.seconds or 0.0 if record else 0.0
    return replace(whole, seconds=max(0.0, whole.seconds - spent))
