"""CAM files of a whole data set: small, atomic, validated, never pickled.

A store is a folder:

    card.json           where the CAMs come from: source, data set, network, method, weights
    index.txt           a line an image, only ever appended to: content hash, tab, image id
    3f/2007_000032.npz  `cam` float16 (K, h4, w4), `class_ids` int64 (K,), `size_hw` int64 (2,)

The two hex digits are the start of the id's SHA-256, which spreads 100,000 images over 256
folders. What a store holds is answered from the index, which is read once and afterwards
only where it grew; folders are never listed. An image counts as there only after its file was
renamed into place and its line appended, so several processes may fill one store, and a
process that is killed leaves nothing half-written behind that a reader would see.

Shape legend: K classes present in an image, (H, W) its size, (h4, w4) a quarter of it, rounded up.
"""

import hashlib
import json
import os
import re
import threading
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import cv2
import numpy as np

from orandnet_core.array_files import write_atomically
from orandnet_core.errors import RangeError, ShapeError, StoreError

STRIDE = 4
MAX_PIXELS = 100_000_000
MAX_CLASSES = 65_536
MAX_CELLS = 2**28  # of one image's stored CAMs: half a gigabyte
_NPY_HEADER_BYTES = 4096
_RANGE_TOLERANCE = 1e-4
_UNSAFE = re.compile(r'[\x00-\x1f\x7f%/\\:*?"<>|]')
_INDEX_LINE = re.compile(r"([0-9a-f]{12})\t([^\t]+)")


