"""What a run would do, stage by stage, and why: what has not changed is not run again."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError
from train.config import Recipe
from train.inputs import UNKNOWN, photographs, stores_in
from train.records import StageRecord, read_record
from train.stages import Stage, run_order, stage

SHOWN_CHANGES = 3


@dataclass(frozen=True, kw_only=True)
class Step:
    """A stage of a run, and whether it has to run.

    Attributes:
        stage: which.
        why: the reason to run it; empty where it is done and nothing changed.
        anew: what it made before is of no use, and is deleted first; what is linked from another
            run is that run's, and only the link goes.
        key: what its outputs will be known by.
        config, code, seed, inputs: what the key is made from; see `StageRecord`.
    """

    stage: Stage
    why: str
    anew: bool
    key: str
    config: Mapping[str, Any]
    code: Mapping[str, str]
    seed: int
    inputs: Mapping[str, str]


def plan(
    recipe: Recipe, dataset: Dataset, run_dir: Path, first: str = "", last: str = "", **how: bool
) -> list[Step]:
    """All stages from `first` to `last`, as they would go if every image could be done.

    Args:
        how: `trust_code`, `anew`; see `next_step`.

    Raises:
        ConfigError: an unknown stage, or `last` before `first`.
        DataError: a split that is not there.
        WeightsError: starting weights that are not there.
    """
    steps: list[Step] = []
    coming: dict[str, str] = {}
    for each in between(recipe, first, last):
        step = next_step(each, recipe, dataset, run_dir, coming, **how)
        coming[each.name] = step.key if step.why else _identity_on_disk(run_dir, each.name)
        steps.append(step)
    return steps


def between(recipe: Recipe, first: str, last: str) -> list[Stage]:
    """The stages from one to another, in the order in which the recipe's run; empty names are the ends.

    Raises:
        ConfigError: an unknown stage, or `last` before `first`.
    """
    order = run_order(recipe)
    begin = order.index(stage(first)) if first else 0
    end = order.index(stage(last)) if last else len(order) - 1
    if end < begin:
        raise ConfigError(f"--until {last} comes before --from {first}")
    return order[begin : end + 1]


def next_step(
    stage: Stage,
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    coming: Mapping[str, str] | None = None,
    *,
    trust_code: bool = False,
    anew: bool = False,
) -> Step:
    """Whether one stage has to run.

    Args:
        coming: identities that stages before it will have by then, where they differ from those
            on disk.
        trust_code: take what other code made, if all else is as it was.
        anew: run it whatever there is.
    """
    inputs = {}
    for name in stage.reads(recipe):
        inputs[name] = (coming or {}).get(name) or _identity_on_disk(run_dir, name)
    for split in stage.splits(recipe):
        inputs[f"images of {split}"] = dataset.fingerprint(split)
        inputs[f"photographs of {split}"] = photographs(dataset, split)
    inputs |= stage.takes(recipe, dataset, run_dir) | _weights(stage, recipe)
    parts = {
        "config": stage.config(recipe),
        "code": stage.code(),
        "seed": recipe.seed,
        "inputs": inputs,
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    record = read_record(run_dir, stage.name)
    changes = list(_changes(record, trust_code=trust_code, **parts)) if record else []
    if anew:
        changes = changes or ["asked for"]
    elif record and not changes:
        key, parts["code"] = record.key, record.code
    why = "; ".join(changes) if changes else _unfinished(stage, record, run_dir)
    linked = any(folder.is_symlink() for folder in stage.folders(run_dir))
    if linked and why and not changes:
        why = "what is linked from another run is not whole: made here"
    return Step(stage=stage, why=why, anew=bool(changes) or (linked and bool(why)), key=key, **parts)


def _changes(
    record: StageRecord,
    *,
    config: Mapping[str, Any],
    code: Mapping[str, str],
    seed: int,
    inputs: Mapping[str, str],
    trust_code: bool,
) -> Iterator[str]:
    """What differs from when the record was made, a phrase each."""
    changed = _differing(record.config, config)
    if changed:
        shown = [
            f"{name.partition('.')[2]} {_short(record.config.get(name))} -> {_short(config.get(name))}"
            for name in changed[:SHOWN_CHANGES]
        ]
        more = [f"{len(changed) - SHOWN_CHANGES} more"] if len(changed) > SHOWN_CHANGES else []
        yield f"its config changed ({', '.join(shown + more)})"
    if record.seed != seed:
        yield f"the seed changed ({record.seed} -> {seed})"
    if not trust_code and (changed := _differing(record.code, code)):
        yield f"its code changed ({', '.join(changed)}; --trust-code keeps what it made)"
    if changed := _differing(record.inputs, inputs):
        yield f"its input changed ({', '.join(changed)})"


def _unfinished(stage: Stage, record: StageRecord | None, run_dir: Path) -> str:
    """Why a stage that was made in just this way is not done; empty where it is."""
    if record is None:
        begun = any(any(folder.glob("*")) for folder in stage.folders(run_dir))
        return "has no record yet: what is there is checked and kept" if begun else "not made yet"
    if record.finished_s is None:
        return "was stopped: goes on where it was"
    if not stage.is_there(run_dir):
        return "its outputs are gone"
    if record.failed:
        count = len(record.failed)
        return f"{count} image{'s' if count > 1 else ''} failed the last time: tried again"
    return ""


def _identity_on_disk(run_dir: Path, name: str) -> str:
    """Of what a stage made, or of the stores that were imported into its place."""
    record = read_record(run_dir, name)
    if record:
        return record.identity
    return "-".join(stores_in(stage(name).folders(run_dir)).values()) or UNKNOWN


def _weights(stage: Stage, recipe: Recipe) -> dict[str, str]:
    """Files of starting weights by what they hold: another file under the same name is another input."""
    files = [
        (model, weights) for model, weights in stage.weights(recipe) if weights not in ("hub", "none", "cnn")
    ]
    if not files:
        return {}
    from orandnet_core.weights import weights_identity  # torch, where there are files to look at

    return {f"weights of {model}": weights_identity(model, weights) for model, weights in files}


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_short, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
