"""The vehicles: balloon, boat, car and train, each of several parts and many looks.

Every function draws one object in the pen's frame, standing on y = 0 and about 1 high.
"""

import numpy as np

from orandnet_core.scenes.canvas import Colour, mix
from orandnet_core.scenes.light import ACCENTS, CREAM, GLASS, INK, LAMP, WOOD
from orandnet_core.scenes.pen import Pen, ellipse, rounded, smooth

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (16, 18, 32)


def two_colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Two different accents."""
    first, second = rng.choice(len(ACCENTS), 2, replace=False)
    return ACCENTS[first], ACCENTS[second]


def glass(pen: Pen, points, lift: float = 0.0) -> None:
    """A window: the sky's shine by day, lamp light after dark."""
    if pen.light.dark:
        pen.polygon(points, LAMP, mix(LAMP, ACCENTS[1], 0.45), lit=False, lift=lift)
    else:
        pen.polygon(points, mix(GLASS, WHITE, 0.35), GLASS, mix(GLASS, INK, 0.25), angle=55, lift=lift)


def balloon(pen: Pen, rng: np.random.Generator) -> None:
    """A hot-air balloon: envelope of gores, ropes, basket."""
    main, other = two_colours(rng)
    pattern = rng.choice(["gores", "band", "zigzag", "plain"], p=[0.45, 0.25, 0.2, 0.1])
    wide = rng.uniform(0.31, 0.37)
    heights = np.linspace(-1.0, -0.27, 33)
    widths = np.interp(
        heights,
        [-1.0, -0.985, -0.95, -0.88, -0.78, -0.68, -0.58, -0.48, -0.38, -0.31, -0.27],
        np.array([0.02, 0.28, 0.5, 0.76, 0.95, 1.0, 0.95, 0.78, 0.53, 0.33, 0.25]) * wide,
    )
    for x in (-0.075, -0.03, 0.03, 0.075):
        pen.line([(x, -0.28), (x * 0.72, -0.1)], 0.009, mix(WOOD, INK, 0.4))
    outline = np.concatenate([np.stack([widths, heights], 1), np.stack([-widths, heights], 1)[::-1]])
    pen.polygon(outline, main, angle=0, lift=0.04)
    gores = int(rng.integers(3, 6)) * 2 if pattern == "gores" else 8
    edges = np.sin(np.linspace(-np.pi / 2, np.pi / 2, gores + 1))
    for number, (left, right) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        share = (number + 0.5) / gores
        colour = other if pattern == "gores" and number % 2 else main
        colour = mix(mix(colour, WHITE, 0.2 * max(0, 0.55 - share)), BLACK, 0.34 * max(0, share - 0.45))
        sides = np.concatenate(
            [np.stack([widths * left, heights], 1), np.stack([widths * right, heights], 1)[::-1]]
        )
        pen.polygon(sides, mix(colour, WHITE, 0.1), colour, mix(colour, BLACK, 0.22), angle=90)
    if pattern in ("band", "zigzag"):
        across = np.linspace(-1, 1, 33)
        teeth = 0.035 * np.abs((np.arange(33) % 4) - 2) if pattern == "zigzag" else np.zeros(33)
        for level, colour in ((-0.76, other), (-0.6, mix(other, CREAM, 0.5))):
            sag = 0.035 * (1 - across**2)
            top = np.stack([across * np.interp(level, heights, widths), level + sag - teeth], 1)
            low = np.stack([across * np.interp(level + 0.1, heights, widths), level + 0.1 + sag - teeth], 1)
            pen.polygon(
                np.concatenate([top, low[::-1]]),
                mix(colour, WHITE, 0.1),
                colour,
                mix(colour, BLACK, 0.3),
                angle=0,
            )
    pen.glaze(ellipse(-wide * 0.38, -0.78, wide * 0.26, 0.13), WHITE, 0.26, blur=0.05)
    pen.ellipse(0, -0.275, wide * 0.25, 0.02, mix(main, BLACK, 0.5))
    if pen.light.dark:
        pen.lamp(0, -0.36, 0.34, LAMP, 0.55)
    pen.box(-0.075, -0.12, 0.075, 0.0, WOOD, mix(WOOD, BLACK, 0.35), round=0.02, angle=20, lift=0.02)
    pen.box(-0.084, -0.128, 0.084, -0.1, mix(WOOD, CREAM, 0.3), round=0.012)
    for y in (-0.075, -0.045):
        pen.line([(-0.072, y), (0.072, y)], 0.007, mix(WOOD, BLACK, 0.45))


