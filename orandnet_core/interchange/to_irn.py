"""CAMs in the way of IRN and its successors: `{keys, cam, high_res}` as a pickled dict in a `.npy`."""

import io

import numpy as np

from orandnet_core.array_files import write_atomically
from orandnet_core.datasets.image_ids import path_below
from orandnet_core.interchange.exporting import CamOf, Export
from orandnet_core.store import resize_maps, stored_hw

__all__ = ["IrnExport"]


class IrnExport:
    """`cams/ID.npy` with keys (K,) int64 from 0, cam (K, h4, w4) and high_res (K, H, W) float32.

    Args:
        to: where to.
        cam_of: maps (K, H, W) in [0, 1] and class ids (K,) from 1 by image id.
    """

    def __init__(self, to: Export, cam_of: CamOf):
        self._to, self._cam_of = to, cam_of

    def add(self, image_id: str) -> None:
        """Write an image; DataError where it has no maps."""
        cam, class_ids = self._cam_of(image_id)
        content = {
            "keys": np.asarray(class_ids, np.int64) - 1,
            "cam": resize_maps(cam, stored_hw(cam.shape[1:])),
            "high_res": np.asarray(cam, np.float32),
        }
        file = io.BytesIO()
        np.save(file, content, allow_pickle=True)
        write_atomically(path_below(self._to.out / "cams", image_id, ".npy"), file.getbuffer())

    def finish(self) -> None:
        """Write the class names in the order of the keys."""
        names = "".join(f"{name}\n" for name in self._to.dataset.class_names)
        write_atomically(self._to.out / "classes.txt", names.encode())
