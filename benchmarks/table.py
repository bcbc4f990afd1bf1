"""A benchmark's result, as a line of the table that `python -m benchmarks` prints."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

__all__ = ["HEADER", "Row", "seconds_of"]

HEADER = "name | ours | theirs | ratio | same answer"


@dataclass(frozen=True)
class Row:
    """What was measured, ours and theirs, lower is better.

    Attributes:
        name: what was done, on how much.
        ours, theirs: the cost, in `unit`.
        same_answer: whether both gave the same result; a benchmark compares nothing without it.
        unit: "s" or "MB".
    """

    name: str
    ours: float
    theirs: float
    same_answer: bool
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """How many times theirs costs ours."""
        return self.theirs / self.ours

    def __str__(self) -> str:
        ours, theirs = (f"{cost:.3g} {self.unit}" for cost in (self.ours, self.theirs))
        return f"{self.name} | {ours} | {theirs} | {self.ratio:.3g}x | {'yes' if self.same_answer else 'NO'}"


def seconds_of(work: Callable[[], object], repeats: int = 1) -> tuple[float, object]:
    """The shortest of several runs, in seconds, and what the last one returned."""
    shortest = float("inf")
    for _ in range(repeats):
        start = perf_counter()
        result = work()
        shortest = min(shortest, perf_counter() - start)
    return shortest, result