def boat(pen: Pen, rng: np.random.Generator) -> None:
    """A sailing boat or a fishing boat: hull, stripe, mast, sails or cabin, pennant."""
    hull, sail = two_colours(rng)
    long = rng.uniform(0.36, 0.46)
    deck = rng.uniform(-0.2, -0.17)
    hull_points = smooth(
        [(-long, deck), (-long * 0.2, deck + 0.03), (long * 0.5, deck + 0.02), (long * 1.18, deck - 0.05)],
        closed=False,
    )
    keel = smooth([(long * 1.18, deck - 0.05), (long * 0.98, -0.03), (long * 0.84, 0.0)], closed=False)
    outline = np.concatenate([hull_points, keel, [(-long * 0.82, 0.0)]])
    if rng.random() < 0.68:
        _sails(pen, rng, long, deck, sail)
    else:
        _cabin(pen, rng, long, deck, sail)
    pen.polygon(outline, mix(hull, WHITE, 0.12), hull, mix(hull, BLACK, 0.3), lift=0.025)
    edge = np.concatenate([hull_points, (hull_points + (0, 0.035))[::-1] * (0.985, 1)])
    pen.polygon(edge, mix(CREAM, hull, 0.15))
    pen.polygon(
        [(-long * 0.86, -0.045), (long * 0.98, -0.045), (long * 0.87, -0.012), (-long * 0.83, -0.012)],
        mix(hull, BLACK, 0.45),
    )
    if rng.random() < 0.5:
        for x in np.linspace(-0.45, 0.45, 4):
            pen.ellipse(x * long, deck + 0.085, 0.016, 0.016, mix(INK, GLASS, 0.3))


def _sails(pen: Pen, rng: np.random.Generator, long: float, deck: float, colour: Colour) -> None:
    sail = CREAM if rng.random() < 0.6 else mix(colour, WHITE, 0.15)
    mast, top = long * rng.uniform(-0.02, 0.16), rng.uniform(-1.0, -0.9)
    pen.line([(mast, deck + 0.03), (mast, top)], 0.022, WOOD)
    belly = rng.uniform(0.03, 0.09)
    main = smooth(
        [(mast - 0.015, top + 0.05), (mast - long * 0.45 - belly, -0.55), (mast - long * 0.95, deck - 0.06)],
        closed=False,
    )
    boom = smooth(
        [(mast - long * 0.95, deck - 0.06), (mast - long * 0.5, deck - 0.035), (mast - 0.015, deck - 0.06)],
        closed=False,
    )
    pen.polygon(
        np.concatenate([main, boom]), mix(sail, WHITE, 0.3), sail, mix(sail, BLACK, 0.24), angle=20, lift=0.03
    )
    if rng.random() < 0.55:
        for level in (0.35, 0.58, 0.8):
            y = top + 0.05 + (deck - 0.06 - top - 0.05) * level
            pen.line(
                [(mast - 0.02, y), (mast - long * 0.9 * level, y + 0.01)], 0.012, mix(sail, colour, 0.75)
            )
    jib = smooth(
        [(mast + 0.02, top + 0.12), (mast + long * 0.42, -0.5), (long * 1.05, deck - 0.06)], closed=False
    )
    foot = smooth(
        [(long * 1.05, deck - 0.06), (mast + long * 0.4, deck - 0.08), (mast + 0.03, deck - 0.1)],
        closed=False,
    )
    jib_colour = mix(colour, WHITE, 0.1)
    pen.polygon(
        np.concatenate([jib, foot]),
        mix(jib_colour, WHITE, 0.2),
        jib_colour,
        mix(jib_colour, BLACK, 0.25),
        angle=20,
        lift=0.02,
    )
    pen.polygon([(mast, top - 0.01), (mast - 0.15, top + 0.025), (mast, top + 0.06)], ACCENTS[0])


