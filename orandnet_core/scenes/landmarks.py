"""The animals and the buildings that are classes: bird, sheep, lighthouse and windmill."""

import numpy as np

from orandnet_core.scenes.canvas import Colour, mix
from orandnet_core.scenes.light import ACCENTS, CREAM, INK, LAMP, WOOD, rgb
from orandnet_core.scenes.pen import Pen, ellipse, rounded, scallops, smooth
from orandnet_core.scenes.vehicles import BLACK, WHITE, glass

_PLUMAGE = (
    (rgb("f7f4ea"), rgb("8d99a6")),
    (rgb("2f4668"), rgb("e2674c")),
    (rgb("e8604c"), rgb("7a2e3a")),
    (rgb("f2c14e"), rgb("3f6f8f")),
    (rgb("3f8f8b"), rgb("f3ead6")),
    (rgb("4a4e69"), rgb("c9ada7")),
    (rgb("6aa7d8"), rgb("24476b")),
    (rgb("d9885b"), rgb("5a3a2e")),
)
_STONE = (rgb("efe7d6"), rgb("d8c3a5"), rgb("c9b8a8"), rgb("b56b52"), rgb("8f9aa3"))


def bird(pen: Pen, rng: np.random.Generator) -> None:
    """A bird in flight, beak to the right: tail, far wing, body, head, beak, near wing."""
    body, wing = _PLUMAGE[int(rng.integers(len(_PLUMAGE)))]
    pen = pen.moved(0, -0.5, turn=rng.uniform(-22, 12))
    lift = rng.uniform(-1, 1)  # -1 wings up, 1 wings down
    fork = rng.uniform(0.0, 0.12)
    pen.polygon(
        [(-0.3, -0.06), (-0.72, -0.14 - fork), (-0.6, 0.0), (-0.74, 0.1 + fork * 0.4), (-0.3, 0.08)],
        wing,
        angle=10,
    )
    _wing(pen, lift * 0.8 - 0.1, mix(wing, BLACK, 0.22), 0.86, 0.14)
    pen.polygon(
        smooth([(-0.42, 0.0), (-0.12, -0.15), (0.22, -0.17), (0.42, -0.04), (0.28, 0.13), (-0.08, 0.17)]),
        mix(body, WHITE, 0.2),
        body,
        mix(body, BLACK, 0.28),
        angle=90,
        lift=0.03,
    )
    pen.polygon(
        smooth([(-0.25, 0.08), (0.0, 0.04), (0.28, 0.06), (0.24, 0.12), (-0.05, 0.165)]),
        mix(body, CREAM, 0.65),
    )
    pen.ellipse(0.4, -0.1, 0.135, 0.125, mix(body, WHITE, 0.15), body, lift=0.01)
    beak = ACCENTS[1]
    pen.polygon(
        [(0.51, -0.14), (0.72, -0.055), (0.5, -0.03)], mix(beak, WHITE, 0.2), mix(beak, ACCENTS[0], 0.4)
    )
    pen.ellipse(0.44, -0.125, 0.034, 0.034, WHITE)
    pen.ellipse(0.45, -0.125, 0.021, 0.021, BLACK)
    _wing(pen, lift, wing, 1.0, 0.0)


def _wing(pen: Pen, lift: float, colour: Colour, long: float, forward: float) -> None:
    # Root along the back; the tip swings from above the body to below it.
    tip = np.array([-0.42 + forward + 0.1 * abs(lift), lift * 0.62 * long - 0.06])
    front, back = np.array([0.2 + forward, -0.08]), np.array([-0.22 + forward, -0.02])
    bend = np.array([0.04, 0.12 * np.sign(lift) if abs(lift) > 0.2 else -0.12])
    lead = smooth([front, (front * 0.45 + tip * 0.55) + bend + (0.1, 0), tip], closed=False)
    trail = smooth([tip, (back * 0.55 + tip * 0.45) + bend * 0.2 - (0.04, 0), back], closed=False)
    pen.polygon(
        np.concatenate([lead, trail]),
        mix(colour, WHITE, 0.16),
        colour,
        mix(colour, BLACK, 0.3),
        angle=160,
        lift=0.03,
    )
    for share in (0.35, 0.6):
        start, end = front * (1 - share) + back * share, tip * 0.8 + back * 0.2
        pen.line([start * 0.6 + end * 0.4, end * 0.9 + start * 0.1], 0.014, mix(colour, BLACK, 0.35))


