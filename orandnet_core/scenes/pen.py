"""Draw in an object's own frame: the pen moves, turns, lights and labels what it draws."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from orandnet_core.labels import BACKGROUND
from orandnet_core.scenes.canvas import Canvas, Colour, Paint, Points, mix
from orandnet_core.scenes.light import Light


@dataclass(frozen=True, kw_only=True)
class Pen:
    """A frame on the canvas: origin, size, turn, depth and label.

    Local coordinates have x to the right and y downwards; an object stands on y = 0 and is about
    1 high, so its top is at y = -1.

    Attributes:
        at: where the local origin lies on the canvas.
        size: canvas units a local unit.
        turn: degrees, clockwise.
        flip: mirrors left and right.
        depth: 0 near to 1 far; distance fades colours into the haze.
        label: what the shapes are in the mask.
    """

    canvas: Canvas
    light: Light
    at: tuple[float, float] = (0.0, 0.0)
    size: float = 1.0
    turn: float = 0.0
    flip: bool = False
    depth: float = 0.0
    label: int = BACKGROUND

    def moved(self, x: float, y: float, *, size: float = 1.0, turn: float = 0.0) -> "Pen":
        """A pen whose origin is this pen's (x, y), further scaled and turned."""
        (at,) = self._placed([(x, y)])
        turn = -turn if self.flip else turn
        return replace(self, at=tuple(at), size=self.size * size, turn=self.turn + turn)

    def polygon(
        self,
        points: Points,
        *colours: Colour,
        angle: float = 70.0,
        grain: float = 0.1,
        lift: float = 0.0,
        lit: bool = True,
    ) -> None:
        """Fill (N, 2) points with colours along `angle`; one colour gets a gentle shade of itself.

        `lift` is how high above the paper beneath it lies, in local units: it throws a shadow so far.
        `lit=False` keeps colours that shine by themselves.
        """
        placed = self._placed(points)
        if lift:
            reach = lift * self.size
            self.canvas.shadow(placed, self.light.shade, 0.33, reach * 0.9, (reach * 0.55, reach * 0.8))
        if len(colours) == 1:
            colours = (
                mix(colours[0], (255, 255, 255), 0.07),
                colours[0],
                mix(colours[0], (30, 30, 60), 0.16),
            )
        self.canvas.fill(placed, self._paint(colours, angle, grain, lit), self.label)

    def glaze(self, points: Points, colour: Colour, alpha: float, blur: float = 0.0) -> None:
        """A translucent veil without a label, for shade and shine."""
        self.canvas.glaze(self._placed(points), Paint((colour,), grain=0), alpha, blur * self.size)

    def ellipse(self, x: float, y: float, rx: float, ry: float, *colours: Colour, **style) -> None:
        self.polygon(ellipse(x, y, rx, ry), *colours, **style)

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        *colours: Colour,
        round: float = 0,
        **style,
    ):
        self.polygon(rounded(left, top, right, bottom, round), *colours, **style)

    def line(self, points: Points, width: float, colour: Colour, **style) -> None:
        """A stroke of constant width along (N, 2) points."""
        points = np.asarray(points, np.float64)
        for start, end in zip(points[:-1], points[1:], strict=True):
            along = end - start
            across = np.array([-along[1], along[0]]) / max(np.hypot(*along), 1e-9) * width / 2
            self.polygon(
                np.stack([start + across, end + across, end - across, start - across]), colour, **style
            )

    def lamp(self, x: float, y: float, radius: float, colour: Colour, alpha: float = 0.8) -> None:
        """A halo of light around a point."""
        (centre,) = self._placed([(x, y)])
        self.canvas.glow(tuple(centre), radius * self.size, colour, alpha)

    def _paint(self, colours: tuple[Colour, ...], angle: float, grain: float, lit: bool) -> Paint:
        stops = tuple(self.light.on(colour, self.depth) for colour in colours) if lit else colours
        angle = 180 - angle if self.flip else angle
        return Paint(stops, angle=angle, grain=grain * (1 - 0.6 * self.depth))

    def _placed(self, points: Points) -> np.ndarray:
        points = np.asarray(points, np.float64) * ((-1, 1) if self.flip else (1, 1))
        turn = np.deg2rad(self.turn)
        cos, sin = np.cos(turn), np.sin(turn)
        return points @ np.array([[cos, sin], [-sin, cos]]) * self.size + self.at


def ellipse(x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360) -> np.ndarray:
    """(N, 2) points on an arc of an ellipse, degrees clockwise from the right."""
    return _arc(start, end) * (rx, ry) + (x, y)


@lru_cache(maxsize=64)
def _arc(start: float, end: float) -> np.ndarray:
    turn = np.deg2rad(np.linspace(start, end, 36))
    return np.stack([np.cos(turn), np.sin(turn)], 1)


def rounded(left: float, top: float, right: float, bottom: float, radius: float) -> np.ndarray:
    """(N, 2) points of a box with round corners."""
    if not radius:
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    turn = np.arange(0, 360, 15)
    turn = np.deg2rad(np.insert(turn, [6, 12, 18, 24], [90, 180, 270, 360]))
    inner_x = np.repeat([right - radius, left + radius, left + radius, right - radius], 7)
    inner_y = np.repeat([bottom - radius, bottom - radius, top + radius, top + radius], 7)
    return np.stack([inner_x + radius * np.cos(turn), inner_y + radius * np.sin(turn)], 1)


def smooth(points: Points, closed: bool = True, steps: int = 8) -> np.ndarray:
    """A Catmull-Rom curve through control points."""
    points = np.asarray(points, np.float64)
    around = np.concatenate(
        [points[-1:], points, points[:2]] if closed else [points[:1], points, points[-1:]]
    )
    a, b, c, d = around[:-3, None], around[1:-2, None], around[2:-1, None], around[3:, None]
    t = (np.arange(steps) / steps)[:, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    curve = curve.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def scallops(
    x: float, y: float, rx: float, ry: float, count: int, bump: float, phase: float = 0
) -> np.ndarray:
    """An ellipse edged with round bumps: wool, leaves, clouds."""
    turn = np.linspace(0, 2 * np.pi, count * 10, endpoint=False)
    swell = 1 + bump * np.abs(np.sin(turn * count / 2 + phase))
    return np.stack([x + rx * swell * np.cos(turn), y + ry * swell * np.sin(turn)], 1)