def _cabin(pen: Pen, rng: np.random.Generator, long: float, deck: float, colour: Colour) -> None:
    house = long * rng.uniform(-0.55, -0.3)
    pen.line([(long * 0.45, deck), (long * 0.45, -0.82)], 0.02, WOOD)
    pen.line([(long * 0.45, -0.8), (long * 1.12, deck - 0.04)], 0.008, INK)
    pen.line([(long * 0.45, -0.8), (house + 0.1, -0.48)], 0.008, INK)
    pen.polygon([(long * 0.45, -0.82), (long * 0.45 - 0.13, -0.785), (long * 0.45, -0.75)], ACCENTS[1])
    pen.line([(long * 0.47, deck - 0.02), (long * 0.86, -0.56)], 0.018, mix(WOOD, INK, 0.3))
    pen.box(house + 0.24, deck - 0.38, house + 0.31, deck, mix(colour, BLACK, 0.1), angle=0, lift=0.02)
    pen.box(house + 0.23, deck - 0.39, house + 0.32, deck - 0.35, INK)
    pen.box(
        house,
        deck - 0.29,
        house + 0.3,
        deck + 0.03,
        CREAM,
        mix(CREAM, INK, 0.25),
        round=0.02,
        angle=20,
        lift=0.03,
    )
    pen.box(house - 0.03, deck - 0.31, house + 0.33, deck - 0.265, colour, round=0.015)
    for x in (0.04, 0.17):
        glass(pen, rounded(house + x, deck - 0.23, house + x + 0.09, deck - 0.12, 0.015))


def car(pen: Pen, rng: np.random.Generator) -> None:
    """A car or a van: body, roof, windows, wheels, lights."""
    body, roof = two_colours(rng)
    body = mix(body, ACCENTS[0], 0.25) if body == CREAM else body
    roof = body if rng.random() < 0.55 else CREAM
    pen.glaze(ellipse(0, 0.0, 1.02, 0.07), pen.light.shade, 0.5, blur=0.05)
    kind = rng.choice(["saloon", "round", "van"], p=[0.4, 0.35, 0.25])
    if kind == "saloon":
        cabin = [(-0.6, -0.55), (-0.4, -0.96), (0.22, -0.98), (0.56, -0.55)]
        lower = [
            (-1.0, -0.2),
            (-1.0, -0.52),
            (-0.62, -0.6),
            (0.56, -0.6),
            (0.95, -0.5),
            (1.02, -0.36),
            (1.0, -0.2),
        ]
        panes = [
            [(-0.5, -0.58), (-0.35, -0.88), (-0.1, -0.89), (-0.1, -0.58)],
            [(-0.02, -0.58), (-0.02, -0.89), (0.18, -0.89), (0.42, -0.58)],
        ]
    elif kind == "round":
        cabin = smooth([(-0.66, -0.5), (-0.5, -0.86), (-0.1, -1.04), (0.28, -0.9), (0.5, -0.5)])
        lower = smooth(
            [
                (-1.0, -0.2),
                (-0.94, -0.5),
                (-0.6, -0.66),
                (0.0, -0.62),
                (0.6, -0.62),
                (0.92, -0.46),
                (0.98, -0.2),
                (0.0, -0.17),
            ]
        )
        panes = [
            smooth([(-0.46, -0.6), (-0.36, -0.82), (-0.12, -0.92), (-0.1, -0.6)]),
            smooth([(-0.0, -0.6), (-0.0, -0.93), (0.2, -0.85), (0.34, -0.6)]),
        ]
    else:
        cabin = rounded(-0.98, -1.12, 0.84, -0.5, 0.12)
        lower = rounded(-1.0, -0.66, 1.0, -0.18, 0.1)
        panes = [rounded(x, -0.99, x + 0.36, -0.7, 0.04) for x in (-0.86, -0.42, 0.02)] + [
            [(0.46, -0.99), (0.7, -0.99), (0.82, -0.7), (0.46, -0.7)]
        ]
    if rng.random() < 0.4:
        _luggage(pen, rng, -1.12 if kind == "van" else -0.98)
    pen.polygon(cabin, mix(roof, WHITE, 0.15), roof, mix(roof, BLACK, 0.2), lift=0.03)
    for pane in panes:
        glass(pen, pane)
    pen.polygon(lower, mix(body, WHITE, 0.22), body, mix(body, BLACK, 0.28), angle=90, lift=0.02)
    pen.line([(-0.95, -0.4), (0.95, -0.4)], 0.02, mix(body, BLACK, 0.3) if kind != "van" else CREAM)
    pen.line([(-0.06, -0.58), (-0.06, -0.24)], 0.014, mix(body, BLACK, 0.35))
    pen.line([(-0.2, -0.5), (-0.12, -0.5)], 0.025, CREAM)
    pen.box(-1.05, -0.26, 1.05, -0.17, mix(CREAM, INK, 0.35), round=0.04)
    for x in (-0.6, 0.6):
        pen.polygon(ellipse(x, -0.2, 0.265, 0.265, 180, 360), mix(body, BLACK, 0.55))
        pen.ellipse(x, -0.17, 0.21, 0.21, mix(INK, BLACK, 0.4), lift=0.02)
        pen.ellipse(x, -0.17, 0.11, 0.11, WHITE, CREAM, mix(CREAM, INK, 0.5))
        pen.ellipse(x, -0.17, 0.04, 0.04, INK)
    lamp_y = -0.47 if kind == "van" else -0.42
    pen.ellipse(0.93, lamp_y, 0.055, 0.065, WHITE, LAMP, lit=not pen.light.dark)
    pen.ellipse(-0.95, lamp_y, 0.04, 0.06, ACCENTS[0])
    if pen.light.dark:
        pen.glaze(
            [(0.97, lamp_y - 0.05), (2.3, lamp_y - 0.02), (2.3, 0.1), (0.97, lamp_y + 0.05)],
            LAMP,
            0.22,
            blur=0.04,
        )
        pen.lamp(0.95, lamp_y, 0.3, LAMP, 0.7)


