"""Which images of a split are looked at: conditions that must all hold, as sentences and as addresses.

A filter is a tuple of conditions. What they ask of an image is worked out once for a split
(`ImageFacts`); after that, a filter is a few comparisons of arrays.

| condition | an image passes if | in an address |
|---|---|---|
| `Shows` | its ground truth shows any of some classes | `class~cat~dog` |
| `ScoreWithin` | its own mIoU under a source lies in a range | `miou~cnn~0.2~0.5` |
| `ScoresWithin` | the same of two sources at once, a box of a scatter | `both~cnn~0~0.4~or~0.6~1` |
| `BestThresholdWithin` | the threshold that is best for it alone lies in a range | `best~cnn~0.1~0.3` |

Ranges include their ends, which are kept to three decimals, rounded outwards.

Shapes: N images, C classes with background.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from orandnet_core.errors import ConfigError

__all__ = [
    "BestThresholdWithin",
    "Condition",
    "ImageFacts",
    "ScoreWithin",
    "ScoresWithin",
    "Shows",
    "address_of",
    "condition_of",
    "conditions_of",
    "passing",
    "with_condition",
]

Array = np.ndarray

_STEPS = 1000  # in which ends of ranges are kept: a tenth of a percent
_SEPARATOR = "~"  # of the few characters that no address has to quote, and rare in names
_QUOTED = {"%": "%25", _SEPARATOR: "%7E"}


@dataclass(frozen=True)
class ImageFacts:
    """What conditions ask about, of every image of a split.

    Attributes:
        image_ids: N names.
        class_names: C names, background first.
        shown: (N, C) bool, the classes that the ground truth shows.
        scores: by source, (N,) each image's own mIoU in [0, 1]; NaN where it has none.
        best_thresholds: by source, (N,) the threshold that is best for the image alone; NaN as above.
            Sources of masks have none and are left out.
    """

    image_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    shown: Array
    scores: Mapping[str, Array]
    best_thresholds: Mapping[str, Array]


@dataclass(frozen=True)
class Shows:
    """Images whose ground truth shows any of some classes.

    Raises:
        ConfigError: no class.
    """

    class_names: tuple[str, ...]

    kind = "class"

    def __post_init__(self):
        if not self.class_names or not all(self.class_names):
            raise ConfigError("a filter by class needs a class; leave it out to see all images")

    @property
    def slot(self) -> tuple[str, ...]:
        return (self.kind,)

    def asks_in_vain(self, facts: ImageFacts) -> bool:
        return not set(self.class_names) <= set(facts.class_names)

    def holds(self, facts: ImageFacts) -> Array:
        columns = [facts.class_names.index(name) for name in self.class_names]
        return facts.shown[:, columns].any(axis=1)

    def sentence(self, labels: Mapping[str, str]) -> str:
        return f"showing {' or '.join(self.class_names)}"

    @property
    def fields(self) -> tuple[str, ...]:
        return self.class_names

    @classmethod
    def of_fields(cls, *names: str) -> Self:
        return cls(names)


@dataclass(frozen=True)
class ScoreWithin:
    """Images whose own mIoU under a source, at the threshold that it has, lies in a range.

    Raises:
        ConfigError: a range that is not ascending within [0, 1].
    """

    source: str
    low: float
    high: float

    kind = "miou"

    def __post_init__(self):
        if not 0 <= self.low <= self.high <= 1:
            raise ConfigError(f"{self.low:g} to {self.high:g} is no range within 0 to 1")
        object.__setattr__(self, "low", math.floor(self.low * _STEPS) / _STEPS)
        object.__setattr__(self, "high", math.ceil(self.high * _STEPS) / _STEPS)

    @property
    def slot(self) -> tuple[str, ...]:
        return (self.kind, self.source)

    def asks_in_vain(self, facts: ImageFacts) -> bool:
        return self.source not in facts.scores

    def holds(self, facts: ImageFacts) -> Array:
        return self._within(facts.scores[self.source])

    def sentence(self, labels: Mapping[str, str]) -> str:
        return f"mIoU of {labels.get(self.source, self.source)} {_percents(self.low, self.high)}"

    @property
    def fields(self) -> tuple[str, ...]:
        return self.source, f"{self.low:g}", f"{self.high:g}"

    @classmethod
    def of_fields(cls, source: str, low: str, high: str) -> Self:
        return cls(source, _number(low), _number(high))

    def _within(self, values: Array) -> Array:
        return (values >= self.low) & (values <= self.high)  # False for NaN


@dataclass(frozen=True)
class BestThresholdWithin(ScoreWithin):
    """Images for which, each by itself, the best threshold of a source lies in a range. As `ScoreWithin`."""

    kind = "best"

    def asks_in_vain(self, facts: ImageFacts) -> bool:
        return self.source not in facts.best_thresholds

    def holds(self, facts: ImageFacts) -> Array:
        return self._within(facts.best_thresholds[self.source])

    def sentence(self, labels: Mapping[str, str]) -> str:
        name = labels.get(self.source, self.source)
        return f"own best threshold of {name} {self.low:.3g} to {self.high:.3g}"


@dataclass(frozen=True)
class ScoresWithin:
    """Images in a box of the scatter of two sources' mIoU."""

    across: ScoreWithin
    up: ScoreWithin

    kind = "both"

    @property
    def slot(self) -> tuple[str, ...]:
        return (self.kind, *sorted((self.across.source, self.up.source)))

    def asks_in_vain(self, facts: ImageFacts) -> bool:
        return self.across.asks_in_vain(facts) or self.up.asks_in_vain(facts)

    def holds(self, facts: ImageFacts) -> Array:
        return self.across.holds(facts) & self.up.holds(facts)

    def sentence(self, labels: Mapping[str, str]) -> str:
        return f"{self.across.sentence(labels)} and {self.up.sentence(labels)}"

    @property
    def fields(self) -> tuple[str, ...]:
        return *self.across.fields, *self.up.fields

    @classmethod
    def of_fields(cls, *fields: str) -> Self:
        return cls(ScoreWithin.of_fields(*fields[:3]), ScoreWithin.of_fields(*fields[3:]))