def sheep(pen: Pen, rng: np.random.Generator) -> None:
    """A sheep, head to the right: legs, tail, wool, face, ears; standing or grazing."""
    wool = (
        mix(CREAM, WHITE, 0.5)
        if rng.random() < 0.7
        else (rgb("b9a58f") if rng.random() < 0.5 else rgb("5b5560"))
    )
    skin = INK if rng.random() < 0.6 else rgb("c99a83")
    pen.glaze(ellipse(0, 0, 0.62, 0.07), pen.light.shade, 0.45, blur=0.05)
    for x, colour in (
        (-0.34, mix(skin, BLACK, 0.3)),
        (0.18, mix(skin, BLACK, 0.3)),
        (-0.22, skin),
        (0.3, skin),
    ):
        pen.box(x, -0.34, x + 0.085, 0.0, colour, round=0.02)
    pen.polygon(scallops(-0.53, -0.62, 0.1, 0.09, 6, 0.2), wool, lift=0.02)
    phase = rng.uniform(0, np.pi)
    body = scallops(0, -0.55, 0.5, 0.31, int(rng.integers(11, 15)), 0.13, phase)
    pen.polygon(body, mix(wool, WHITE, 0.4), wool, mix(wool, rgb("5a5f8a"), 0.42), angle=75, lift=0.04)
    for x, y, size in ((-0.25, -0.6, 0.13), (0.02, -0.48, 0.15), (0.22, -0.66, 0.12), (-0.1, -0.74, 0.11)):
        curl = ellipse(x, y, size, size * 0.8, 30, 250)
        pen.line(curl[::5], 0.018, mix(wool, rgb("6a6a92"), 0.32))
    grazing = rng.random() < 0.4
    head = pen.moved(0.5, -0.42 if grazing else -0.72, turn=62 if grazing else rng.uniform(-8, 18))
    for ear, turn in ((-1, 200), (1, 160)):
        head.moved(-0.02, -0.1 + 0.02 * ear, turn=turn).ellipse(
            0.1, 0, 0.12, 0.045, mix(skin, rgb("d98f8f"), 0.2)
        )
    head.polygon(
        smooth([(-0.13, -0.14), (0.1, -0.15), (0.27, 0.02), (0.26, 0.14), (0.1, 0.15), (-0.1, 0.06)]),
        mix(skin, WHITE, 0.18),
        skin,
        mix(skin, BLACK, 0.3),
        lift=0.03,
    )
    head.polygon(scallops(-0.07, -0.12, 0.12, 0.075, 7, 0.2), mix(wool, WHITE, 0.25), wool)
    head.ellipse(0.08, -0.04, 0.032, 0.036, WHITE)
    head.ellipse(0.09, -0.035, 0.018, 0.022, BLACK)
    head.ellipse(0.235, 0.06, 0.018, 0.014, mix(skin, BLACK, 0.55))