@dataclass(frozen=True)
class StoredCam:
    """The CAMs of one image as they are stored.

    Attributes:
        cam: (K, h4, w4) float32 in [0, 1].
        class_ids: (K,) int64, ascending, from 1.
        size_hw: height and width of the image in pixels.
    """

    cam: np.ndarray
    class_ids: np.ndarray
    size_hw: tuple[int, int]

    def full_size(self) -> np.ndarray:
        """(K, H, W) float32 in [0, 1], bilinear with `align_corners=False`."""
        return self.in_cells(1)

    def in_cells(self, cell_px: int) -> np.ndarray:
        """(K, h, w) float32 in [0, 1], a cell for so many pixels; those of `STRIDE` as they are stored."""
        if cell_px == STRIDE:
            return self.cam
        return resize_maps(self.cam, (-(-self.size_hw[0] // cell_px), -(-self.size_hw[1] // cell_px)))


class CamStore:
    """The CAMs of one source over a data set; safe to share between threads and processes.

    Args:
        root: the store's folder; it is made by the first write.
    """

    def __init__(self, root: Path | str):
        self.root = Path(root)
        self._lock = threading.Lock()
        self._digest_by_id: dict[str, str] = {}
        self._sorted_ids: tuple[str, ...] | None = None
        self._index_stamp: tuple[int, ...] | None = None  # device, inode, size and time of change, when read
        self._index_read_bytes, self._last_line = 0, b""
        self._fingerprint: tuple[object, str] = (None, "")

    def __repr__(self) -> str:
        return f"CamStore({str(self.root)!r})"

    def __contains__(self, image_id: object) -> bool:
        with self._lock:
            return image_id in self._index()

    def __len__(self) -> int:
        with self._lock:
            return len(self._index())

    def image_ids(self) -> tuple[str, ...]:
        """The ids of all images that have CAMs, sorted."""
        with self._lock:
            index = self._index()
            if self._sorted_ids is None:
                self._sorted_ids = tuple(sorted(index))
            return self._sorted_ids

    @property
    def card(self) -> dict[str, Any]:
        """What made these CAMs, from card.json.

        Raises:
            StoreError: there is no card, or it is no JSON object.
        """
        path = self.root / "card.json"
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StoreError(
                f"{path}: no such file, so this is no CAM store; make one with `python -m train cams`"
            ) from None
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{path}: not readable as JSON ({error}); delete the store and make it anew"
            ) from None
        if not isinstance(card, dict):
            raise StoreError(f"{path}: holds {type(card).__name__} instead of an object; make the store anew")
        return card

    def write_card(self, card: dict[str, Any]) -> None:
        """Replace card.json, atomically; StoreError where the disk refuses."""
        write_atomically(self.root / "card.json", json.dumps(card, indent=2, sort_keys=True).encode())

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with the card or with any image's CAM."""
        card = json.dumps(self.card, sort_keys=True)
        with self._lock:
            index = self._index()
            state = (card, self._index_stamp)
            if self._fingerprint[0] != state:
                digest = hashlib.sha256(card.encode())
                for image_id in sorted(index):
                    digest.update(f"{index[image_id]}\t{image_id}\n".encode())
                self._fingerprint = (state, digest.hexdigest()[:12])
            return self._fingerprint[1]

    def fingerprint_of(self, image_ids: Iterable[str]) -> str:
        """Twelve hex digits that change with the CAM of any of these images, whatever else there is."""
        with self._lock:
            index = self._index()
            lines = [f"{index.get(image_id, 'none')}\t{image_id}\n" for image_id in sorted(image_ids)]
        return hashlib.sha256("".join(lines).encode()).hexdigest()[:12]

    def write(self, image_id: str, cam: np.ndarray, class_ids: np.ndarray, size_hw: tuple[int, int]) -> None:
        """Store an image's CAMs, in place of those it may have had.

        Args:
            image_id: any text without line breaks; it becomes the file's name.
            cam: (K, H, W) or (K, h4, w4) in [0, 1]; a map of full size is averaged down.
            class_ids: (K,) ascending, from 1.
            size_hw: height and width of the image in pixels.

        Raises:
            ShapeError: the shapes do not fit together.
            RangeError: a value is not a number or outside [0, 1], or ids are out of order.
            StoreError: the disk refuses the file.
        """
        path = self._path_of(image_id)
        size_hw = int(size_hw[0]), int(size_hw[1])
        cam, class_ids = np.asarray(cam, np.float32), np.asarray(class_ids)
        if cam.ndim == 3 and cam.shape[1:] == size_hw:
            cam = resize_maps(cam, stored_hw(size_hw))
        _check(cam, class_ids, size_hw, f"CAM of {image_id}")
        buffer = BytesIO()
        np.savez_compressed(
            buffer,
            cam=cam.clip(0, 1).astype(np.float16),
            class_ids=class_ids.astype(np.int64),
            size_hw=np.array(size_hw, np.int64),
        )
        content = buffer.getvalue()
        write_atomically(path, content)
        self._append(_index_line(content, image_id))

    def read(self, image_id: str) -> StoredCam:
        """Load and check an image's CAMs.

        Raises:
            StoreError: there are none, or the file is damaged or holds something else.
        """
        path = self._path_of(image_id)
        try:
            return _read_npz(path)
        except FileNotFoundError:
            raise StoreError(
                f"{self.root}: no CAM of {image_id!r} ({path.name} is not there); "
                "`python -m train cams` makes what is missing"
            ) from None

    def validates(self, image_id: str, class_ids: np.ndarray | None = None) -> bool:
        """Whether an image is there, readable, and made for these classes.

        A resumed job skips what validates; a damaged file is made anew.
        """
        if image_id not in self:
            return False
        try:
            stored = self.read(image_id)
        except StoreError:
            return False
        return class_ids is None or np.array_equal(stored.class_ids, class_ids)

    def rebuild_index(self) -> list[str]:
        """Write the index anew from the files, for when it was lost; with no writer at work.

        Returns:
            The damaged files, which are left out, each with what is wrong with it.
        """
        lines, damaged = [], []
        for path in sorted(self.root.glob("[0-9a-f][0-9a-f]/*.npz")):
            try:
                _read_npz(path)
            except StoreError as error:
                damaged.append(str(error))
            else:
                lines.append(_index_line(path.read_bytes(), unquote(path.stem)))
        with self._lock:
            write_atomically(self.root / "index.txt", "".join(lines).encode())
            self._index_stamp = None
        return damaged

    def _path_of(self, image_id: str) -> Path:
        name = _quoted(image_id) + ".npz"
        if not image_id or len(name.encode()) > 255:
            raise StoreError(f"image id {image_id!r} makes no file name: give it 1 to 250 bytes")
        return self.root / hashlib.sha256(image_id.encode()).hexdigest()[:2] / name

    def _append(self, line: str) -> None:
        """One write to a file opened for appending: lines of several processes never mix."""
        path = self.root / "index.txt"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error})") from None

    def _index(self) -> dict[str, str]:
        """Content hashes by image id, brought up to date; call it with the lock held."""
        path = self.root / "index.txt"
        try:
            stat = path.stat()
            stamp = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if stamp != self._index_stamp:
                with path.open("rb") as file:
                    self._read_on(file, stamp)
        except FileNotFoundError:
            self._forget_index()
        return self._digest_by_id

    def _read_on(self, index: BinaryIO, stamp: tuple[int, ...]) -> None:
        """Read what was appended since; all of it where the index is another than before."""
        same_file = self._index_stamp is not None and self._index_stamp[:2] == stamp[:2]
        # A store that was made anew may get the old inode: what was read last must still be in its place.
        index.seek(self._index_read_bytes - len(self._last_line))
        if not same_file or index.read(len(self._last_line)) != self._last_line:
            self._forget_index()
            index.seek(0)
        grown = index.read()
        whole = grown[: grown.rfind(b"\n") + 1]  # a line may still be on its way
        for line in whole.decode("utf-8", "replace").split("\n"):
            if match := _INDEX_LINE.fullmatch(line):
                self._digest_by_id[unquote(match[2])] = match[1]
        if whole:
            self._last_line = whole[whole.rfind(b"\n", 0, -1) + 1 :]
        self._index_read_bytes += len(whole)
        self._index_stamp, self._sorted_ids = stamp, None

    def _forget_index(self) -> None:
        self._digest_by_id, self._sorted_ids = {}, None
        self._index_stamp, self._index_read_bytes, self._last_line = None, 0, b""