def _luggage(pen: Pen, rng: np.random.Generator, roof: float) -> None:
    pen.line([(-0.42, roof - 0.03), (0.22, roof - 0.03)], 0.03, INK)
    left = -0.38
    for colour in (WOOD, ACCENTS[int(rng.integers(len(ACCENTS)))]):
        wide = rng.uniform(0.22, 0.3)
        pen.box(
            left, roof - rng.uniform(0.16, 0.24), left + wide, roof - 0.04, colour, round=0.02, lift=0.015
        )
        left += wide + 0.02


def train(pen: Pen, rng: np.random.Generator) -> bool:
    """A steam engine or a railcar with its carriages, nose to the right at x = 1; True if it steams."""
    body, other = two_colours(rng)
    steam = rng.random() < 0.6
    carriages = int(rng.integers(1, 4))
    for number in range(carriages):
        pen.line([(-1.0 - 1.9 * number, -0.2), (-0.7 - 1.9 * number, -0.2)], 0.06, INK)
        _carriage(pen.moved(-1.95 - 1.9 * number, 0), other if steam else body, CREAM)
    if steam:
        _steam_engine(pen, body)
    else:
        _railcar(pen, body, other)
    return steam


def _carriage(pen: Pen, colour: Colour, band: Colour) -> None:
    pen.box(
        -0.92,
        -0.92,
        0.92,
        -0.16,
        mix(colour, WHITE, 0.12),
        colour,
        mix(colour, BLACK, 0.3),
        round=0.05,
        angle=90,
        lift=0.03,
    )
    pen.box(-0.95, -0.98, 0.95, -0.88, mix(INK, colour, 0.3), round=0.05)
    pen.box(-0.9, -0.42, 0.9, -0.36, band)
    for x in np.linspace(-0.76, 0.5, 4):
        glass(pen, rounded(x, -0.78, x + 0.26, -0.5, 0.04))
    _wheels(pen, (-0.62, -0.32, 0.32, 0.62), 0.13)


