from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pages.components.thumbnails import thumbnail


@pytest.mark.parametrize(
    ("size_hw", "shown_hw"), [((50, 200), (60, 240)), ((300, 100), (180, 60)), ((6, 8), (180, 240))]
)
def test_the_whole_picture_lies_in_the_middle_of_one_shape(size_hw, shown_hw):
    file = thumbnail(np.full((*size_hw, 3), 200, np.uint8), 240)
    canvas = np.asarray(Image.open(BytesIO(file)).convert("RGBA"))
    assert canvas.shape == (180, 240, 4)
    rows, columns = (np.flatnonzero((canvas[..., 3] == 255).any(axis=axis)) for axis in (1, 0))
    assert (len(rows), len(columns)) == shown_hw
    assert abs(rows[0] - (179 - rows[-1])) <= 1
    assert abs(columns[0] - (239 - columns[-1])) <= 1
