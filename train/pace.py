"""How fast a stage is on this machine, and so how long it will take and how much it will write.

Every stage that runs leaves its pace in `workspace/cache/paces`; a rehearsal (`train.rehearsal`)
leaves it from a few images. A pace is that of a stage's settings, whatever the length of its
training and the number of its images.
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orandnet_core.array_files import write_atomically
from orandnet_core.datasets import Dataset
from train.config import Recipe
from train.stages import Stage
from train.workspace import cache_dir

WEIGHTS = (".safetensors", ".pt")  # as large for one image as for thousands
CHECKPOINT, CHECKPOINTS_KEPT = ".pt", 2


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a stage that counts: a training by steps, or a way through the images.

    Attributes:
        unit: `step` or `image`.
        per: of its items for each step of the training, or each image, of the stage.
        seconds: an item.
    """

    unit: str
    per: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a stage went.

    Attributes:
        phases: its parts.
        fixed_s: seconds that do not grow with the work: building and loading.
        bytes_an_image: of files.
        bytes_fixed: of weights and checkpoints.
        memory_gb: largest memory of its process, other stages before it included.
        gpu_memory_gb: largest memory on the GPU; 0 without one.
        images: that it went through when it was measured.
        measured_s: when, unix seconds.
    """

    phases: tuple[Phase, ...]
    fixed_s: float
    bytes_an_image: float
    bytes_fixed: float
    memory_gb: float
    gpu_memory_gb: float
    images: int
    measured_s: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a stage will take.

    Attributes:
        seconds: of work.
        bytes: on disk.
        memory_gb, gpu_memory_gb: of its process.
    """

    seconds: float
    bytes: float
    memory_gb: float
    gpu_memory_gb: float


def machine(device: str) -> str:
    """What paces are true for: this host, with a device such as `cpu` or `cuda:0`."""
    return f"{platform.node()} {device.partition(':')[0]}"


def find(stage: Stage, recipe: Recipe, dataset: Dataset, where: str) -> Pace | None:
    """The pace that the stage had with these settings on such images; None where it never ran so.

    Args:
        where: what `machine` says.
    """
    try:
        values = json.loads(_path_of(stage, recipe, dataset, where).read_text(encoding="utf-8"))
        phases = tuple(Phase(**phase) for phase in values.pop("phases"))
        return Pace(phases=phases, **values)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def save(pace: Pace, stage: Stage, recipe: Recipe, dataset: Dataset, where: str) -> None:
    """Keep a pace in place of the one before; StoreError where the disk refuses."""
    content = json.dumps(asdict(pace), indent=2).encode()
    write_atomically(_path_of(stage, recipe, dataset, where), content)


def estimate(pace: Pace, stage: Stage, recipe: Recipe, dataset: Dataset) -> Estimate:
    """What the stage takes with a recipe's lengths and a data set's images."""
    images, steps = _counts(stage, recipe, dataset)
    work = sum(
        phase.per * (steps if phase.unit == "step" else images) * phase.seconds for phase in pace.phases
    )
    return Estimate(
        seconds=pace.fixed_s + work,
        bytes=pace.bytes_fixed + pace.bytes_an_image * images,
        memory_gb=pace.memory_gb,
        gpu_memory_gb=pace.gpu_memory_gb,
    )


def measured(
    stage: Stage,
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    lines: Iterable[Mapping[str, Any]],
    *,
    seconds: float,
    memory_gb: float,
    gpu_memory_gb: float,
    now_s: float,
) -> Pace | None:
    """The pace of a stage that just ran; None where all was there already.

    Args:
        run_dir: the run's folder, for the size of what it wrote.
        lines: what it wrote to `metrics.jsonl`, all processes together.
        seconds: from its begin to its end.
    """
    images, steps = _counts(stage, recipe, dataset)
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        name = line["stage"].partition(" ")[0]
        if stage.reports_as(name):
            parts.setdefault(name, []).append(line)
    phases, spent = [], 0.0
    for reported in parts.values():
        items, total, item_s, took_s = _pace_of(reported)
        spent += took_s
        if items:
            unit = str(reported[0].get("unit", "image"))
            phases.append(Phase(unit=unit, per=total / (steps if unit == "step" else images), seconds=item_s))
    if not phases or len(phases) < len(parts):
        return None
    by_kind = _bytes(stage.folders(run_dir))
    return Pace(
        phases=tuple(phases),
        fixed_s=max(0.0, seconds - spent),
        bytes_an_image=by_kind[False] / images,
        bytes_fixed=by_kind[True],
        memory_gb=memory_gb,
        gpu_memory_gb=gpu_memory_gb,
        images=images,
        measured_s=now_s,
    )


def _pace_of(lines: Sequence[Mapping[str, Any]]) -> tuple[int, int, float, float]:
    """Items done, items in all, seconds an item, and seconds from the first line to the last.

    The first items are slower: memory is found, processes start. Where there is more than that to
    see, they are left out.
    """
    shares: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        shares.setdefault(line["stage"], []).append(line)
    items = sum(share[-1]["done"] - share[0]["done"] for share in shares.values())
    total = sum(share[-1]["total"] for share in shares.values())
    took_s = max(line["time"] for line in lines) - min(line["time"] for line in lines)
    if not items:
        return 0, total, 0.0, took_s
    if len(shares) == 1:
        warm = [line for line in lines if line["done"] > lines[0]["done"]]
        later = warm[-1]["done"] - warm[0]["done"]
        if later * 2 >= items:
            return items, total, (warm[-1]["time"] - warm[0]["time"]) / later, took_s
    return items, total, took_s / items, took_s


def _counts(stage: Stage, recipe: Recipe, dataset: Dataset) -> tuple[int, int]:
    """Images that the stage goes through, and steps of its training."""
    sizes = [len(dataset.image_ids(split)) for split in stage.splits(recipe)]
    if not stage.training:
        return sum(sizes), 0
    config = getattr(recipe, stage.training)
    return sum(sizes), max(1, sizes[0] // config.batch_size) * config.epochs


def _bytes(folders: Iterable[Path]) -> dict[bool, float]:
    """Bytes of weights (True; two checkpoints, as a long training keeps) and of all other files (False)."""
    found = {True: 0.0, False: 0.0}
    checkpoints: list[int] = []
    for folder in folders:
        for where, _, names in os.walk(folder):
            for name in names:
                size = os.path.getsize(os.path.join(where, name))
                if name.endswith(CHECKPOINT):
                    checkpoints.append(size)
                else:
                    found[name.endswith(WEIGHTS)] += size
    found[True] += CHECKPOINTS_KEPT * max(checkpoints, default=0)
    return found


def _path_of(stage: Stage, recipe: Recipe, dataset: Dataset, where: str) -> Path:
    config = {
        path: value for path, value in stage.config(recipe).items() if path != f"{stage.training}.epochs"
    }
    parts = json.dumps([stage.name, config, dataset.name, where], sort_keys=True)
    return cache_dir() / "paces" / f"{hashlib.sha256(parts.encode()).hexdigest()[:16]}.json"
