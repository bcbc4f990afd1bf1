"""A supersampled drawing surface that keeps the picture and its label map in step.

Coordinates: x to the right in [0, aspect], y *downwards* in [0, 1], both in units of the
picture's height. Angles are in degrees, clockwise on screen. Every opaque shape writes its label, so whatever
covers an object also covers the object's mask; shadows, glows and glazes write none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from orandnet_core.labels import BACKGROUND

SUPERSAMPLE = 2
_GRAIN_PX = 2048
_SMALL_PX = 450

Colour = tuple[float, float, float]
Points = np.ndarray | Sequence[tuple[float, float]]


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`first` with a `share` in [0, 1] of `second`."""
    return tuple(a + (b - a) * share for a, b in zip(first, second, strict=True))


@dataclass(frozen=True)
class Paint:
    """Colour stops along a direction, dithered by paper grain.

    Attributes:
        stops: one colour or more, each RGB in [0, 255].
        angle: direction from the first stop to the last; 90 is downwards.
        grain: strength of the dither between neighbouring stops.
    """

    stops: tuple[Colour, ...]
    angle: float = 90.0
    grain: float = 0.1


class Canvas:
    """Picture and label map of one scene, `SUPERSAMPLE` times as large as they come out."""

    def __init__(self, width_px: int, height_px: int, rng: np.random.Generator):
        self.size_wh = (width_px, height_px)
        self.unit = height_px * SUPERSAMPLE
        full = (width_px * SUPERSAMPLE, height_px * SUPERSAMPLE)
        self.picture = Image.new("RGB", full)
        self.labels = Image.new("L", full, BACKGROUND)
        self._on_picture, self._on_labels = ImageDraw.Draw(self.picture), ImageDraw.Draw(self.labels)
        self.aspect = width_px / height_px
        self._grain_offset = rng.integers(0, _GRAIN_PX - max(full), 2)

    def fill(self, points: Points, paint: Paint, label: int = BACKGROUND) -> None:
        """Draw a closed polygon (N, 2), opaque."""
        cut = self._cut(points)
        if cut is None:
            return
        corners, clip, box = cut
        if (box[2] - box[0]) * (box[3] - box[1]) < _SMALL_PX:
            # Too small for a gradient to show: one colour, without the detour over a mask.
            flat = tuple(int(value) for value in paint.stops[len(paint.stops) // 2])
            outline = corners.ravel().tolist()
            self._on_picture.polygon(outline, fill=flat)
            self._on_labels.polygon(outline, fill=label)
            return
        mask = _stencil(corners, clip, 255)
        self.picture.paste(self._painted(paint, box, clip), clip, mask)
        self.labels.paste(label, clip, mask)

    def glaze(self, points: Points, paint: Paint, alpha: float, blur: float = 0.0) -> None:
        """Draw a translucent polygon without a label; `blur` softens its edge by that radius."""
        cut = self._cut(points, margin=3 * blur)
        if cut is None:
            return
        corners, clip, box = cut
        mask = _stencil(corners, clip, int(255 * alpha))
        if blur:
            mask = _blurred(mask, blur * self.unit)
        self.picture.paste(self._painted(paint, box, clip), clip, mask)

    def shadow(
        self, points: Points, colour: Colour, alpha: float, blur: float, shift: tuple[float, float]
    ) -> None:
        """The soft shadow that a paper shape throws on what lies beneath."""
        self.glaze(np.asarray(points) + shift, Paint((colour,), grain=0), alpha, blur)

    def glow(self, centre: tuple[float, float], radius: float, colour: Colour, alpha: float) -> None:
        """Light that fades outwards from a point."""
        x, y = (value * self.unit for value in centre)
        reach = radius * self.unit
        clip = self._clip(x - reach, y - reach, x + reach, y + reach)
        if clip is None:
            return
        rows = (np.arange(clip[1], clip[3], dtype=np.float32) - y) / reach
        columns = (np.arange(clip[0], clip[2], dtype=np.float32) - x) / reach
        fade = np.clip(1 - (rows[:, None] ** 2 + columns[None] ** 2), 0, 1) ** 2 * (255 * alpha)
        fade += self._grain(clip) * (fade * 0.07)
        mask = Image.fromarray(np.clip(fade, 0, 255).astype(np.uint8))
        self.picture.paste(tuple(int(value) for value in colour), clip, mask)

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """The scene at its final size.

        Returns:
            image (H, W, 3) uint8 RGB with a vignette and paper grain, and mask (H, W) uint8: each
            pixel has the label that covers the largest part of it.
        """
        image = np.asarray(self.picture.resize(self.size_wh, Image.Resampling.LANCZOS), np.float32)
        width, height = self.size_wh
        rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        columns = np.linspace(-1, 1, width, dtype=np.float32)[None]
        vignette = 1.02 - 0.11 * (rows**2 + columns**2)
        paper = self._grain((0, 0, width, height)) * 0.009
        image = image * (vignette + paper)[..., None]
        return np.clip(image, 0, 255).astype(np.uint8), self._majority()

    def _majority(self) -> np.ndarray:
        width, height = self.size_wh
        cells = np.asarray(self.labels).reshape(height, SUPERSAMPLE, width, SUPERSAMPLE)
        present = np.flatnonzero(np.bincount(cells.ravel()))
        votes = np.stack([(cells == label).sum((1, 3), dtype=np.uint8) for label in present])
        return present[votes.argmax(0)].astype(np.uint8)

    def _cut(self, points: Points, margin: float = 0.0):
        corners = np.asarray(points, np.float64) * self.unit
        (left, top), (right, bottom) = corners.min(0), corners.max(0)
        pad = margin * self.unit
        clip = self._clip(left - pad, top - pad, right + pad + 1, bottom + pad + 1)
        if clip is None:
            return None
        return corners, clip, (left, top, max(right, left + 1), max(bottom, top + 1))

    def _clip(self, left, top, right, bottom) -> tuple[int, int, int, int] | None:
        width, height = self.picture.size
        clip = max(int(left), 0), max(int(top), 0), min(int(right) + 1, width), min(int(bottom) + 1, height)
        return clip if clip[0] < clip[2] and clip[1] < clip[3] else None

    def _grain(self, clip) -> np.ndarray:
        x, y = self._grain_offset
        return _grain_tile()[y + clip[1] : y + clip[3], x + clip[0] : x + clip[2]]

    def _painted(self, paint: Paint, box, clip) -> Image.Image | tuple[int, ...]:
        if len(paint.stops) == 1:
            return tuple(int(value) for value in paint.stops[0])
        left, top, right, bottom = box
        columns = (np.arange(clip[0], clip[2], dtype=np.float32) - left) / (right - left)
        rows = (np.arange(clip[1], clip[3], dtype=np.float32) - top) / (bottom - top)
        turn = np.deg2rad(paint.angle)
        across, down = np.cos(turn), np.sin(turn)
        start = min(across, 0) + min(down, 0)
        along = ((columns * across)[None] + (rows * down)[:, None] - start) / (abs(across) + abs(down))
        along = along + self._grain(clip) * np.float32(paint.grain)
        along *= 255
        index = Image.fromarray(along.clip(0, 255, out=along).astype(np.uint8), mode="P")
        index.putpalette(_ramp(paint.stops))
        return index.convert("RGB")


def _stencil(corners: np.ndarray, clip: tuple[int, int, int, int], value: int) -> Image.Image:
    mask = Image.new("L", (clip[2] - clip[0], clip[3] - clip[1]))
    ImageDraw.Draw(mask).polygon((corners - clip[:2]).ravel().tolist(), fill=value)
    return mask


@lru_cache(maxsize=512)
def _ramp(stops: tuple[Colour, ...]) -> bytes:
    where = np.linspace(0, 255, len(stops))
    channels = [np.interp(np.arange(256), where, channel) for channel in zip(*stops, strict=True)]
    return np.clip(np.stack(channels, 1), 0, 255).astype(np.uint8).tobytes()


def _blurred(mask: Image.Image, radius_px: float) -> Image.Image:
    # A blur hides detail, so it is done small: 16 times fewer pixels.
    small = mask.resize((max(mask.width // 4, 1), max(mask.height // 4, 1)), Image.Resampling.BILINEAR)
    return small.filter(ImageFilter.GaussianBlur(float(radius_px) / 4)).resize(
        mask.size, Image.Resampling.BILINEAR
    )


@lru_cache(maxsize=1)
def _grain_tile() -> np.ndarray:
    """(2048, 2048) float32 noise of unit variance, about a final pixel coarse, the same for all scenes."""
    noise = np.random.default_rng(20240628).standard_normal(
        (_GRAIN_PX // 2, _GRAIN_PX // 2), dtype=np.float32
    )
    tile = np.asarray(Image.fromarray(noise).resize((_GRAIN_PX, _GRAIN_PX), Image.Resampling.BILINEAR))
    return tile / tile.std()
