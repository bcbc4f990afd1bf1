"""The training loop of every stage: resumable to the step, on one device or many.

Nothing random survives a step: the images of step n, their augmentation and the networks'
dropout are functions of (seed, n) alone. A resumed run therefore needs no generator states
and takes exactly the steps that the uninterrupted run would have taken.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from orandnet_core.errors import CheckpointError, ConfigError
from train.checkpoints import Checkpoints
from train.interruption import Interrupted
from train.loading import started
from train.progress import Progress

CHECKPOINT_EVERY_S = 120.0
POLY_POWER = 0.9

# Images a step, over all ranks and micro-steps: the same at every step, or by step.
BatchSize = int | Callable[[int], int]


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long and how steadily to train; `identity` guards against resuming another run."""

    steps: int
    seed: int
    identity: str
    schedule: str = "cosine"
    warmup_share: float = 0.05
    clip_norm: float = 1.0
    accumulate: int = 1
    log_every: int = 10


def rate_factor(step: int, config: LoopConfig) -> float:
    """What the learning rate is multiplied by at a step: linear warm-up, then cosine or poly decay to 0."""
    warmup = max(1, round(config.warmup_share * config.steps))
    if step < warmup:
        return (step + 1) / warmup
    left = 1 - (step - warmup) / max(1, config.steps - warmup)
    return left**POLY_POWER if config.schedule == "poly" else 0.5 * (1 - math.cos(math.pi * left))


def image_stream(count: int, seed: int, start: int) -> Iterator[tuple[int, int]]:
    """Endless (epoch, index) pairs, every epoch its own order, from position `start` on."""
    epoch, offset = divmod(start, count)
    while True:
        for index in np.random.default_rng((seed, epoch)).permutation(count)[offset:]:
            yield epoch, int(index)
        epoch, offset = epoch + 1, 0


def batches(
    count: int, batch_size: BatchSize, config: LoopConfig, *, start: int, rank: int = 0, ranks: int = 1
) -> Iterator[list[tuple[int, int]]]:
    """One list of (epoch, index) per micro-step of this rank, from step `start` to the last.

    The global batch is the same whatever the number of ranks: each takes its share.
    """
    size_at = _size_at(batch_size)
    stream = image_stream(count, config.seed, sum(map(size_at, range(start))))
    micro = config.accumulate * ranks
    for step in range(start, config.steps):
        whole = [next(stream) for _ in range(size_at(step))]
        for part in range(config.accumulate):
            yield whole[part * ranks + rank :: micro]


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[nn.Module, Any], Tensor],
    loader_from: Callable[[int], Iterable[Any]],
    config: LoopConfig,
    accelerator: Accelerator,
    *,
    run_dir: Path,
    stage: str,
    batch_size: BatchSize,
    after_epoch: Callable[[nn.Module], dict[str, float]] | None = None,
    steps_per_epoch: int | None = None,
) -> float:
    """Train until `config.steps`, from the last checkpoint if there is one.

    Args:
        model, optimizer: on the CPU; every parameter group has its `initial_lr`.
        loss_of: (model, batch) -> scalar.
        loader_from: a step -> the micro-batches from that step on.
        run_dir, stage: `run_dir/metrics.jsonl` gets the figures, `run_dir/stage/checkpoints` the state.
        batch_size: images a step, over all ranks, as `batches` got it; for the rate that is shown.
        after_epoch: figures to add at the end of each epoch (of `steps_per_epoch` steps).

    Returns:
        Seconds of training, those of earlier processes included.

    Raises:
        CheckpointError: the checkpoint belongs to a run with another config, or cannot be written.
        ConfigError: the loss or its gradient is no number any more; the last checkpoint is from before.
        Interrupted: SIGTERM came; the state is saved.
    """
    checkpoints = Checkpoints(run_dir / stage / "checkpoints")
    model, optimizer = accelerator.prepare(model, optimizer)
    start, seconds_before = _restore(checkpoints, model, optimizer, config, accelerator)
    began = saved_at = time.monotonic()

    def save(step: int) -> None:
        nonlocal saved_at
        saved_at = time.monotonic()
        if accelerator.is_main_process:
            seconds = seconds_before + saved_at - began
            checkpoints.save(step, _state(model, optimizer, accelerator, config, seconds))

    progress = Progress(
        stage,
        config.steps,
        done=start,
        run_dir=run_dir,
        unit="step",
        shown=accelerator.is_main_process,
    )
    micro_batches = started(loader_from(start))
    losses: list[float] = []
    size_at, images = _size_at(batch_size), 0
    with progress, _Termination() as termination:
        model.train()
        for step in range(start, config.steps):
            factor = rate_factor(step, config)
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            losses.append(_step(model, optimizer, loss_of, micro_batches, config, accelerator, stage, step))
            done = step + 1
            images += size_at(step)
            figures: dict[str, float] = {}
            if done % config.log_every == 0 or done == config.steps:
                figures = {
                    "loss": sum(losses) / len(losses),
                    "lr": optimizer.param_groups[-1]["lr"],
                    "images_per_s": images / (time.monotonic() - began),
                    "memory_gb": _memory_gb(accelerator),
                }
                losses.clear()
            if after_epoch and steps_per_epoch and (done % steps_per_epoch == 0 or done == config.steps):
                if accelerator.is_main_process:
                    figures |= after_epoch(accelerator.unwrap_model(model))
                accelerator.wait_for_everyone()
                model.train()
            progress.advance(1, **figures)
            if _agreed(termination.asked, accelerator):
                save(done)
                accelerator.wait_for_everyone()  # a process that ends may take the one that saves with it
                raise Interrupted(f"{stage}: stopped after step {done}, resumable")
            if time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
                save(done)
        save(config.steps)
    return seconds_before + time.monotonic() - began