Condition = Shows | ScoreWithin | ScoresWithin | BestThresholdWithin
_KINDS = {each.kind: each for each in (Shows, ScoreWithin, ScoresWithin, BestThresholdWithin)}


def passing(conditions: Iterable[Condition], facts: ImageFacts) -> Array:
    """(N,) bool: the images for which all conditions hold; those that ask in vain are left out."""
    passes = np.ones(len(facts.image_ids), bool)
    for condition in conditions:
        if not condition.asks_in_vain(facts):
            passes &= condition.holds(facts)
    return passes


def with_condition(conditions: Iterable[Condition], added: Condition) -> tuple[Condition, ...]:
    """The conditions with one more, which takes the place of one of its kind about the same sources."""
    kept = tuple(conditions)
    if any(each.slot == added.slot for each in kept):
        return tuple(added if each.slot == added.slot else each for each in kept)
    return (*kept, added)


def address_of(condition: Condition) -> str:
    """The condition as it stands in an address; `condition_of` reads it back."""
    return _SEPARATOR.join((condition.kind, *map(_quoted, condition.fields)))


def condition_of(text: str) -> Condition:
    """The inverse of `address_of`.

    Raises:
        ConfigError: it is no condition; the message gives the text.
    """
    kind, *fields = text.split(_SEPARATOR)
    if kind not in _KINDS:
        raise ConfigError(f"filter {text!r}: it must begin with one of {', '.join(_KINDS)}")
    try:
        return _KINDS[kind].of_fields(*map(_unquoted, fields))
    except ConfigError as error:
        raise ConfigError(f"filter {text!r}: {error}") from None
    except (TypeError, ValueError):
        raise ConfigError(f"filter {text!r} is not as this app writes one; set it again") from None


def conditions_of(texts: Iterable[str]) -> tuple[tuple[Condition, ...], tuple[str, ...]]:
    """The conditions of an address, and what is wrong with those of its texts that are none."""
    conditions: tuple[Condition, ...] = ()
    problems = []
    for text in texts:
        try:
            conditions = with_condition(conditions, condition_of(text))
        except ConfigError as error:
            problems.append(str(error))
    return conditions, tuple(problems)


def _percents(low: float, high: float) -> str:
    return f"{100 * low:.4g} to {100 * high:.4g}%"


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _quoted(name: str) -> str:
    for plain, quoted in _QUOTED.items():
        name = name.replace(plain, quoted)
    return name


def _unquoted(text: str) -> str:
    for plain, quoted in reversed(_QUOTED.items()):
        text = text.replace(quoted, plain)
    return text
