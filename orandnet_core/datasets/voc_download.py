"""Download VOC 2012 and SBD's masks into devkit layout, for people on the open internet.

- VOC 2012 trainval: Everingham et al., http://host.robots.ox.ac.uk/pascal/VOC/voc2012/
- `SegmentationClassAug`: the masks of SBD (Hariharan et al., "Semantic contours from inverse
  detectors", ICCV 2011) merged with VOC's and coded as VOC's, as DeepLab's ports and the WSSS
  systems since use them. `train_aug` is all of them but `val`: 10,582 images.
"""

import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orandnet_core.array_files import replacing
from orandnet_core.datasets.transfer import Remote, ask_for_room, fetch
from orandnet_core.errors import DataError

Progress = Callable[[str, int, int | None, str], None]

_MASK_NAME = re.compile(r"\d{4}_\d{6}\.png")
_LARGEST_MASK_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One archive and what it must unpack to.

    Attributes:
        unpacked_bytes: what the disk needs for it.
        files: how many images (VOC) or masks (SBD) it must bring.
    """

    name: str
    remote: Remote
    unpacked_bytes: int
    files: int


VOC = Archive(
    name="VOCtrainval_11-May-2012.tar",
    remote=Remote(
        urls=(
            "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            "https://data.pjreddie.com/files/VOCtrainval_11-May-2012.tar",
        ),
        size_bytes=1_999_639_040,
        md5="6cd6e144f989b92b3379bac3b3de84fd",
    ),
    unpacked_bytes=2_100_000_000,
    files=17_125,
)
SBD = Archive(
    name="SegmentationClassAug.zip",
    remote=Remote(
        urls=(
            "https://www.dropbox.com/s/oeu149j8qtbs1x0/SegmentationClassAug.zip?dl=1",
            "http://cs.jhu.edu/~cxliu/data/SegmentationClassAug.zip",
            "http://vllab1.ucmerced.edu/~whung/adv-semi-seg/SegmentationClassAug.zip",
        ),
    ),
    unpacked_bytes=100_000_000,
    files=12_031,
)


def download_voc12(
    target: Path | str,
    progress: Progress | None = None,
    *,
    voc: Archive = VOC,
    sbd: Archive | None = SBD,
    keep_archives: bool = False,
) -> Path:
    """Fetch, check and unpack VOC 2012 and SBD's masks; what is there already is kept.

    Every step ends with one rename: an interrupted call leaves whole steps and `.part` files
    that the next call goes on with.

    Args:
        target: the folder to put `VOC2012` into.
        progress: called with (what is under way, done, total or None, unit): "B" while an archive
            comes, "file" while it is unpacked.
        voc, sbd: the archives; without `sbd` VOC alone.
        keep_archives: leave the archives in `target` afterwards.

    Returns:
        `target/VOC2012`, which `orandnet_core.datasets.voc12` opens.

    Raises:
        DataError: an archive cannot be had or is not what it should be, or the disk is too small.
    """
    target = Path(target)
    root = target / "VOC2012"
    try:
        target.mkdir(parents=True, exist_ok=True)
        if root.exists() and not (root / "ImageSets" / "Segmentation" / "val.txt").is_file():
            raise DataError(f"{root}: is there, but is no VOC 2012; move it away or choose another folder")
        if not root.is_dir():
            _get(voc, target, progress, lambda path: _unpack_voc(path, root, voc, progress), keep_archives)
        if sbd is not None:
            if not (root / "SegmentationClassAug").is_dir():
                _get(
                    sbd, target, progress, lambda path: _unpack_sbd(path, root, sbd, progress), keep_archives
                )
            _write_train_aug(root)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error})") from error
    return root


def _get(
    archive: Archive, target: Path, progress: Progress | None, unpack: Callable[[Path], None], keep: bool
) -> None:
    path = target / archive.name
    to_come = 0 if path.is_file() else archive.remote.size_bytes or 0
    ask_for_room(target, to_come + archive.unpacked_bytes, f"{archive.name}, downloaded and unpacked,")
    tell = None if progress is None else lambda done, total: progress(archive.name, done, total, "B")
    fetch(archive.remote, path, tell)
    unpack(path)
    if not keep:
        path.unlink()


def _unpack_voc(path: Path, root: Path, archive: Archive, progress: Progress | None) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise DataError("this Python cannot unpack archives safely; use 3.11.4 or later")
    with _beside(root) as partial_dir:
        done = 0
        try:
            with tarfile.open(path) as tar:
                for member in tar:
                    # The filter refuses absolute paths, paths that lead out, links out and devices.
                    tar.extract(member, partial_dir, filter="data")
                    done += member.name.endswith(".jpg")
                    if progress and member.name.endswith(".jpg"):
                        progress("unpacking VOC 2012", done, archive.files, "file")
        except (tarfile.TarError, EOFError) as error:
            raise DataError(f"{path}: not a tar archive that can be unpacked ({error}); remove it") from None
        unpacked = partial_dir / "VOCdevkit" / "VOC2012"
        images = len(list((unpacked / "JPEGImages").glob("*.jpg")))
        if images != archive.files:
            raise DataError(f"{path}: brings {images:,} images instead of {archive.files:,}; remove it")
        os.replace(unpacked, root)


def _unpack_sbd(path: Path, root: Path, archive: Archive, progress: Progress | None) -> None:
    with _beside(root / "SegmentationClassAug") as partial_dir:
        done = 0
        try:
            with zipfile.ZipFile(path) as masks:
                for member in _masks_in(masks, path):
                    # Only the name is taken from the archive, so no path in it can lead anywhere.
                    with masks.open(member) as source, (partial_dir / _name_of(member)).open("xb") as mask:
                        shutil.copyfileobj(source, mask)
                    done += 1
                    if progress:
                        progress("unpacking SBD's masks", done, archive.files, "file")
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise DataError(f"{path}: not a zip archive that can be unpacked ({error}); remove it") from None
        if done != archive.files:
            raise DataError(f"{path}: brings {done:,} masks instead of {archive.files:,}; remove it")
        os.replace(partial_dir, root / "SegmentationClassAug")


def _masks_in(masks: zipfile.ZipFile, path: Path) -> Iterator[zipfile.ZipInfo]:
    seen = set()
    for member in masks.infolist():
        inside = PurePosixPath(member.filename)
        if member.is_dir() or "__MACOSX" in inside.parts or inside.name.startswith("."):
            continue
        strange = (
            inside.is_absolute()
            or ".." in inside.parts
            or stat.S_ISLNK(member.external_attr >> 16)
            or not _MASK_NAME.fullmatch(inside.name)
            or member.file_size > _LARGEST_MASK_BYTES
            or inside.name in seen
        )
        if strange:
            raise DataError(f"{path}: holds {member.filename!r}, which is no mask of SBD; remove the archive")
        seen.add(inside.name)
        yield member


def _name_of(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename).name


def _write_train_aug(root: Path) -> None:
    splits = root / "ImageSets" / "Segmentation"
    path = splits / "train_aug.txt"
    if path.is_file():
        return
    held_out = set((splits / "val.txt").read_text().split())
    masks = {mask.stem for mask in (root / "SegmentationClassAug").glob("*.png")}
    with replacing(path) as partial:
        partial.write_text("".join(f"{image_id}\n" for image_id in sorted(masks - held_out)))


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    partial_dir = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        partial_dir.chmod(0o755)
        yield partial_dir
    finally:
        shutil.rmtree(partial_dir, ignore_errors=True)
