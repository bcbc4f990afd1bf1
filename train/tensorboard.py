"""The figures of a run for TensorBoard, beside `metrics.jsonl`: `--tensorboard`."""

import atexit
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orandnet_core.errors import ConfigError
from train import progress

FLUSH_S = 10
BOOKKEEPING = ("time", "stage", "done", "total", "eta_s")


def follow(run_dir: Path) -> Callable[[], None]:
    """Write what every stage reports from now on to `run_dir/tensorboard`, a curve a figure.

    Returns:
        What writes out the last seconds' figures; it is called when the process ends.

    Raises:
        ConfigError: the package `tensorboard` is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError(
            "--tensorboard needs the package tensorboard: `pip install tensorboard`, or leave the option "
            "out; metrics.jsonl has the same figures"
        ) from None
    writer = SummaryWriter(str(run_dir / "tensorboard"), flush_secs=FLUSH_S)

    def tell(line: dict[str, Any]) -> None:
        for name, value in line.items():
            if name not in BOOKKEEPING and isinstance(value, int | float):
                writer.add_scalar(f"{line['stage']}/{name}", value, line["done"], walltime=line["time"])

    progress.listeners.append(tell)
    return atexit.register(writer.close)
