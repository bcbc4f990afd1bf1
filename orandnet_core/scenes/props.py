"""Trees, houses, rails, roads and grass: what stands about, and is background in every mask."""

import numpy as np

from orandnet_core.scenes.canvas import Paint, mix
from orandnet_core.scenes.light import ACCENTS, CREAM, INK, LAMP, WOOD
from orandnet_core.scenes.pen import ellipse, scallops, smooth
from orandnet_core.scenes.stage import Stage
from orandnet_core.scenes.vehicles import BLACK, WHITE, glass


def tree(stage: Stage, x: float, y: float, size: float, depth: float) -> None:
    """A round tree, a poplar or a fir."""
    pen = stage.pen(x, y, size, depth)
    leaves = mix(stage.pick(stage.season.leaves), stage.pick(stage.season.leaves), stage.between(0, 0.5))
    kind = (
        "fir" if stage.season.snow and stage.chance(0.7) else stage.pick(["round", "round", "poplar", "fir"])
    )
    pen.glaze(ellipse(0.1, 0, 0.42, 0.07), stage.light.shade, 0.35, blur=0.05)
    pen.polygon([(-0.05, 0), (-0.03, -0.5), (0.03, -0.5), (0.05, 0)], mix(WOOD, INK, 0.25))
    shade = (mix(leaves, WHITE, 0.16), leaves, mix(leaves, BLACK, 0.36))
    if kind == "fir":
        for level, wide in ((-0.15, 0.36), (-0.42, 0.29), (-0.68, 0.21)):
            pen.polygon([(0, level - 0.42), (wide, level), (-wide, level)], *shade, angle=25, lift=0.03)
            if stage.season.snow:
                pen.polygon(
                    [
                        (0, level - 0.42),
                        (wide * 0.5, level - 0.2),
                        (0, level - 0.25),
                        (-wide * 0.55, level - 0.18),
                    ],
                    (246, 249, 252),
                )
    elif kind == "poplar":
        pen.polygon(
            smooth([(0, -1.25), (0.19, -0.7), (0.13, -0.22), (-0.13, -0.22), (-0.19, -0.7)]),
            *shade,
            angle=25,
            lift=0.03,
        )
    else:
        pen.polygon(
            scallops(0, -0.7, 0.38, 0.34, int(stage.rng.integers(7, 11)), 0.12, stage.between(0, 3)),
            *shade,
            angle=50,
            lift=0.03,
        )
        pen.polygon(scallops(-0.1, -0.8, 0.18, 0.15, 7, 0.14), mix(leaves, WHITE, 0.24), leaves, angle=50)


def house(stage: Stage, x: float, y: float, size: float, depth: float) -> None:
    """A small house with a gable, a chimney and lit windows after dark."""
    pen = stage.pen(x, y, size, depth)
    wall = mix(stage.pick(ACCENTS), CREAM, 0.62)
    roof = stage.pick((ACCENTS[11], ACCENTS[10], ACCENTS[0], WOOD))
    wide, eaves = stage.between(0.4, 0.62), -stage.between(0.45, 0.6)
    pen.box(wide * 0.35, eaves - 0.36, wide * 0.35 + 0.1, eaves, mix(roof, BLACK, 0.3))
    pen.polygon(
        [(-wide, 0), (-wide, eaves), (0, eaves - 0.36), (wide, eaves), (wide, 0)], wall, angle=10, lift=0.04
    )
    pen.polygon(
        [
            (-wide - 0.07, eaves + 0.05),
            (0, eaves - 0.42),
            (wide + 0.07, eaves + 0.05),
            (wide + 0.07, eaves - 0.05),
            (0, eaves - 0.52),
            (-wide - 0.07, eaves - 0.05),
        ],
        (248, 250, 252) if stage.season.snow else roof,
        lift=0.02,
    )
    for left in (-0.62, 0.26):
        glass(
            pen,
            [
                (left * wide, eaves + 0.1),
                (left * wide + 0.16, eaves + 0.1),
                (left * wide + 0.16, eaves + 0.27),
                (left * wide, eaves + 0.27),
            ],
        )
    pen.box(-0.07, -0.24, 0.07, 0, mix(roof, BLACK, 0.25))


