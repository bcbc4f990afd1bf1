"""What all training stages share: devices and precision, loading, identity, what a finished one leaves."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from orandnet_core.array_files import replacing
from orandnet_core.errors import ConfigError
from train import together
from train.loading import leave_group, loading_processes
from train.loop import BatchSize, LoopConfig, batches


def accelerator_for(precision: str, *, batch_size: int, accumulate: int = 1) -> Accelerator:
    """The devices that this process trains on, once it is known that they can share a batch.

    Args:
        precision: `float32`, `float16`, `bfloat16`, or `auto`: a half precision where it is fast.
        batch_size: images a step, over all devices together.
        accumulate: micro-steps of a step.

    Raises:
        ConfigError: devices and micro-steps do not divide the batch.
    """
    together.join()
    AcceleratorState._reset_state()  # it keeps the precision of the first network that a process trained
    accelerator = Accelerator(mixed_precision=_mixed_precision(precision))
    ranks = accelerator.num_processes
    if batch_size % (ranks * accumulate):
        raise ConfigError(
            f"batch_size {batch_size} cannot be shared by {ranks} processes x {accumulate} micro-steps"
        )
    return accelerator


def training_loader(
    samples: TorchDataset,
    batch_size: BatchSize,
    loop: LoopConfig,
    accelerator: Accelerator,
    *,
    start: int,
    of_step: Callable[[int], Any] | None = None,
    collate_fn: Callable | None = None,
) -> DataLoader:
    """This rank's micro-batches from step `start` on.

    Args:
        samples: takes (epoch, index), or (epoch, index, `of_step(step)`).
        batch_size: images a step, over all ranks, or by step.
        of_step: what a step's samples have in common, such as their size.
    """
    ranks = accelerator.num_processes
    sampler = batches(
        len(samples), batch_size, loop, start=start, rank=accelerator.process_index, ranks=ranks
    )
    if of_step:
        sampler = (
            [(*key, of_step(start + number // loop.accumulate)) for key in keys]
            for number, keys in enumerate(sampler)
        )
    return DataLoader(
        samples,
        batch_sampler=sampler,
        num_workers=loading_processes(),
        worker_init_fn=leave_group,
        pin_memory=accelerator.device.type == "cuda",
        collate_fn=collate_fn,
    )


def identity_of(parts: dict[str, Any]) -> str:
    """Sixteen hex digits that change with any of the parts, which are JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def finished(stage_dir: Path, weights_path: Path, identity: str) -> dict[str, Any] | None:
    """The `result.json` of a training that was finished with this identity, if there is one.

    Raises:
        ConfigError: there is none, and the folder is linked from another run, which stays as it is.
    """
    path = stage_dir / "result.json"
    if path.is_file() and weights_path.is_file():
        result = json.loads(path.read_text())
        if result.get("identity") == identity:
            return result
    if stage_dir.is_symlink():
        raise ConfigError(
            f"{stage_dir} is a link to {stage_dir.resolve()}, of another training: delete the link, "
            "or let `python -m train run` do so"
        )
    return None


def write_result(stage_dir: Path, result: dict[str, Any]) -> None:
    """Write `result.json`, atomically: the last thing that a training does."""
    with replacing(stage_dir / "result.json") as partial:
        partial.write_text(json.dumps(result, indent=2))


def _mixed_precision(precision: str) -> str:
    """accelerate's word for it; `auto` takes a half precision only where the device is fast at it."""
    if precision == "auto":
        if torch.cuda.is_available():
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        # Without them a CPU emulates bfloat16, fifty times slower than float32.
        has = torch.cpu.get_capabilities()
        return "bf16" if has.get("avx512_bf16") or has.get("amx_bf16") else "no"
    return {"float32": "no", "float16": "fp16", "bfloat16": "bf16"}[precision]