def _steam_engine(pen: Pen, colour: Colour) -> None:
    dark = mix(INK, BLACK, 0.3)
    pen.box(-0.95, -0.3, 1.0, -0.18, ACCENTS[11])
    pen.box(0.42, -1.02, 0.58, -0.62, dark, angle=0)
    pen.polygon([(0.36, -1.14), (0.64, -1.14), (0.58, -0.98), (0.42, -0.98)], mix(dark, colour, 0.15))
    pen.ellipse(0.08, -0.74, 0.1, 0.12, ACCENTS[2])
    pen.box(
        -0.4,
        -0.74,
        0.86,
        -0.26,
        mix(colour, WHITE, 0.28),
        colour,
        mix(colour, BLACK, 0.4),
        round=0.06,
        angle=90,
        lift=0.03,
    )
    for x in (-0.12, 0.2, 0.5):
        pen.box(x, -0.74, x + 0.035, -0.26, mix(ACCENTS[2], WOOD, 0.2))
    pen.box(0.8, -0.76, 0.93, -0.24, dark, round=0.05)
    pen.ellipse(0.93, -0.62, 0.065, 0.075, WHITE, LAMP, lit=not pen.light.dark)
    pen.box(
        -0.95,
        -1.04,
        -0.36,
        -0.22,
        mix(colour, WHITE, 0.1),
        colour,
        mix(colour, BLACK, 0.3),
        angle=90,
        lift=0.03,
    )
    pen.box(-1.02, -1.12, -0.3, -1.0, mix(ACCENTS[11], BLACK, 0.2), round=0.05, lift=0.02)
    glass(pen, rounded(-0.82, -0.9, -0.5, -0.6, 0.04))
    pen.polygon([(0.9, -0.22), (1.2, -0.02), (0.86, -0.02)], ACCENTS[11], mix(ACCENTS[11], BLACK, 0.3))
    _wheels(pen, (-0.62, -0.18), 0.23)
    _wheels(pen, (0.28, 0.66), 0.15)
    pen.line([(-0.62, -0.2), (-0.18, -0.2), (0.28, -0.16)], 0.045, CREAM)
    if pen.light.dark:
        pen.lamp(0.95, -0.62, 0.45, LAMP, 0.7)


def _railcar(pen: Pen, body: Colour, other: Colour) -> None:
    nose = smooth([(0.5, -1.0), (0.84, -0.9), (1.02, -0.55), (1.06, -0.2)], closed=False)
    outline = np.concatenate([[(-0.95, -0.16), (-0.95, -1.0)], nose, [(1.02, -0.14)]])
    pen.polygon(outline, mix(body, WHITE, 0.2), body, mix(body, BLACK, 0.3), angle=90, lift=0.03)
    pen.polygon([(-0.95, -0.42), (1.03, -0.42), (1.05, -0.3), (-0.95, -0.3)], other)
    pen.box(-0.6, -1.07, 0.2, -0.99, mix(INK, body, 0.2), round=0.03)
    for x in (-0.82, -0.42, -0.02):
        glass(pen, rounded(x, -0.84, x + 0.3, -0.53, 0.04))
    glass(pen, [(0.46, -0.86), (0.74, -0.84), (0.92, -0.54), (0.46, -0.53)])
    pen.ellipse(0.98, -0.26, 0.045, 0.05, WHITE, LAMP, lit=not pen.light.dark)
    _wheels(pen, (-0.62, -0.32, 0.38, 0.68), 0.13)
    if pen.light.dark:
        pen.lamp(1.0, -0.26, 0.4, LAMP, 0.7)


def _wheels(pen: Pen, where: tuple[float, ...], radius: float) -> None:
    for x in where:
        pen.ellipse(x, -radius, radius, radius, mix(INK, BLACK, 0.3), lift=0.015)
        pen.ellipse(x, -radius, radius * 0.62, radius * 0.62, mix(ACCENTS[11], INK, 0.2))
        pen.ellipse(x, -radius, radius * 0.25, radius * 0.25, CREAM)