def rock(stage: Stage, x: float, y: float, wide: float, high: float, depth: float) -> None:
    """A rocky islet whose top is flat enough to build on."""
    pen = stage.pen(x, y, 1.0, depth)
    stone = mix(stage.season.mountain, WOOD, stage.between(0.1, 0.4))
    top = [
        (-wide, 0.012),
        (-wide * 0.82, -high * 0.5),
        (-wide * 0.45, -high),
        (wide * 0.42, -high * 1.02),
        (wide * 0.7, -high * 0.45),
        (wide, 0.012),
    ]
    pen.polygon(top, mix(stone, WHITE, 0.12), stone, mix(stone, BLACK, 0.4), angle=60, lift=0.015)
    pen.polygon(
        [
            (-wide * 0.45, -high),
            (wide * 0.42, -high * 1.02),
            (wide * 0.5, -high * 0.82),
            (0, -high * 0.72),
            (-wide * 0.55, -high * 0.84),
        ],
        stage.season.ground[1],
    )
    pen.polygon(
        [(-wide * 0.1, -high * 0.6), (wide * 0.35, -high * 0.5), (wide * 0.5, 0.01), (wide * 0.02, 0.01)],
        mix(stone, BLACK, 0.3),
    )
    pen.glaze(ellipse(0, 0.012, wide * 1.12, 0.008), WHITE, 0.5)


def rails(stage: Stage, level: float, size: float) -> None:
    """An embankment with ballast, sleepers and two rails; a train stands on `level`."""
    wide = stage.aspect
    gravel = mix(stage.season.mountain, WOOD, 0.45)
    pen = stage.pen()
    pen.polygon(
        [
            (-0.1, level - 0.12 * size),
            (wide + 0.1, level - 0.12 * size),
            (wide + 0.1, level + 0.62 * size),
            (-0.1, level + 0.62 * size),
        ],
        mix(gravel, WHITE, 0.25),
        gravel,
        mix(gravel, BLACK, 0.3),
        angle=90,
        grain=0.26,
        lift=0.015,
    )
    for x in np.arange(-0.05, wide + 0.05, 0.42 * size):
        pen.polygon(
            [
                (x, level + 0.02 * size),
                (x + 0.16 * size, level + 0.02 * size),
                (x + 0.1 * size, level + 0.3 * size),
                (x - 0.1 * size, level + 0.3 * size),
            ],
            mix(WOOD, INK, 0.35),
            grain=0.2,
        )
    for y, thick in ((0.05, 0.035), (0.2, 0.05)):
        pen.box(
            -0.1,
            level + y * size,
            wide + 0.1,
            level + (y + thick) * size,
            mix(INK, WHITE, 0.55),
            mix(INK, WHITE, 0.15),
            angle=90,
        )


def poles(stage: Stage, level: float, size: float) -> None:
    """Telegraph poles along the line, wires sagging between them."""
    pen = stage.pen(depth=0.15)
    step = stage.between(0.38, 0.55)
    xs = np.arange(stage.between(-0.3, 0.0), stage.aspect + step, step)
    top = level - size * 1.75
    for x in xs:
        pen.line([(x, level), (x, top)], 0.011, mix(WOOD, INK, 0.45))
        pen.line([(x - 0.035, top + 0.02), (x + 0.035, top + 0.02)], 0.008, mix(WOOD, INK, 0.45))
    for left, right in zip(xs[:-1], xs[1:], strict=True):
        for y in (0.015, 0.03):
            share = np.linspace(0, 1, 9)
            sag = top + y + 0.035 * 4 * share * (1 - share)
            pen.line(np.stack([left + (right - left) * share, sag], 1), 0.0028, INK, grain=0)


def road(stage: Stage, top: float, bottom: float) -> None:
    """A road across the picture with verge, dashes and kerb."""
    wide = stage.aspect
    tar = mix((92, 96, 108), stage.season.mountain, 0.25)
    pen = stage.pen()
    pen.box(-0.1, top - 0.018, wide + 0.1, bottom + 0.018, mix(CREAM, tar, 0.3), lift=0.012)
    pen.box(
        -0.1, top, wide + 0.1, bottom, mix(tar, WHITE, 0.18), tar, mix(tar, BLACK, 0.28), angle=90, grain=0.16
    )
    middle = top + (bottom - top) * 0.56
    for x in np.arange(stage.between(-0.2, 0), wide, 0.19):
        pen.box(x, middle - 0.006, x + 0.1, middle + 0.008, mix(CREAM, ACCENTS[2], 0.25), grain=0.1)


