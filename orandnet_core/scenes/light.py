"""Times of day, seasons and colours: what makes two scenes of the same things look different."""

from dataclasses import dataclass

from orandnet_core.scenes.canvas import Colour, mix


def rgb(code: str) -> Colour:
    return tuple(int(code[i : i + 2], 16) for i in (0, 2, 4))


@dataclass(frozen=True, kw_only=True)
class Light:
    """A time of day.

    Attributes:
        sky: colours from the zenith to the horizon.
        sun: the disc's colour; `sun_height` its range as fractions of the sky, top to bottom.
        haze: what distance fades into, `haze_share` how much at the horizon.
        tint: multiplies every local colour.
        shade: colour of shadows.
        dark: stars are out and windows are lit.
    """

    sky: tuple[Colour, ...]
    sun: Colour
    sun_height: tuple[float, float]
    haze: Colour
    haze_share: float
    tint: Colour
    shade: Colour
    dark: bool = False

    def on(self, colour: Colour, depth: float = 0.0) -> Colour:
        """A local colour in this light, at a depth from 0 (near) to 1 (horizon)."""
        lit = tuple(value * factor for value, factor in zip(colour, self.tint, strict=True))
        return mix(lit, self.haze, self.haze_share * depth)


LIGHTS = {
    "morning": Light(
        sky=(rgb("8fc3d9"), rgb("c8e0dc"), rgb("fdeed3")),
        sun=rgb("fff3cf"),
        sun_height=(0.35, 0.75),
        haze=rgb("f4e9d5"),
        haze_share=0.72,
        tint=(1.0, 0.98, 0.92),
        shade=rgb("36506b"),
    ),
    "noon": Light(
        sky=(rgb("4aa3d0"), rgb("86c7e0"), rgb("d9f0ee")),
        sun=rgb("fffbe6"),
        sun_height=(0.12, 0.4),
        haze=rgb("d3ebee"),
        haze_share=0.6,
        tint=(1.0, 1.0, 0.98),
        shade=rgb("1f4562"),
    ),
    "gold": Light(
        sky=(rgb("e9a46a"), rgb("f6c98b"), rgb("fdebc0")),
        sun=rgb("fff4d2"),
        sun_height=(0.45, 0.85),
        haze=rgb("f8d9a4"),
        haze_share=0.7,
        tint=(1.0, 0.89, 0.72),
        shade=rgb("5c3440"),
    ),
    "rose": Light(
        sky=(rgb("6d6ea8"), rgb("d98ba6"), rgb("fcd0ae")),
        sun=rgb("ffe3c2"),
        sun_height=(0.55, 0.9),
        haze=rgb("eeb3a8"),
        haze_share=0.7,
        tint=(0.96, 0.82, 0.84),
        shade=rgb("3d2f5c"),
    ),
    "dusk": Light(
        sky=(rgb("27325f"), rgb("6a5a92"), rgb("ef9d84")),
        sun=rgb("ffd0a0"),
        sun_height=(0.75, 0.98),
        haze=rgb("a9789a"),
        haze_share=0.62,
        tint=(0.68, 0.62, 0.8),
        shade=rgb("171a3c"),
        dark=True,
    ),
    "night": Light(
        sky=(rgb("0f1c3f"), rgb("1f3a66"), rgb("4a7391")),
        sun=rgb("f7f3d8"),
        sun_height=(0.12, 0.45),
        haze=rgb("41688a"),
        haze_share=0.62,
        tint=(0.5, 0.6, 0.8),
        shade=rgb("060d22"),
        dark=True,
    ),
    "mist": Light(
        sky=(rgb("b9c7c9"), rgb("d3dad5"), rgb("ebe8dc")),
        sun=rgb("fbf8ec"),
        sun_height=(0.25, 0.6),
        haze=rgb("e2e3da"),
        haze_share=0.88,
        tint=(0.9, 0.92, 0.92),
        shade=rgb("40535c"),
    ),
    "teal": Light(
        sky=(rgb("2f8f93"), rgb("83c5b4"), rgb("f2eecb")),
        sun=rgb("fff6d6"),
        sun_height=(0.3, 0.8),
        haze=rgb("d6e6c8"),
        haze_share=0.68,
        tint=(0.94, 0.98, 0.9),
        shade=rgb("1b4048"),
    ),
}
LIGHT_WEIGHTS = (0.17, 0.19, 0.15, 0.13, 0.1, 0.08, 0.08, 0.1)


