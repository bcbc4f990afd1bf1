"""Class names, the two special labels, and the VOC palette."""

import numpy as np

BACKGROUND = 0
IGNORE_INDEX = 255

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip


def voc_palette() -> np.ndarray:
    """The palette of PASCAL VOC's masks: label bits spread over the three colours' bits.

    Returns:
        (256, 3) uint8 RGB; row 0 is black, row 255 the ivory of ignored pixels.
    """
    palette = np.zeros((256, 3), np.uint8)
    for label in range(256):
        bits = label
        for shift in range(7, -1, -1):
            for channel in range(3):
                palette[label, channel] |= ((bits >> channel) & 1) << shift
            bits >>= 3
    return palette


def class_name(class_names: tuple[str, ...], label: int) -> str:
    """The name of a label in a mask: `class_names[label - 1]`, or the special label's own."""
    if label == BACKGROUND:
        return "background"
    if label == IGNORE_INDEX:
        return "ignore"
    return class_names[label - 1]
