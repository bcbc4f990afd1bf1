"""Class names and the palette of VOC, against what VOC's own masks carry."""

import numpy as np
import pytest
from PIL import Image

from orandnet_core.labels import BACKGROUND, IGNORE_INDEX, VOC_CLASSES, class_name, voc_palette

# The first entries as the devkit's VOClabelcolormap.m prints them.
KNOWN = {
    0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 5: (128, 0, 128),
    6: (0, 128, 128), 7: (128, 128, 128), 8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128),
    255: (224, 224, 192),
}  # fmt: skip


@pytest.mark.parametrize("label", KNOWN)
def test_palette(label):
    palette = voc_palette()
    assert (palette.shape, palette.dtype) == ((256, 3), np.uint8)
    assert tuple(palette[label].tolist()) == KNOWN[label]


def test_no_two_labels_share_a_colour():
    assert len(np.unique(voc_palette(), axis=0)) == 256


def test_palette_of_a_real_mask(voc):
    with Image.open(voc.mask_path_of(voc.image_ids("val")[0])) as mask:
        real = np.array(mask.getpalette(), np.uint8).reshape(-1, 3)
    np.testing.assert_array_equal(real[:21], voc_palette()[:21])


def test_names():
    assert len(VOC_CLASSES) == 20
    assert list(VOC_CLASSES) == sorted(VOC_CLASSES)
    assert class_name(VOC_CLASSES, BACKGROUND) == "background"
    assert class_name(VOC_CLASSES, IGNORE_INDEX) == "ignore"
    assert (class_name(VOC_CLASSES, 1), class_name(VOC_CLASSES, 20)) == ("aeroplane", "tvmonitor")
