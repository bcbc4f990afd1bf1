"""The stages of a recipe in order; what has not changed is not run again."""

import importlib
import json
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from orandnet_core.datasets import Dataset
from train import pace, together
from train.config import Recipe
from train.per_image import Made
from train.plan import Step, between, next_step
from train.provenance import other_versions, provenance
from train.records import StageRecord, read_record, write_record
from train.stages import Stage

METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class StageResult:
    """What a stage of a run came to.

    Attributes:
        stage: its name.
        summary: one sentence.
        failed: why, by image id, for images that have no output.
        ran: false where it was done before and nothing changed.
        note: what else to know of one that was not run: packages of other versions made it.
    """

    stage: str
    summary: str
    failed: Mapping[str, str] = field(default_factory=dict)
    ran: bool = True
    note: str = ""


def run(
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    *,
    first: str = "",
    last: str = "",
    trust_code: bool = False,
    anew: bool = False,
    announce: Callable[[Step], None] = lambda step: None,
) -> Iterator[StageResult]:
    """Run the stages of a recipe from `first` to `last`, yielding each one's result.

    A stage that finished with the same recipe, code and data is left alone; one that was stopped
    goes on where it was; one that changed is deleted and made anew.

    Args:
        first, last: names of stages; all by default.
        trust_code: keep what an earlier version of the code made.
        anew: delete what these stages made before, whatever it is.
        announce: called before a stage runs, with the reason.

    Raises:
        ConfigError: an unknown stage, or `last` before `first`.
    """
    for stage in between(recipe, first, last):
        together.wait()
        step = next_step(stage, recipe, dataset, run_dir, trust_code=trust_code, anew=anew)
        together.wait()  # nobody may change what the others still look at
        if not step.why:
            record = read_record(run_dir, stage.name)
            note = other_versions(record.provenance)
            yield StageResult(stage.name, record.summary, record.failed, ran=False, note=note)
            continue
        announce(step)
        if together.is_main():
            _clear(step, run_dir)
        together.wait()
        yield perform(step, recipe, dataset, run_dir)


def perform(step: Step, recipe: Recipe, dataset: Dataset, run_dir: Path) -> StageResult:
    """Run one stage and keep its record, in all processes together."""
    stage = step.stage
    before = read_record(run_dir, stage.name)
    spent = before.seconds if before and before.key == step.key else None
    record = StageRecord(
        stage=stage.name,
        key=step.key,
        began_s=time.time(),
        seconds=spent,
        seed=step.seed,
        config=step.config,
        code=step.code,
        inputs=step.inputs,
        provenance=provenance(),
        outputs=tuple(folder.name for folder in stage.folders(run_dir)),
    )
    keep = _keep if together.is_main() else lambda *_, **__: None
    keep(run_dir, record)
    module, _, name = stage.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    lines_before, began = _size(run_dir / METRICS), time.monotonic()
    try:
        outcome = function(recipe, *stage.arguments, dataset, run_dir)
    except BaseException:
        keep(run_dir, record, seconds=(spent or 0.0) + time.monotonic() - began)
        raise
    seconds = (spent or 0.0) + time.monotonic() - began
    result = _result(stage.name, outcome, run_dir)
    if together.is_main():
        _keep_pace(stage, recipe, dataset, run_dir, lines_before, time.monotonic() - began)
    if isinstance(outcome, dict):
        # A training that an earlier command finished, or began, knows better how long it took.
        seconds = max(seconds, float(outcome.get("seconds", 0.0)))
    together.wait()
    keep(
        run_dir,
        record,
        seconds=round(seconds, 3),
        finished_s=time.time(),
        summary=result.summary,
        failed=dict(result.failed),
    )
    return result


def _clear(step: Step, run_dir: Path) -> None:
    if not step.anew:
        return
    for folder in step.stage.folders(run_dir):
        if folder.is_symlink():  # to what another run made, as a study's runs share it
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)


def _keep_pace(
    stage: Stage, recipe: Recipe, dataset: Dataset, run_dir: Path, lines_before: int, seconds: float
) -> None:
    """What a run knows of its speed serves the next one's forecast."""
    lines = _lines_since(run_dir / METRICS, lines_before)
    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    where = pace.machine(device) + (f" x{together.ranks()}" if together.ranks() > 1 else "")
    found = pace.measured(
        stage,
        recipe,
        dataset,
        run_dir,
        lines,
        seconds=seconds,
        memory_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        gpu_memory_gb=torch.cuda.max_memory_allocated() / 1e9 if on_gpu else 0.0,
        now_s=time.time(),
    )
    if found:
        pace.save(found, stage, recipe, dataset, where)


def _lines_since(path: Path, begin: int) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(begin)
        return [json.loads(line) for line in file.read().splitlines()]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _keep(run_dir: Path, record: StageRecord, **changes: Any) -> None:
    write_record(run_dir, replace(record, **changes))


def _result(stage: str, outcome: Made | dict[str, Any], run_dir: Path) -> StageResult:
    if isinstance(outcome, Made):
        whole = Made(
            made=sum(together.gathered([outcome.made])),
            kept=sum(together.gathered([outcome.kept])),
            reasons=dict(together.gathered(list(outcome.reasons.items()))),
        )
        return StageResult(stage, "; ".join([whole.summary, *_scores(run_dir / stage)]), whole.reasons)
    if "map" in outcome:
        score = f"mAP {100 * outcome['map']:.1f} on {outcome['images']} images of {outcome['eval_split']}"
        return StageResult(stage, score)
    return StageResult(stage, f"trained on {outcome['images']} images in {outcome['steps']} steps")


def _scores(stage_dir: Path) -> list[str]:
    """What a stage that scores says of each split, in the way that its config asks for."""
    path = stage_dir / "result.json"
    rows = json.loads(path.read_text()).get("scores", []) if path.is_file() else []
    first = {row["split"]: row["miou"] for row in reversed(rows)}
    return [f"{split} mIoU {100 * miou:.1f}" for split, miou in first.items()]
