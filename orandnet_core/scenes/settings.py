"""Where the objects stand: seven settings, each with the classes that usually go with it.

A class sits on a background that co-occurs with it (boat and water, train and rails), now and
then the background comes without it, and guests from other settings visit: image-level labels
then say less than masks do, as with photographs.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from orandnet_core.scenes import land, props
from orandnet_core.scenes.canvas import mix
from orandnet_core.scenes.landmarks import bird, lighthouse, sheep, windmill
from orandnet_core.scenes.light import ACCENTS
from orandnet_core.scenes.stage import Stage
from orandnet_core.scenes.vehicles import balloon, boat, car, train

DRAWN_BY: dict[str, Callable] = {
    "balloon": balloon,
    "bird": bird,
    "boat": boat,
    "car": car,
    "lighthouse": lighthouse,
    "sheep": sheep,
    "train": train,
    "windmill": windmill,
}
SCENE_CLASSES = tuple(DRAWN_BY)


def put(stage: Stage, name: str, x: float, y: float, size: float, depth: float = 0.0) -> None:
    """Draw an object of a class, labelled, standing at (x, y)."""
    pen = stage.pen(x, y, size, depth)
    turn = stage.between(-4, 4) if name in ("boat", "balloon") else 0.0
    flip = stage.chance(0.5) and name not in ("balloon", "lighthouse", "windmill")
    pen = replace(pen, label=SCENE_CLASSES.index(name) + 1, flip=flip, turn=turn)
    DRAWN_BY[name](pen, stage.rng)


def birds(stage: Stage, low: float, most: int, high: float = 0.08) -> None:
    for x in stage.across(int(stage.rng.integers(1, most + 1))):
        size = stage.between(0.1, 0.24)
        put(stage, "bird", x, stage.between(high + size * 0.5, low), size)


def balloons(stage: Stage, low: float, most: int, largest: float) -> None:
    sizes = sorted(stage.rng.uniform(0.16, largest, int(stage.rng.integers(1, most + 1))))
    for x, size in zip(stage.across(len(sizes)), sizes, strict=True):
        put(
            stage,
            "balloon",
            x,
            max(stage.between(low - 0.25, low), size + 0.02),
            size,
            depth=0.4 * (1 - size / largest),
        )


def sea(stage: Stage) -> None:
    horizon = stage.between(0.46, 0.62)
    land.sky(stage, horizon)
    if stage.chance(0.12):
        balloons(stage, horizon - 0.05, 2, 0.3)
    if stage.chance(0.75):
        land.mountains(stage, horizon)
    colour = land.water(stage, horizon)
    if stage.chance(0.42):
        x, y = (
            stage.pick([stage.between(0.12, 0.3), stage.between(0.7, 0.88)]) * stage.aspect,
            horizon + stage.between(0.03, 0.12),
        )
        high = stage.between(0.06, 0.1)
        props.rock(stage, x, y, stage.between(0.17, 0.27), high, 0.15)
        put(stage, "lighthouse", x, y - 0.8 * high, stage.between(0.34, 0.46), depth=0.12)
    if stage.chance(0.9):
        _fleet(stage, horizon, colour, int(stage.rng.choice([1, 2, 3], p=[0.5, 0.33, 0.17])))
    for level in (stage.between(0.9, 0.93), stage.between(0.95, 0.97)):
        land.wave(stage, level, mix(colour, stage.light.shade, (level - 0.85) * 2), 1 - level)
    if stage.chance(0.28):
        birds(stage, horizon, 3)


def _fleet(stage: Stage, horizon: float, colour, count: int) -> None:
    levels = sorted(stage.rng.uniform(0.1, 0.85, count))
    for x, level in zip(stage.across(count), levels, strict=True):
        y = horizon + (0.95 - horizon) * level
        size = (0.2 + 0.42 * level) * stage.between(0.85, 1.15)
        land.reflection(stage, x, y, size * 0.4, size * 0.5, mix(ACCENTS[5], stage.light.shade, 0.3))
        put(stage, "boat", x, y, size, depth=0.35 * (1 - level))
        land.wave(
            stage, y - 0.012 * size + 0.004, mix(colour, stage.light.sky[-1], 0.3 * (1 - level)), 1 - level
        )


def coast(stage: Stage) -> None:
    horizon = stage.between(0.42, 0.54)
    land.sky(stage, horizon)
    colour = land.water(stage, horizon)
    if stage.chance(0.55):
        y = horizon + stage.between(0.05, 0.14)
        put(stage, "boat", stage.between(0.1, 0.9) * stage.aspect, y, stage.between(0.16, 0.28), depth=0.3)
        land.wave(stage, y, colour, 0.8)
    left = stage.chance(0.5)
    xs = np.linspace(-0.05, stage.aspect + 0.05, 100)
    side = xs / stage.aspect if left else 1 - xs / stage.aspect
    level, fall = stage.between(0.58, 0.68), stage.between(0.14, 0.24)
    edge = np.stack(
        [xs, level + fall / (1 + np.exp(-(side - stage.between(0.5, 0.62)) * 11)) + 0.012 * np.sin(xs * 7)], 1
    )
    stone = mix(stage.season.mountain, (150, 110, 80), 0.4)
    land.land(stage, edge + (0, 0.025), stone, 0.0)
    land.land(stage, np.stack([edge[:, 0], edge[:, 1] - 0.012], 1), stage.season.ground[1], 0.1, below=1.05)
    x = (0.24 if left else 0.76) * stage.aspect + stage.between(-0.1, 0.1)
    ground = float(np.interp(x, edge[:, 0], edge[:, 1]))
    if stage.chance(0.85):
        put(stage, "lighthouse", x, ground + 0.02, stage.between(0.48, 0.62), depth=0.05)
    if stage.chance(0.5):
        props.house(stage, x + stage.between(0.17, 0.22) * (1 if left else -1), ground + 0.03, 0.15, 0.1)
    props.flecks(stage, level + 0.1, 0.97)
    if stage.chance(0.4):
        _flock(stage, level + 0.16, 0.94, 3)
    if stage.chance(0.28):
        birds(stage, horizon, 3)
    props.grass(stage, 0.97)


def meadow(stage: Stage) -> None:
    horizon = stage.between(0.44, 0.58)
    land.sky(stage, horizon)
    if stage.chance(0.25):
        balloons(stage, horizon - 0.03, 2, 0.4)
    if stage.chance(0.6):
        land.mountains(stage, horizon)
    sheets = land.hills(stage, horizon, stage.between(0.66, 0.74), int(stage.rng.integers(3, 5)))
    level, depth = sheets[-2]
    if stage.chance(0.58):
        x = stage.between(0.16, 0.84) * stage.aspect
        put(stage, "windmill", x, level + 0.07, stage.between(0.36, 0.58), depth=depth * 0.35)
        if stage.chance(0.5):
            props.house(stage, x + stage.pick([-0.25, 0.25]), level + 0.09, 0.13, depth * 0.4)
    props.flecks(stage, sheets[-1][0] + 0.05, 0.97)
    if stage.chance(0.85):
        _flock(stage, sheets[-1][0] + 0.1, 0.95, 5)
    if stage.chance(0.4):
        props.fence(stage, stage.between(0.97, 1.0), stage.between(0.08, 0.12))
    props.grass(stage, 0.96)
    if stage.chance(0.22):
        birds(stage, horizon, 2)


def _flock(stage: Stage, top: float, bottom: float, most: int) -> None:
    levels = sorted(stage.rng.uniform(0, 1, int(stage.rng.integers(1, most + 1))))
    for x, level in zip(stage.across(len(levels)), levels, strict=True):
        size = (0.13 + 0.17 * level) * stage.between(0.85, 1.2)
        put(stage, "sheep", x, top + (bottom - top) * level, size, 0.15 * (1 - level))


def railway(stage: Stage) -> None:
    horizon = stage.between(0.44, 0.56)
    land.sky(stage, horizon)
    if stage.chance(0.14):
        balloons(stage, horizon - 0.05, 2, 0.34)
    if stage.chance(0.7):
        land.mountains(stage, horizon)
    land.hills(stage, horizon, 0.64, int(stage.rng.integers(2, 4)))
    if stage.chance(0.16):
        put(stage, "windmill", stage.between(0.15, 0.85) * stage.aspect, 0.66, stage.between(0.34, 0.46), 0.2)
    size, level = stage.between(0.15, 0.24), stage.between(0.74, 0.84)
    props.poles(stage, level - 0.03, size)
    props.rails(stage, level, size)
    if stage.chance(0.88):
        _train(stage, level + 0.055 * size, size)
    land.land(stage, land.ridge(stage, level + 0.62 * size, 0.03, 3), stage.season.ground[0], 0.0)
    if stage.chance(0.2):
        _flock(stage, min(level + 0.75 * size, 0.93), 0.97, 2)
    props.grass(stage, 0.95)
    if stage.chance(0.25):
        birds(stage, horizon, 2)


def _train(stage: Stage, level: float, size: float) -> None:
    leftwards = stage.chance(0.5)
    nose = stage.between(0.5, 1.0) * stage.aspect
    x = stage.aspect - nose + size if leftwards else nose - size
    pen = replace(stage.pen(x, level, size), label=SCENE_CLASSES.index("train") + 1, flip=leftwards)
    if train(pen, stage.rng):
        funnel = x + (-0.5 if leftwards else 0.5) * size
        props.smoke(stage, funnel, level - 1.12 * size, size, drift=0.55 if leftwards else -0.55)


def highway(stage: Stage) -> None:
    horizon = stage.between(0.42, 0.54)
    land.sky(stage, horizon)
    if stage.chance(0.12):
        balloons(stage, horizon - 0.05, 1, 0.36)
    if stage.chance(0.5):
        land.mountains(stage, horizon)
    built = stage.chance(0.45)
    land.hills(stage, horizon, 0.62, int(stage.rng.integers(2, 4)))
    if not built and stage.chance(0.4):
        put(stage, "windmill", stage.between(0.15, 0.85) * stage.aspect, 0.67, stage.between(0.34, 0.5), 0.15)
    top = stage.between(0.7, 0.76)
    if built:
        props.town(stage, top - 0.01, 0.12)
    bottom = top + stage.between(0.17, 0.21)
    props.road(stage, top, bottom)
    if built:
        props.lamps(stage, top - 0.012)
    if stage.chance(0.92):
        _traffic(stage, top, bottom)
    land.land(stage, land.ridge(stage, bottom + 0.05, 0.02, 3), stage.season.ground[0], 0.0)
    if not built and stage.chance(0.22):
        _flock(stage, bottom + 0.06, 0.97, 2)
    props.grass(stage, 0.95)
    if stage.chance(0.2):
        birds(stage, horizon, 2)


def _traffic(stage: Stage, top: float, bottom: float) -> None:
    cars = int(stage.rng.choice([1, 2, 3], p=[0.45, 0.35, 0.2]))
    lanes = sorted(stage.rng.choice([0.24, 0.8], cars))
    for x, lane in zip(stage.across(cars), lanes, strict=True):
        size = stage.between(0.12, 0.165) * (0.85 + 0.35 * lane)
        put(stage, "car", x, top + (bottom - top) * lane, size)


def heights(stage: Stage) -> None:
    horizon = stage.between(0.74, 0.86)
    land.sky(stage, horizon)
    land.mountains(stage, horizon)
    land.hills(stage, horizon, 0.92, 2)
    if stage.chance(0.88):
        balloons(stage, horizon + 0.02, 4, 0.62)
    if stage.chance(0.5):
        birds(stage, horizon - 0.1, 4)
    for _ in range(int(stage.rng.integers(0, 3))):
        land.cloud(
            stage,
            stage.between(0, 1) * stage.aspect,
            stage.between(0.75, 0.95),
            stage.between(0.12, 0.24),
            0.5,
        )


def harbour(stage: Stage) -> None:
    horizon = stage.between(0.4, 0.5)
    land.sky(stage, horizon)
    land.hills(stage, horizon, horizon + 0.06, 2)
    quay = horizon + stage.between(0.13, 0.17)
    props.town(stage, quay - 0.04, 0.22)
    stone = mix(stage.season.mountain, (190, 170, 140), 0.5)
    land.land(
        stage,
        np.array([(-0.05, quay - 0.045), (stage.aspect + 0.05, quay - 0.045)]),
        stone,
        0.1,
        below=quay + 0.05,
    )
    if stage.chance(0.4):
        put(
            stage,
            "car",
            stage.between(0.12, 0.88) * stage.aspect,
            quay - 0.012,
            stage.between(0.075, 0.095),
            0.12,
        )
    colour = land.water(stage, quay + 0.03)
    if stage.chance(0.92):
        _fleet(stage, quay + 0.1, colour, int(stage.rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25])))
    land.wave(stage, stage.between(0.92, 0.95), mix(colour, stage.light.shade, 0.2), 0.1)
    if stage.chance(0.3):
        birds(stage, horizon + 0.05, 3)


# A round of settings as scenes come: however few are drawn, each class gets its share.
ROUND: tuple[Callable[[Stage], None], ...] = (
    *[meadow, railway] * 3,
    *[sea, coast, highway] * 2,
    heights,
    harbour,
)