def lighthouse(pen: Pen, rng: np.random.Generator) -> None:
    """A lighthouse: banded tower, gallery, lantern, dome, door."""
    accent = ACCENTS[int(rng.choice([0, 0, 3, 4, 6, 11]))]
    wall = mix(CREAM, WHITE, 0.4)
    wide, slim = rng.uniform(0.155, 0.185), rng.uniform(0.095, 0.115)

    def half(y: float) -> float:
        return slim + (wide - slim) * (1 + y / 0.7) ** 1.25 if y > -0.7 else slim

    if pen.light.dark:
        for side in (-1, 1):
            pen.glaze([(0, -0.82), (side * 1.9, -1.05), (side * 1.9, -0.55)], LAMP, 0.2, blur=0.03)
    levels = np.linspace(-0.7, 0, 36)
    sides = np.array([half(y) for y in levels])
    tower = np.concatenate([np.stack([sides, levels], 1), np.stack([-sides, levels], 1)[::-1]])
    pen.polygon(tower, wall, lift=0.04)
    if rng.random() < 0.75:
        bands = int(rng.choice([5, 7]))
        edges = np.linspace(-0.7, 0, bands + 1)
        bands_of = [
            (top, low, accent if i % 2 == 0 else wall)
            for i, (top, low) in enumerate(zip(edges[:-1], edges[1:], strict=True))
        ]
    else:
        bands_of = [(-0.7, -0.16, wall), (-0.16, 0.0, accent)]
    for top, low, colour in bands_of:
        ys = np.linspace(top, low, 8)
        sides = np.array([half(y) for y in ys])
        band = np.concatenate([np.stack([sides, ys], 1), np.stack([-sides, ys], 1)[::-1]])
        pen.polygon(band, mix(colour, WHITE, 0.22), colour, mix(colour, BLACK, 0.36), angle=0, grain=0.06)
    for y in (-0.56, -0.34):
        glass(pen, rounded(-0.026, y, 0.026, y + 0.075, 0.02))
    pen.box(-0.045, -0.13, 0.045, 0.0, mix(WOOD, BLACK, 0.2), round=0.02)
    pen.box(-0.165, -0.735, 0.165, -0.695, mix(INK, accent, 0.2), lift=0.02)
    for x in np.linspace(-0.15, 0.15, 7):
        pen.line([(x, -0.735), (x, -0.785)], 0.009, INK)
    pen.line([(-0.155, -0.785), (0.155, -0.785)], 0.012, INK)
    pen.box(-0.08, -0.9, 0.08, -0.735, mix(LAMP, WHITE, 0.4), LAMP, lit=not pen.light.dark, angle=0)
    for x in (-0.08, -0.027, 0.027, 0.08):
        pen.line([(x, -0.9), (x, -0.735)], 0.011, INK)
    pen.polygon(
        np.concatenate([ellipse(0, -0.895, 0.11, 0.085, 180, 360), [(0.11, -0.88), (-0.11, -0.88)]]),
        accent,
        angle=0,
        lift=0.02,
    )
    pen.line([(0, -0.97), (0, -1.03)], 0.012, INK)
    pen.ellipse(0, -1.03, 0.014, 0.014, INK)
    if pen.light.dark:
        pen.lamp(0, -0.82, 0.4, LAMP, 0.85)


def windmill(pen: Pen, rng: np.random.Generator) -> None:
    """A windmill: tower, door, cap, four lattice sails at any angle."""
    stone = _STONE[int(rng.integers(len(_STONE)))]
    cap = (ACCENTS[11], ACCENTS[4], WOOD, ACCENTS[6])[int(rng.integers(4))]
    wide = rng.uniform(0.19, 0.23)
    pen.polygon(
        [(-wide, 0), (-wide * 0.56, -0.6), (wide * 0.56, -0.6), (wide, 0)],
        mix(stone, WHITE, 0.2),
        stone,
        mix(stone, BLACK, 0.34),
        angle=0,
        lift=0.04,
    )
    for _ in range(9):
        y = rng.uniform(-0.55, -0.06)
        x = rng.uniform(-0.8, 0.8) * wide * (0.56 + 0.44 * (1 + y / 0.6))
        pen.line([(x - 0.018, y), (x + 0.018, y)], 0.012, mix(stone, BLACK, 0.28))
    glass(pen, rounded(-0.032, -0.42, 0.032, -0.32, 0.025))
    pen.box(-0.05, -0.15, 0.05, 0.0, mix(WOOD, BLACK, 0.15), round=0.03)
    pen.polygon(
        np.concatenate(
            [ellipse(0, -0.6, wide * 0.66, 0.15, 180, 360), [(wide * 0.66, -0.575), (-wide * 0.66, -0.575)]]
        ),
        mix(cap, WHITE, 0.15),
        cap,
        mix(cap, BLACK, 0.3),
        angle=30,
        lift=0.03,
    )
    cloth = CREAM if rng.random() < 0.7 else mix(ACCENTS[0], CREAM, 0.4)
    turn, long = rng.uniform(0, 90), rng.uniform(0.43, 0.5)
    hub = pen.moved(0, -0.62)
    for quarter in range(4):
        _sail(hub.moved(0, 0, turn=turn + 90 * quarter), cloth, long)
    hub.ellipse(0, 0, 0.035, 0.035, mix(WOOD, INK, 0.4), lift=0.01)


def _sail(pen: Pen, cloth: Colour, long: float) -> None:
    pen.box(
        0.1, 0.005, long, 0.115, mix(cloth, WHITE, 0.2), cloth, mix(cloth, BLACK, 0.22), angle=0, lift=0.025
    )
    frame = mix(WOOD, INK, 0.25)
    for x in np.linspace(0.1, long, 6):
        pen.line([(x, 0), (x, 0.115)], 0.008, frame)
    for y in (0.06, 0.115):
        pen.line([(0.1, y), (long, y)], 0.008, frame)
    pen.line([(0, 0), (long + 0.015, 0)], 0.024, frame)
