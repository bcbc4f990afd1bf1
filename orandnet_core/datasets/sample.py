"""The built-in procedural sample as a data set."""

from collections.abc import Callable
from pathlib import Path

from orandnet_core.datasets.base import Dataset
from orandnet_core.datasets.voc import voc12
from orandnet_core.scenes import is_sample, make_scenes


def scenes(
    root: Path | str,
    *,
    images: int = 240,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Open the sample, drawing it first where it is absent.

    A sample that is there is opened as it is, whatever `images` and `seed` say.

    Args:
        root: its folder; see `orandnet_core.scenes.make_scenes` for what it holds.
        images, seed, progress: for drawing.

    Raises:
        DataError: the folder holds something else.
    """
    root = Path(root)
    if not is_sample(root):
        make_scenes(root, images=images, seed=seed, progress=progress)
    return voc12(root, name="scenes")
