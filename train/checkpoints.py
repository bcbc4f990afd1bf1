"""Checkpoints of a training stage: written atomically, the one before kept."""

from pathlib import Path
from typing import Any

import torch

from orandnet_core.errors import CheckpointError

KEPT = 2


class Checkpoints:
    """The checkpoints of one stage, `step-<n>.pt` in a folder.

    They hold tensors, numbers and strings only, and are read with `weights_only=True`:
    a checkpoint from a stranger executes nothing.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state after `step` steps and drop all but the newest two."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"step-{step}.part"
        try:
            torch.save(state | {"step": step}, partial)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            partial.unlink(missing_ok=True)
            raise CheckpointError(
                f"{partial.parent}: checkpoint of step {step} could not be written ({error}). "
                "Free some disk space and resume: the checkpoint before is untouched"
            ) from None
        partial.replace(self.folder / f"step-{step}.pt")
        for old in self._paths()[KEPT:]:
            old.unlink(missing_ok=True)

    def latest(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The newest readable state, and a warning for each newer one that is damaged."""
        warnings = []
        for path in self._paths():
            try:
                return torch.load(path, map_location="cpu", weights_only=True), warnings
            except Exception as error:  # torch raises many kinds on damaged files
                warnings.append(f"{path}: damaged ({type(error).__name__}), taking the one before")
        return None, warnings

    def _paths(self) -> list[Path]:
        """Newest first."""
        return sorted(self.folder.glob("step-*.pt"), key=lambda path: -int(path.stem.split("-")[1]))