def stored_hw(size_hw: tuple[int, int]) -> tuple[int, int]:
    """The size (h4, w4) at which an image's CAMs are stored: a quarter, rounded up."""
    return -(-size_hw[0] // STRIDE), -(-size_hw[1] // STRIDE)


def resize_maps(maps: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Maps (K, h, w) float32 at another size: averaged along a side that shrinks, else bilinear.

    Pixel centres stay where they are (`align_corners=False`).
    """
    # One after the other: where a side grows, OpenCV's averaging repeats values.
    least_hw = min(size_hw[0], maps.shape[1]), min(size_hw[1], maps.shape[2])
    if least_hw != maps.shape[1:]:
        maps = _resized(maps, least_hw, cv2.INTER_AREA)
    return _resized(maps, size_hw, cv2.INTER_LINEAR)


def _resized(maps: np.ndarray, size_hw: tuple[int, int], rule: int) -> np.ndarray:
    height, width = size_hw
    resized = np.empty((len(maps), height, width), np.float32)
    for source, target in zip(maps, resized, strict=True):
        cv2.resize(np.ascontiguousarray(source, np.float32), (width, height), dst=target, interpolation=rule)
    return resized


def _check(cam: np.ndarray, class_ids: np.ndarray, size_hw: tuple[int, int], what: str) -> None:
    height, width = size_hw
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise RangeError(f"{what}: size_hw {size_hw}; from 1 to {MAX_PIXELS:,} pixels")
    if class_ids.ndim != 1 or class_ids.dtype.kind not in "iu":
        raise ShapeError(
            f"{what}: class_ids must be (K,) integers, got {class_ids.shape} of {class_ids.dtype}"
        )
    expected = (len(class_ids), *stored_hw(size_hw))
    if np.prod(expected, dtype=np.int64) > MAX_CELLS:
        raise RangeError(f"{what}: {expected} is more than {MAX_CELLS:,} values; store fewer classes")
    if cam.shape != expected:
        raise ShapeError(
            f"{what}: shape {cam.shape}; for {len(class_ids)} classes and size_hw {size_hw} "
            f"it must be {expected} or {(len(class_ids), height, width)}"
        )
    if len(class_ids) and (
        class_ids[0] < 1 or class_ids[-1] > MAX_CLASSES or (np.diff(class_ids) <= 0).any()
    ):
        raise RangeError(f"{what}: class_ids {class_ids.tolist()} must ascend, within 1 to {MAX_CLASSES}")
    # Written so that not-a-number fails as well.
    if cam.size and not (cam.min() >= -_RANGE_TOLERANCE and cam.max() <= 1 + _RANGE_TOLERANCE):
        raise RangeError(f"{what}: values from {cam.min():g} to {cam.max():g}; they must lie in [0, 1]")


def _read_npz(path: Path) -> StoredCam:
    """Read without trusting: no pickle, nothing unpacked beyond the size that the CAM must have."""
    try:
        with zipfile.ZipFile(path) as archive:
            size_hw = _read_member(archive, "size_hw", "<i8", (2,))
            class_ids = _read_member(archive, "class_ids", "<i8", (None,), MAX_CLASSES)
            size_hw = int(size_hw[0]), int(size_hw[1])
            if not (0 < size_hw[0] <= MAX_PIXELS and 0 < size_hw[1] <= MAX_PIXELS // size_hw[0]):
                raise ValueError(f"size_hw {size_hw}")
            cam = _read_member(archive, "cam", "<f2", (len(class_ids), *stored_hw(size_hw))).astype(
                np.float32
            )
        _check(cam, class_ids, size_hw, "CAM")
    except FileNotFoundError:
        raise
    # zipfile answers damage with many kinds, RuntimeError for encryption among them.
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(
            f"{path}: damaged or no CAM file ({error}); `python -m train cams` makes it again"
        ) from None
    return StoredCam(cam, class_ids, size_hw)


def _read_member(
    archive: zipfile.ZipFile, name: str, dtype: str, shape: tuple[int | None, ...], longest: int = 2
) -> np.ndarray:
    """One array of an npz; None in `shape` is any length up to `longest`."""
    count = int(np.prod([longest if side is None else side for side in shape], dtype=np.int64))
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed in an unknown way")
    if count > MAX_CELLS or member.file_size > count * np.dtype(dtype).itemsize + _NPY_HEADER_BYTES:
        raise ValueError(f"{name} claims {member.file_size:,} bytes")
    file = BytesIO(archive.read(member))
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError(f"{name} is not in npy format 1.0")
    found_shape, fortran_order, found_dtype = np.lib.format.read_array_header_1_0(file)
    fits = len(found_shape) == len(shape) and all(
        found == side if side is not None else found <= longest
        for found, side in zip(found_shape, shape, strict=True)
    )
    if not fits or fortran_order or found_dtype != np.dtype(dtype):
        raise ValueError(f"{name} is {found_dtype} {found_shape}, expected {dtype} {shape}")
    return np.frombuffer(file.read(), found_dtype).reshape(found_shape).copy()


def _index_line(content: bytes, image_id: str) -> str:
    """A line break on both sides: a line torn by a full disk spoils no other."""
    return f"\n{hashlib.sha256(content).hexdigest()[:12]}\t{_quoted(image_id)}\n"


def _quoted(image_id: str) -> str:
    """An image id as a file name and as a word in the index; `urllib.parse.unquote` undoes it."""
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", image_id)
