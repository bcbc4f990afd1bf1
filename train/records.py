"""What a run remembers of each of its stages: `run_dir/<stage>/stage.json`, one short file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from orandnet_core.array_files import write_atomically

FILE_NAME = "stage.json"


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """A stage of a run, begun or finished.

    Attributes:
        stage: its name.
        key: the hash of all that decides its outputs; see `train.stages`.
        finished_s: unix seconds; None while it is under way or was stopped.
        began_s: of the newest try, unix seconds.
        seconds: work so far, over all tries that could still say so; None where it was found done.
        seed: of the recipe.
        config: its part of the recipe by path, such as `cnn.epochs`.
        code: a hash by module.
        inputs: what it reads, each with its identity.
        provenance: by which code, packages and device; see `train.provenance`. It is told, and decides
            nothing.
        outputs: folders that it writes, relative to the run's.
        summary: one sentence on what it came to.
        failed: why, by image id, for images that have no output.
    """

    stage: str
    key: str
    began_s: float
    finished_s: float | None = None
    seconds: float | None = None
    seed: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    summary: str = ""
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """What stages that read this one depend on: its key, and which images are missing from it."""
        return "-".join([self.key, *(["without", *sorted(self.failed)] if self.failed else [])])


def read_record(run_dir: Path, stage: str) -> StageRecord | None:
    """The record of a stage; None where there is none that can be read."""
    try:
        values = json.loads((run_dir / stage / FILE_NAME).read_text(encoding="utf-8"))
        known = {name.name for name in fields(StageRecord)}
        record = StageRecord(**{name: value for name, value in values.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return record if record.stage == stage else None


def write_record(run_dir: Path, record: StageRecord) -> None:
    """Write a stage's record in place of the one before.

    Raises:
        StoreError: the disk refuses.
    """
    content = json.dumps(asdict(record), indent=2).encode()
    write_atomically(run_dir / record.stage / FILE_NAME, content)
