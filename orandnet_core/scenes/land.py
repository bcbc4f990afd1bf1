"""Sky, mountains, hills and water: what lies behind everything, and is background in every mask."""

import numpy as np

from orandnet_core.scenes.canvas import Colour, Paint, mix
from orandnet_core.scenes.light import WATERS
from orandnet_core.scenes.pen import ellipse
from orandnet_core.scenes.props import tree
from orandnet_core.scenes.stage import Stage
from orandnet_core.scenes.vehicles import WHITE


def sky(stage: Stage, horizon: float) -> None:
    """The sky down to the horizon, with sun or moon, stars and clouds."""
    canvas, light = stage.canvas, stage.light
    wide = stage.aspect
    canvas.fill([(0, 0), (wide, 0), (wide, 1), (0, 1)], Paint((*light.sky, light.sky[-1]), grain=0.03))
    if light.dark:
        for _ in range(int(stage.rng.integers(30, 60))):
            x, y = stage.between(0, wide), stage.between(0, horizon * 0.8)
            size = stage.between(0.0016, 0.0042)
            canvas.glaze(ellipse(x, y, size, size), Paint((WHITE,), grain=0), stage.between(0.4, 0.95))
    x, y = stage.between(0.12, 0.88) * wide, stage.between(*light.sun_height) * horizon
    radius = stage.between(0.05, 0.085)
    canvas.glow((x, y), radius * 6.5, light.sun, 0.55)
    for ring, alpha in ((2.7, 0.1), (1.8, 0.14)):
        canvas.glaze(ellipse(x, y, radius * ring, radius * ring), Paint((light.sun,), grain=0), alpha)
    canvas.glaze(
        ellipse(x, y, radius, radius),
        Paint((light.sun, mix(light.sun, light.sky[-1], 0.25)), grain=0.1),
        0.96,
    )
    for _ in range(int(stage.rng.integers(2, 6))):
        depth = stage.between(0.1, 0.8)
        cloud(
            stage,
            stage.between(-0.05, 1.05) * wide,
            stage.between(0.06, 0.78) * horizon,
            0.24 - 0.16 * depth,
            depth,
        )


def cloud(stage: Stage, x: float, y: float, size: float, depth: float) -> None:
    """A paper cloud: flat below, bumps above, often with a second sheet behind."""
    light = stage.light
    white = mix(light.sky[-1], WHITE, 0.2 if light.dark else 0.72)
    for sheet in range(2 if stage.chance(0.6) else 1):
        wide = size * stage.between(0.9, 1.25)
        centre = x + sheet * size * stage.between(-0.5, 0.5)
        base = y + sheet * size * 0.16
        xs = np.linspace(-wide, wide, 70)
        top = np.zeros_like(xs)
        for at in np.linspace(-0.66, 0.66, int(stage.rng.integers(3, 6))) * wide:
            radius = size * stage.between(0.24, 0.4) * (1.15 - 0.6 * abs(at) / wide)
            inside = np.maximum(1 - ((xs - at) / (radius * 1.25)) ** 2, 0)
            top = np.maximum(top, radius * (np.sqrt(inside) + 0.35 * (inside > 0)))
        top = np.maximum(top, size * 0.1 * np.sqrt(np.maximum(1 - (xs / wide) ** 4, 0)))
        outline = np.stack([centre + xs, base - top], 1)
        canvas = stage.canvas
        canvas.shadow(outline, light.shade, 0.1, size * 0.1, (size * 0.05, size * 0.09))
        fade = mix(white, light.sky[1], 0.45)
        colour = mix(white, light.haze, depth * 0.35)
        canvas.glaze(outline, Paint((colour, colour, fade), grain=0.08), 0.94 - 0.35 * depth)


def ridge(stage: Stage, level: float, height: float, waves: float, rough: float = 0.0) -> np.ndarray:
    """(N, 2) the upper edge of a hill or a mountain range across the picture, left to right."""
    xs = np.linspace(-0.05, stage.aspect + 0.05, 120)
    ys = np.zeros_like(xs)
    for octave in range(3):
        ys += np.sin(xs * waves * 2**octave + stage.between(0, 2 * np.pi)) / 2.2**octave
    if rough:
        knots = np.linspace(xs[0], xs[-1], int(10 * stage.aspect * waves / 3) + 4)
        peaks = stage.rng.uniform(0, 1, len(knots)) * (np.arange(len(knots)) % 2 * 0.75 + 0.25)
        ys = ys * 0.3 - rough * 2.4 * np.interp(xs, knots, peaks)
        ys += stage.rng.normal(0, 0.05, len(xs))
    return np.stack([xs, level + ys * height * 0.5], 1)


def land(
    stage: Stage, edge: np.ndarray, colour: Colour, depth: float, below: float = 1.02, lift: float = 0.022
) -> None:
    """A sheet of land from an edge downwards, shaded away from its crest."""
    outline = np.concatenate([edge, [(edge[-1, 0], below), (edge[0, 0], below)]])
    far = stage.light.on(colour, depth)
    foot = mix(far, stage.light.haze, 0.3 + 0.3 * depth) if depth > 0.3 else mix(far, stage.light.shade, 0.26)
    if lift:
        rim = np.concatenate([edge, edge[::-1] + (0, 4 * lift)])
        stage.canvas.shadow(rim, stage.light.shade, 0.26, lift, (0, -lift * 0.5))
    stage.canvas.fill(outline, Paint((mix(far, WHITE, 0.1), far, foot), angle=80, grain=0.12))


