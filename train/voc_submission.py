"""Predictions in the layout that the evaluation server of PASCAL VOC 2012 takes."""

import tarfile
from collections.abc import Sequence
from pathlib import Path

from orandnet_core.array_files import replacing
from orandnet_core.errors import ConfigError, StoreError
from orandnet_core.mask_store import MaskStore

__all__ = ["COMPETITIONS", "write_submission"]

# 5: trained on VOC's own training images alone; 6: on anything but the test images.
COMPETITIONS = ("comp5", "comp6")


def write_submission(
    path: Path, store: MaskStore, image_ids: Sequence[str], competition: str = "comp6", split: str = "test"
) -> int:
    """Pack predictions as `results/VOC2012/Segmentation/<competition>_<split>_cls/<image id>.png`.

    The same predictions give the same file, byte for byte but for the time in its header.

    Args:
        path: a `.tgz` to write; its folder is made.
        store: the predictions.
        image_ids: all images of the split.

    Returns:
        How many were packed.

    Raises:
        ConfigError: another competition.
        StoreError: an image has no prediction: the server refuses what is not complete.
    """
    if competition not in COMPETITIONS:
        raise ConfigError(f"competition {competition!r}: choose one of {COMPETITIONS}")
    if lacking := [image_id for image_id in image_ids if not store.path_of(image_id).is_file()]:
        raise StoreError(
            f"{store.root}: no prediction of {lacking[0]} and {len(lacking) - 1} more; the server takes all "
            f"{len(image_ids)} or none: run `python -m train evaluate` again"
        )
    inside = f"results/VOC2012/Segmentation/{competition}_{split}_cls"
    with replacing(path) as partial, tarfile.open(partial, "w:gz") as archive:
        for image_id in sorted(image_ids):
            archive.add(store.path_of(image_id), f"{inside}/{image_id}.png", filter=_anonymous)
    return len(image_ids)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without who made it and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
