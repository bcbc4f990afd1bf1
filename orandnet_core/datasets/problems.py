"""What is wrong, or merely worth knowing, about the files of a data set."""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

MOST_LISTED = 1_000


@dataclass(frozen=True)
class Problem:
    """One finding about one file.

    Attributes:
        kind: what sort of finding, the same words for all of its sort ("truncated image").
        file: the file or id that it concerns.
        what: what was found there, with values.
        remedy: what to do about it.
        is_error: the file cannot be used as it is; otherwise this is a note.
    """

    kind: str
    file: str
    what: str
    remedy: str
    is_error: bool = True


class ProblemLog:
    """Findings as they come, from any thread: all are counted, the first of each kind are kept.

    Memory stays bounded when every one of 100,000 files has the same fault.

    Args:
        most_listed: how many findings of a kind are kept in full.
    """

    def __init__(self, most_listed: int = MOST_LISTED):
        self._most_listed = most_listed
        self._listed: dict[tuple[bool, str], list[Problem]] = {}
        self._counts: Counter[tuple[bool, str]] = Counter()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, _lock=threading.Lock())

    def add(self, problem: Problem) -> None:
        key = (not problem.is_error, problem.kind)
        with self._lock:
            self._counts[key] += 1
            listed = self._listed.setdefault(key, [])
            if len(listed) < self._most_listed:
                listed.append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.add(problem)

    def merge(self, other: "ProblemLog") -> None:
        """Take over another log, with its counts of findings that it did not keep."""
        self.extend(other)
        with self._lock:
            for key, count in other._counts.items():
                self._counts[key] += count - len(other._listed[key])

    def as_dict(self) -> dict[str, list]:
        """For JSON; `from_dict` is the inverse."""
        with self._lock:
            counts = [[*key, count] for key, count in self._counts.items()]
        return {"listed": [asdict(problem) for problem in self], "counts": counts}

    @classmethod
    def from_dict(cls, kept: dict[str, list]) -> "ProblemLog":
        """What `as_dict` gave; KeyError, TypeError or ValueError for something else."""
        log = cls()
        log.extend(Problem(**each) for each in kept["listed"])
        log._counts = Counter({(bool(is_note), kind): int(count) for is_note, kind, count in kept["counts"]})
        return log

    def __iter__(self) -> Iterator[Problem]:
        """Those kept: errors first, by kind, by file."""
        with self._lock:
            groups = [list(self._listed[key]) for key in sorted(self._listed)]
        for group in groups:
            yield from sorted(group, key=lambda problem: problem.file)

    def __len__(self) -> int:
        """All findings, also those not kept."""
        return sum(self._counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """How many findings of each kind, errors first."""
        totals: dict[str, int] = {}
        for key in sorted(self._counts):
            totals[key[1]] = totals.get(key[1], 0) + self._counts[key]
        return totals

    @property
    def error_count(self) -> int:
        return sum(count for (is_note, _), count in self._counts.items() if not is_note)

    @property
    def note_count(self) -> int:
        return len(self) - self.error_count