def mountains(stage: Stage, level: float) -> None:
    """One to three ranges, the far ones paler, snow on the nearest."""
    for depth in sorted(stage.rng.uniform(0.55, 0.97, int(stage.rng.integers(1, 4))), reverse=True):
        edge = ridge(
            stage,
            level - 0.02,
            stage.between(0.1, 0.22) * (1.3 - depth * 0.5),
            stage.between(2, 3.4),
            rough=1.0,
        )
        land(stage, edge, stage.season.mountain, depth, below=level + 0.25)
        if depth < 0.85:
            _snow(stage, edge, depth)


def _snow(stage: Stage, edge: np.ndarray, depth: float) -> None:
    line = edge[:, 1].min() + (np.ptp(edge[:, 1])) * stage.between(0.3, 0.5)
    inside = edge[:, 1] < line
    starts = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    for start, end in zip(starts[::2], starts[1::2], strict=True):
        if end - start < 4:
            continue
        top = edge[start:end]
        teeth = line + 0.012 * np.where(np.arange(end - start) % 2, 1.4, -1.0)
        low = np.stack([top[:, 0], np.maximum(teeth, top[:, 1])], 1)
        colour = stage.light.on((248, 250, 252), depth)
        stage.canvas.fill(
            np.concatenate([top, low[::-1]]),
            Paint((colour, mix(colour, stage.light.shade, 0.14)), angle=30, grain=0.2),
        )


def hills(stage: Stage, horizon: float, near: float, sheets: int) -> list[tuple[float, float]]:
    """Rolling sheets from the horizon down; returns (level, depth) of each, far to near."""
    ground = stage.season.ground
    sheets_at = []
    for number in range(sheets):
        share = number / max(sheets - 1, 1)
        level = horizon + (near - horizon) * share**1.2
        depth = 0.62 * (1 - share) ** 1.1
        colour = mix(ground[-1], ground[0], share)
        edge = ridge(stage, level, stage.between(0.035, 0.09) * (1.25 - share * 0.5), stage.between(1.6, 3.2))
        land(stage, edge, colour, depth)
        for _ in range(int(stage.rng.integers(1, 6))):
            x = stage.between(0, stage.aspect)
            y = float(np.interp(x, edge[:, 0], edge[:, 1]))
            tree(stage, x, y + 0.012, (0.045 + 0.08 * share) * stage.between(0.75, 1.3), depth)
        sheets_at.append((level, depth))
    return sheets_at


def water(stage: Stage, horizon: float) -> Colour:
    """Water from the horizon to the lower edge, with glints under the sun; returns its colour."""
    light, wide = stage.light, stage.aspect
    colour = light.on(stage.pick(WATERS))
    far = mix(colour, light.sky[-1], 0.62)
    stage.canvas.fill(
        [(0, horizon), (wide, horizon), (wide, 1), (0, 1)],
        Paint((far, mix(far, colour, 0.6), colour, mix(colour, light.shade, 0.4)), grain=0.04),
    )
    for _ in range(int(stage.rng.integers(26, 48))):
        share = stage.rng.random() ** 1.4
        y = horizon + 0.01 + (1 - horizon) * share
        long = 0.02 + 0.12 * share * stage.rng.random()
        x = stage.between(0, wide)
        thin = 0.0015 + 0.004 * share
        tone = WHITE if stage.chance(0.6) else light.shade
        stage.canvas.glaze(ellipse(x, y, long, thin), Paint((tone,), grain=0), stage.between(0.1, 0.3))
    return colour


def wave(stage: Stage, level: float, colour: Colour, depth: float) -> None:
    """A paper wave across the picture, crest lit, shadow on what is behind it."""
    xs = np.linspace(-0.05, stage.aspect + 0.05, 160)
    turn = stage.between(5, 9) * (0.7 + depth) * 2
    rise = (0.008 + 0.012 * (1 - depth)) * np.abs(np.sin(xs * turn + stage.between(0, 6)))
    edge = np.stack([xs, level - rise + 0.006 * np.sin(xs * 2.1 + stage.between(0, 6))], 1)
    outline = np.concatenate([edge, [(xs[-1], 1.02), (xs[0], 1.02)]])
    stage.canvas.shadow(
        np.concatenate([edge, edge[::-1] + (0, 0.08)]), stage.light.shade, 0.28, 0.02, (0, -0.012)
    )
    shade = mix(colour, stage.light.shade, 0.3)
    stage.canvas.fill(outline, Paint((mix(colour, WHITE, 0.22), colour, shade), grain=0.1))
    rim = np.concatenate([edge, edge[::-1] + (0, 0.0055)])
    stage.canvas.glaze(rim, Paint((WHITE,), grain=0), 0.42)


def reflection(stage: Stage, x: float, y: float, wide: float, high: float, colour: Colour) -> None:
    """Broken strips of an object's colour on the water below it."""
    for row in range(7):
        share = row / 7
        half = wide * (1 - 0.55 * share) * stage.between(0.7, 1.05)
        shift = wide * stage.between(-0.12, 0.12)
        stage.canvas.glaze(
            ellipse(x + shift, y + high * (0.06 + share), half, high * 0.05),
            Paint((stage.light.on(colour),), grain=0),
            0.34 * (1 - share),
        )