def fence(stage: Stage, y: float, size: float) -> None:
    """Posts and two rails along the near edge of a meadow."""
    pen = stage.pen()
    wood = mix(WOOD, CREAM, stage.between(0.0, 0.6))
    start, end = sorted((stage.between(-0.1, 0.5), stage.between(0.6, 1.1)))
    for level in (-0.75, -0.4):
        pen.line(
            [(start * stage.aspect, y + level * size), (end * stage.aspect, y + level * size + 0.006)],
            0.16 * size,
            wood,
            lift=0.006,
        )
    for x in np.arange(start * stage.aspect, end * stage.aspect, 1.3 * size):
        pen.polygon(
            [
                (x, y),
                (x, y - size),
                (x + 0.1 * size, y - 1.12 * size),
                (x + 0.2 * size, y - size),
                (x + 0.2 * size, y),
            ],
            wood,
            angle=0,
            lift=0.006,
        )


def grass(stage: Stage, level: float) -> None:
    """Blades and flowers along the lower edge, close to the eye."""
    ground = mix(stage.season.ground[0], stage.light.shade, 0.3)
    pen = stage.pen()
    for _ in range(int(stage.rng.integers(40, 75))):
        x, high = stage.between(-0.02, stage.aspect + 0.02), stage.between(0.03, 0.09)
        lean = stage.between(-0.03, 0.03)
        y = stage.between(level, 1.03)
        pen.polygon(
            [(x - 0.005, y), (x + lean, y - high), (x + 0.005, y)],
            mix(ground, stage.pick(stage.season.leaves), stage.between(0, 0.6)),
        )
    for _ in range(int(stage.rng.integers(8, 24))):
        x, y = stage.between(0, stage.aspect), stage.between(level - 0.02, 0.99)
        size = stage.between(0.006, 0.012)
        colour = stage.pick(stage.season.flowers)
        pen.ellipse(x, y, size, size, colour, lift=0.004)
        pen.ellipse(x, y, size * 0.4, size * 0.4, mix(ACCENTS[1], colour, 0.3))


def flecks(stage: Stage, top: float, bottom: float) -> None:
    """Tufts and flowers scattered over a meadow, smaller with distance."""
    for _ in range(int(stage.rng.integers(25, 60))):
        share = stage.rng.random()
        x, y = stage.between(0, stage.aspect), top + (bottom - top) * share
        size = 0.003 + 0.006 * share
        colour = stage.light.on(stage.pick(stage.season.flowers), 0.4 * (1 - share))
        stage.canvas.glaze(ellipse(x, y, size, size * 0.7), Paint((colour,), grain=0), 0.85)


def smoke(stage: Stage, x: float, y: float, size: float, drift: float) -> None:
    """Puffs from a funnel, larger and thinner as they drift."""
    for puff in range(6):
        share = puff / 6
        radius = size * (0.14 + 0.34 * share)
        colour = mix(WHITE, stage.light.haze, 0.35 + 0.3 * share)
        outline = scallops(
            x + drift * size * share * 3.2,
            y - size * (0.12 + 0.75 * share),
            radius * 1.15,
            radius,
            7,
            0.15,
            puff,
        )
        stage.canvas.glaze(
            outline,
            Paint((colour, colour, mix(colour, stage.light.shade, 0.3)), grain=0.2),
            0.85 - 0.6 * share,
        )


def town(stage: Stage, level: float, depth: float) -> None:
    """A row of houses shoulder to shoulder."""
    x = stage.between(-0.1, 0.05)
    while x < stage.aspect + 0.1:
        size = stage.between(0.13, 0.22)
        house(stage, x, level, size, depth)
        x += size * stage.between(0.8, 1.25)
        if stage.chance(0.25):
            tree(stage, x, level, size * 0.9, depth)
            x += size * 0.5


def lamps(stage: Stage, level: float) -> None:
    """Street lamps; they shine after dark."""
    pen = stage.pen()
    for x in np.arange(stage.between(0.05, 0.3), stage.aspect, stage.between(0.45, 0.6)):
        pen.line([(x, level), (x, level - 0.3)], 0.009, INK)
        pen.line([(x, level - 0.3), (x + 0.045, level - 0.315)], 0.008, INK)
        pen.ellipse(
            x + 0.05, level - 0.307, 0.018, 0.011, LAMP, mix(LAMP, WHITE, 0.4), lit=not stage.light.dark
        )
        if stage.light.dark:
            pen.lamp(x + 0.05, level - 0.3, 0.16, LAMP, 0.6)
