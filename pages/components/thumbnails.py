"""Pictures of a gallery, all of one shape, so that what is written below them is in line."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

__all__ = ["thumbnail"]


def thumbnail(picture: np.ndarray, width_px: int) -> bytes:
    """A file of a whole (H, W, 3) uint8 picture, in the middle of a transparent 4:3."""
    canvas = ImageOps.pad(
        Image.fromarray(picture).convert("RGBA"), (width_px, width_px * 3 // 4), color=(0, 0, 0, 0)
    )
    file = BytesIO()
    canvas.save(file, "WEBP", quality=85)
    return file.getvalue()