def _size_at(batch_size: BatchSize) -> Callable[[int], int]:
    return batch_size if callable(batch_size) else lambda step: batch_size


def _agreed(asked: bool, accelerator: Accelerator) -> bool:
    """Whether any process has this to say: all must act on it after the same step, or one waits for ever."""
    if accelerator.num_processes == 1:
        return asked
    if asked:
        accelerator.set_trigger()
    return accelerator.check_trigger()


def _step(model, optimizer, loss_of, micro_batches, config, accelerator, stage, step) -> float:
    torch.manual_seed(config.seed * 1_000_003 + step * accelerator.num_processes + accelerator.process_index)
    total = 0.0
    for part in range(config.accumulate):
        batch = next(micro_batches)
        last = part == config.accumulate - 1
        with accelerator.autocast(), _sync(accelerator, model, last):
            loss = loss_of(model, batch) / config.accumulate
            accelerator.backward(loss)
        total += loss.item()
    norm = accelerator.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], config.clip_norm)
    # Gradients that overflow in float16 are no divergence: the scaler leaves the step out, and scales less.
    finite = math.isfinite(total) and (accelerator.scaler is not None or math.isfinite(norm))
    if _agreed(not finite, accelerator):
        part, rate = stage.removeprefix("classify-"), optimizer.param_groups[-1]["lr"]
        raise ConfigError(
            f"{stage}: diverged at step {step + 1}, where the loss is {total:.4g}, the gradient's norm "
            f"{norm:.4g}, the learning rate {rate:.3g}: lower {part}.learning_rate or {part}.clip_norm"
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total


def _sync(accelerator: Accelerator, model: nn.Module, last: bool):
    return torch.enable_grad() if last else accelerator.no_sync(model)


def _state(model, optimizer, accelerator, config, seconds) -> dict[str, Any]:
    return {
        "identity": config.identity,
        "seconds": seconds,
        "model": accelerator.unwrap_model(model).state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": accelerator.scaler.state_dict() if accelerator.scaler else {},
    }


def _restore(checkpoints, model, optimizer, config, accelerator) -> tuple[int, float]:
    state, warnings = checkpoints.latest()
    for warning in warnings:
        accelerator.print(warning)
    if state is None:
        return 0, 0.0
    if state["identity"] != config.identity:
        raise CheckpointError(
            f"{checkpoints.folder} was made with another recipe or data set. "
            "Use another --run-dir, or delete that folder to begin again"
        )
    accelerator.unwrap_model(model).load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if accelerator.scaler and state["scaler"]:
        accelerator.scaler.load_state_dict(state["scaler"])
    accelerator.print(f"resuming at step {state['step']} of {config.steps}")
    return state["step"], state["seconds"]


def _memory_gb(accelerator: Accelerator) -> float:
    """Largest memory so far: the device's, or this process's on a CPU."""
    if accelerator.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    import resource  # not on Windows, where nothing here needs it

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


class _Termination:
    """Turns SIGTERM into a flag that the loop reads between steps."""

    asked = False

    def __enter__(self) -> "_Termination":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_before"):
            signal.signal(signal.SIGTERM, self._before)

    def _ask(self, *_: object) -> None:
        self.asked = True
