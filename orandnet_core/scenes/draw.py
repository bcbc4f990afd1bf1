"""One scene from its seed and number."""

from collections.abc import Callable

import numpy as np

from orandnet_core.scenes.canvas import Canvas
from orandnet_core.scenes.light import LIGHT_WEIGHTS, LIGHTS, SEASON_WEIGHTS, SEASONS
from orandnet_core.scenes.settings import ROUND
from orandnet_core.scenes.stage import Stage

SIZES_WH = ((320, 240), (320, 240), (320, 224), (304, 240), (336, 240), (288, 240))
_FEWEST_PIXELS = 100
_MOST_ATTEMPTS = 12


def draw_scene(seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw scene `number` of the sample with this seed; equal arguments give equal pixels.

    A drawing that shows no object, or one of which hardly anything is left uncovered, is drawn anew.

    Returns:
        image (H, W, 3) uint8 RGB and mask (H, W) uint8 with 0 and 1..C as `SCENE_CLASSES` has them.
    """
    which_round, place = divmod(number, len(ROUND))
    setting = ROUND[np.random.default_rng([seed, which_round]).permutation(len(ROUND))[place]]
    for attempt in range(_MOST_ATTEMPTS):
        image, mask = _draw(setting, np.random.default_rng([seed, number, attempt]))
        pixels = np.bincount(mask.ravel(), minlength=2)[1:]
        if pixels.any() and pixels[pixels > 0].min() >= _FEWEST_PIXELS:
            break
    return image, mask


def _draw(setting: Callable[[Stage], None], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    width, height = SIZES_WH[rng.integers(len(SIZES_WH))]
    light = list(LIGHTS.values())[rng.choice(len(LIGHTS), p=LIGHT_WEIGHTS)]
    season = list(SEASONS.values())[rng.choice(len(SEASONS), p=SEASON_WEIGHTS)]
    stage = Stage(Canvas(width, height, rng), light, season, rng)
    setting(stage)
    return stage.canvas.finish()
