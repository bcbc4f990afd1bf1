"""IR labels: what is surely a class, surely background, or left out, to train the affinity network on.

Ahn et al. (IRN), CVPR 2019, section 3.3 and the published code: two label maps of one image, one with
little foreground and one with much, each cleaned by the dense CRF, decide where they agree.

Shapes: K present classes, H x W pixels.
"""

import numpy as np

from orandnet_core.crf import IRN, CrfPreset, crf_labels
from orandnet_core.errors import ShapeError
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX

__all__ = ["ir_label"]

Array = np.ndarray


def ir_label(
    image: Array, confident: Array, possible: Array, class_ids: Array, preset: CrfPreset | None = IRN
) -> Array:
    """Combine two label maps: foreground where the confident one shows any, background where neither does.

    Args:
        image: (H, W, 3) uint8 RGB.
        confident: (H, W) uint8, 0 and class ids: foreground by a high threshold (IRN: 0.30), or
            where AND passes its own.
        possible: (H, W) uint8, 0 and class ids: foreground by a low threshold (IRN: 0.05), or where
            OR passes its own.
        class_ids: (K,) in 1..254, ascending.
        preset: of the CRF that cleans both maps first; None leaves them as they are.

    Returns:
        (H, W) uint8: a class id where `confident` has it, 0 where both maps are background, and
        IGNORE_INDEX elsewhere.

    Raises:
        ShapeError: the maps differ in size, or the image from them.
        RangeError: a label that is no class id.
        ConfigError: `pydensecrf2` is not installed.
    """
    if confident.shape != possible.shape:
        raise ShapeError(f"confident is {confident.shape} and possible {possible.shape}; both must be (H, W)")
    if preset is not None:
        confident, possible = crf_labels(image, np.stack([confident, possible]), class_ids, preset)
    label = np.array(confident, np.uint8)
    label[(confident == BACKGROUND) & (possible != BACKGROUND)] = IGNORE_INDEX
    return label
