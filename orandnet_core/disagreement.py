"""Where two masks of one image agree, and which of them is right.

A pixel belongs to *both* where both masks show the same class; to *only* one of them where the
other shows background. Where they show different classes, the one that is right has the pixel
alone; where neither is, both are wrong.

Shapes: H x W pixels.
"""

from functools import cache

import numpy as np

from orandnet_core.errors import ShapeError
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX

__all__ = [
    "AGREEMENT_NAMES",
    "BOTH",
    "BOTH_DIFFERENT",
    "BOTH_RIGHT",
    "BOTH_WRONG",
    "NEITHER",
    "NEITHER_WRONG",
    "ONLY_CNN",
    "ONLY_CNN_RIGHT",
    "ONLY_CNN_WRONG",
    "ONLY_VIT",
    "ONLY_VIT_RIGHT",
    "ONLY_VIT_WRONG",
    "agreement_colours",
    "disagreement_map",
]

Array = np.ndarray

NEITHER, BOTH_RIGHT, ONLY_CNN_RIGHT, ONLY_VIT_RIGHT, NEITHER_WRONG, BOTH_WRONG = range(6)
ONLY_CNN_WRONG, ONLY_VIT_WRONG, BOTH, ONLY_CNN, ONLY_VIT, BOTH_DIFFERENT = range(6, 12)

AGREEMENT_NAMES = {
    NEITHER: "neither",
    BOTH_RIGHT: "both, right",
    ONLY_CNN_RIGHT: "only CNN, right",
    ONLY_VIT_RIGHT: "only ViT, right",
    NEITHER_WRONG: "neither, wrong",
    BOTH_WRONG: "both, wrong",
    ONLY_CNN_WRONG: "only CNN, wrong",
    ONLY_VIT_WRONG: "only ViT, wrong",
    BOTH: "both",
    ONLY_CNN: "only CNN",
    ONLY_VIT: "only ViT",
    BOTH_DIFFERENT: "different classes",
    IGNORE_INDEX: "not scored",
}

# The hue says who found it, as in the charts (CNN blue, ViT orange); dark is wrong. Right and wrong of
# one hue are 40 or more apart in lightness, which no colour blindness takes away.
_RGB = {
    BOTH_RIGHT: (126, 216, 180), BOTH_WRONG: (0, 84, 62), BOTH: (0, 158, 115),
    ONLY_CNN_RIGHT: (150, 208, 247), ONLY_CNN_WRONG: (0, 70, 122), ONLY_CNN: (0, 114, 178),
    ONLY_VIT_RIGHT: (255, 190, 122), ONLY_VIT_WRONG: (136, 52, 0), ONLY_VIT: (213, 94, 0),
    NEITHER_WRONG: (190, 90, 150), BOTH_DIFFERENT: (190, 90, 150),
}  # fmt: skip


def disagreement_map(
    cnn_mask: Array, vit_mask: Array, target: Array | None = None, class_id: int | None = None
) -> Array:
    """Who finds what, and who is right.

    Args:
        cnn_mask, vit_mask: (H, W) uint8: 0, 1..C.
        target: (H, W) uint8 ground truth with 255 for what is not scored; without it nobody is
            right or wrong.
        class_id: look at this class against the rest; None looks at all classes at once.

    Returns:
        (H, W) uint8, keys of `AGREEMENT_NAMES`.

    Raises:
        ShapeError: the shapes differ; the message gives them.
    """
    shapes = {array.shape for array in (cnn_mask, vit_mask, target) if array is not None}
    if len(shapes) != 1:
        raise ShapeError(f"masks and ground truth are {sorted(shapes)}; they must be the same (H, W)")
    cnn, vit = (_alone(mask, class_id) for mask in (cnn_mask, vit_mask))
    by_cnn, by_vit = cnn != BACKGROUND, vit != BACKGROUND
    if target is None:
        found = np.select(
            [by_cnn & by_vit & (cnn != vit), by_cnn & by_vit, by_cnn, by_vit],
            [BOTH_DIFFERENT, BOTH, ONLY_CNN, ONLY_VIT],
            NEITHER,
        )
        return found.astype(np.uint8)
    truth = _alone(target, class_id)
    cnn_right, vit_right = by_cnn & (cnn == truth), by_vit & (vit == truth)
    found = np.select(
        [
            target == IGNORE_INDEX,
            cnn_right & vit_right,
            cnn_right,
            vit_right,
            by_cnn & by_vit,
            by_cnn,
            by_vit,
            truth != BACKGROUND,
        ],
        [
            IGNORE_INDEX,
            BOTH_RIGHT,
            ONLY_CNN_RIGHT,
            ONLY_VIT_RIGHT,
            BOTH_WRONG,
            ONLY_CNN_WRONG,
            ONLY_VIT_WRONG,
            NEITHER_WRONG,
        ],
        NEITHER,
    )
    return found.astype(np.uint8)


@cache
def agreement_colours() -> Array:
    """(256, 4) uint8 RGBA for `disagreement_map`; where neither finds anything is clear. Read-only."""
    table = np.zeros((256, 4), np.uint8)
    for found, rgb in _RGB.items():
        table[found] = (*rgb, 255)
    table[IGNORE_INDEX] = (224, 224, 224, 170)
    table.setflags(write=False)
    return table


def _alone(mask: Array, class_id: int | None) -> Array:
    return mask if class_id is None else np.where(mask == class_id, mask, np.uint8(BACKGROUND))