@dataclass(frozen=True, kw_only=True)
class Season:
    """Local colours of the land: ground from near to far, leaves, flowers."""

    ground: tuple[Colour, ...]
    leaves: tuple[Colour, ...]
    flowers: tuple[Colour, ...]
    mountain: Colour
    snow: bool = False


SEASONS = {
    "spring": Season(
        ground=(rgb("6fae57"), rgb("8cc06a"), rgb("a9cc86")),
        leaves=(rgb("5f9f58"), rgb("86b765"), rgb("f0b6c1")),
        flowers=(rgb("fff2b8"), rgb("f7a6b5"), rgb("ffffff")),
        mountain=rgb("7d95a6"),
    ),
    "summer": Season(
        ground=(rgb("4f8f4a"), rgb("79a84e"), rgb("b5bb62")),
        leaves=(rgb("3d7a4a"), rgb("5b9450"), rgb("8aa84f")),
        flowers=(rgb("f6c945"), rgb("e8604c"), rgb("ffffff")),
        mountain=rgb("6b8796"),
    ),
    "harvest": Season(
        ground=(rgb("c99a3f"), rgb("dcb659"), rgb("e6ca86")),
        leaves=(rgb("6f8a45"), rgb("93994a"), rgb("b3873c")),
        flowers=(rgb("d8503f"), rgb("3f6fae"), rgb("fff0c0")),
        mountain=rgb("8b8090"),
    ),
    "autumn": Season(
        ground=(rgb("a3743d"), rgb("b98f4e"), rgb("c8ab73")),
        leaves=(rgb("c2542d"), rgb("dd8a35"), rgb("8f3b32")),
        flowers=(rgb("e8c15a"), rgb("c5502f"), rgb("f4e3bd")),
        mountain=rgb("7f7488"),
    ),
    "winter": Season(
        ground=(rgb("e6edf2"), rgb("d4e0ea"), rgb("c5d4e2")),
        leaves=(rgb("4d6f6e"), rgb("6f8f8d"), rgb("b9cdd3")),
        flowers=(rgb("ffffff"), rgb("f3f8fb"), rgb("dfeaf2")),
        mountain=rgb("8fa3b8"),
        snow=True,
    ),
    "heath": Season(
        ground=(rgb("8a6b8f"), rgb("a3849c"), rgb("bfa6ae")),
        leaves=(rgb("55745d"), rgb("7a8f62"), rgb("6b5a86")),
        flowers=(rgb("e3a5cf"), rgb("c76fb0"), rgb("f7e4f0")),
        mountain=rgb("75769a"),
    ),
}
SEASON_WEIGHTS = (0.22, 0.24, 0.16, 0.15, 0.12, 0.11)

WATERS = (rgb("3f86a8"), rgb("2f7f8f"), rgb("4a6fa5"), rgb("5aa3a8"), rgb("37627f"))

ACCENTS = (
    rgb("e2574c"),
    rgb("f2a541"),
    rgb("f4d35e"),
    rgb("3f8f8b"),
    rgb("2f5d8a"),
    rgb("f3ead6"),
    rgb("8c4a6b"),
    rgb("77a650"),
    rgb("e88a7a"),
    rgb("5aa9d6"),
    rgb("394b59"),
    rgb("b5432f"),
)
CREAM = rgb("f6efdf")
INK = rgb("2b3440")
WOOD = rgb("8a5f3c")
GLASS = rgb("bfe0e8")
LAMP = rgb("ffdf8a")
