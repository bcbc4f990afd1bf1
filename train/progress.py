"""Progress of long work: a bar for the terminal, lines of JSON for the app."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

# Called with every line of `metrics.jsonl`, as a dict, by the process that writes it.
listeners: list[Callable[[dict[str, Any]], None]] = []


class Progress:
    """Counts one stage of a run; use it as a context manager.

    Each line of `metrics.jsonl` has `time` (unix s), `stage`, `done`, `total`, `unit`, `rate`
    (items/s since this process began the stage), `eta_s`, and what the stage adds (loss, mAP).

    Args:
        stage: the stage's name, such as `classify-cnn`.
        total: items of the whole stage.
        done: items that an earlier process already finished.
        run_dir: where `metrics.jsonl` goes; None writes none.
        unit: what an item is called, such as `image` or `step`.
        every_s: seconds between lines of progress alone; lines with figures are always written.
        shown: false where another process tells of the same items: no bar, no lines.
        bar: draw the bar (false on ranks other than the first).
    """

    def __init__(
        self,
        stage: str,
        total: int,
        *,
        done: int = 0,
        run_dir: Path | None = None,
        unit: str = "image",
        every_s: float = 1.0,
        shown: bool = True,
        bar: bool = True,
    ):
        self.stage, self.total, self.done, self._unit = stage, total, done, unit
        self._path = run_dir / "metrics.jsonl" if run_dir and shown else None
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._every_s, self._last_line_s = every_s, 0.0
        self._began_s, self._began_at = time.monotonic(), done
        # A log file gets a line now and then, a terminal a bar that moves.
        interval = 0.1 if sys.stderr.isatty() else 10.0
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=stage,
            unit=unit,
            mininterval=interval,
            disable=not (shown and bar),
        )

    def __enter__(self) -> "Progress":
        self._write({})
        return self

    def __exit__(self, *_: object) -> None:
        self._write({})
        self._bar.close()

    def advance(self, count: int = 1, **figures: float | int | str) -> None:
        """Count finished items; figures, if any, are written at once."""
        self.done += count
        self._bar.update(count)
        if figures:
            short = {name: value for name, value in figures.items() if isinstance(value, float | int)}
            self._bar.set_postfix({name: f"{value:.4g}" for name, value in short.items()}, refresh=False)
        if figures or time.monotonic() - self._last_line_s >= self._every_s:
            self._write(figures)

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items and count each when the caller comes back for the next."""
        for item in items:
            yield item
            self.advance()

    @property
    def rate(self) -> float:
        """Items per second since this process began the stage."""
        return (self.done - self._began_at) / max(time.monotonic() - self._began_s, 1e-9)

    def _write(self, figures: dict[str, Any]) -> None:
        self._last_line_s = time.monotonic()
        if self._path is None:
            return
        left = max(self.total - self.done, 0)
        line = {
            "time": round(time.time(), 3),
            "stage": self.stage,
            "done": self.done,
            "total": self.total,
            "unit": self._unit,
            "rate": round(self.rate, 4),
            "eta_s": round(left / self.rate, 1) if self.rate > 0 else None,
        } | figures
        with self._path.open("a") as file:  # one short write: lines of several processes do not mix
            file.write(json.dumps(line) + "\n")
        for listener in listeners:
            listener(line)
