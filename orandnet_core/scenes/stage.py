"""A scene while it is drawn."""

from dataclasses import dataclass

import numpy as np

from orandnet_core.scenes.canvas import Canvas
from orandnet_core.scenes.light import Light, Season
from orandnet_core.scenes.pen import Pen


@dataclass(frozen=True)
class Stage:
    """A scene while it is drawn: canvas, light, season, and the generator that decides."""

    canvas: Canvas
    light: Light
    season: Season
    rng: np.random.Generator

    @property
    def aspect(self) -> float:
        return self.canvas.aspect

    def pen(self, x: float = 0.0, y: float = 0.0, size: float = 1.0, depth: float = 0.0) -> Pen:
        return Pen(canvas=self.canvas, light=self.light, at=(x, y), size=size, depth=depth)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def across(self, count: int) -> list[float]:
        """`count` places from left to right in random order, no two of them close."""
        slots = (np.arange(count) + self.rng.uniform(0.2, 0.8, count)) / count
        return list(self.rng.permutation(0.06 + 0.88 * slots) * self.aspect)
