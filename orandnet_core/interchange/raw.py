"""What a foreign file holds, before anyone has said what its numbers mean."""

from dataclasses import dataclass

import numpy as np

__all__ = ["BACKGROUND_NAME", "FORMATS", "Key", "RawMaps"]

Key = int | str

BACKGROUND_NAME = "background"

# By the names that `--format` takes: what it is, and who writes it so.
FORMATS = {
    "keys": "a dict with `keys` and a stack of maps (IRN, ORANDNet, AMN, CLIP-ES)",
    "classes": "a dict from class to map (MCTformer, SEAM, PSA, their CRF)",
    "channels": "a stack of maps, a channel a class (CRF outputs, bare arrays)",
    "png": "an 8- or 16-bit PNG for each class of an image",
}


@dataclass(frozen=True, eq=False)
class RawMaps:
    """The maps of one image as a file has them.

    Attributes:
        maps: (N, h, w) of any real type; values as they stand in the file.
        keys: what the file calls each map: N numbers or names; None where channels have no names.
        shows: the layout in a few words, such as `high_res (2, 366, 500) float32`.
    """

    maps: np.ndarray
    keys: tuple[Key, ...] | None
    shows: str
