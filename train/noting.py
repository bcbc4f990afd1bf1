"""A stage that was run by its own command leaves the record that `run` would have left."""

import argparse
import time
from pathlib import Path

from orandnet_core.datasets import Dataset
from train.config import Recipe
from train.open_run import open_run
from train.per_image import WHOLE
from train.plan import next_step
from train.provenance import provenance
from train.ranks import rank_and_ranks
from train.records import StageRecord, write_record
from train.stages import STAGES, Stage

# Options with which a command makes something else than `run` does, or a part of it.
OTHER_WAYS = ("split", "classifier")


def note(command: str, args: argparse.Namespace, began_s: float) -> None:
    """Write the records of the stages that a command has just finished; of other commands, do nothing.

    Args:
        command: its name, such as `refine`, or `cams` for both sources'.
        args: its arguments.
        began_s: unix seconds.
    """
    of_command = [
        stage for stage in STAGES.values() if command in (stage.name, stage.name.rpartition("-")[0])
    ]
    source = getattr(args, "source", "both")
    stages = [stage for stage in of_command if not stage.arguments or source in ("both", *stage.arguments)]
    in_part = any(getattr(args, name, None) for name in OTHER_WAYS) or getattr(args, "shard", WHOLE) != WHOLE
    if not stages or in_part or rank_and_ranks()[0] > 0:
        return
    recipe, dataset, run_dir = open_run(args, write=False)
    for stage in stages:
        note_stage(stage, recipe, dataset, run_dir, began_s if len(stages) == 1 else None)


def note_stage(
    stage: Stage,
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    began_s: float | None,
    summary: str = "made by its own command",
) -> None:
    """Write the record of a stage whose outputs are whole; `began_s` as in `note`, None where unknown."""
    step = next_step(stage, recipe, dataset, run_dir, trust_code=True)
    if not step.why or not stage.is_there(run_dir):
        return  # nothing new, or nothing whole
    now_s = time.time()
    record = StageRecord(
        stage=stage.name,
        key=step.key,
        began_s=began_s or now_s,
        finished_s=now_s,
        seconds=now_s - began_s if began_s else None,
        seed=step.seed,
        config=step.config,
        code=step.code,
        inputs=step.inputs,
        provenance=provenance(),
        outputs=tuple(folder.name for folder in stage.folders(run_dir)),
        summary=summary,
    )
    write_record(run_dir, record)
