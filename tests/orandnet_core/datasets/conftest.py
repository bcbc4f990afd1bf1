"""Data sets small enough to be made for one test, and a web server that can be told to misbehave."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orandnet_core.labels import voc_palette


def write_image(path: Path, size_wh: tuple[int, int] = (12, 8), seed: int = 0) -> None:
    """A photograph of soft noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size_wh
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def write_mask(path: Path, labels: tuple[int, ...] = (1,), size_wh: tuple[int, int] = (12, 8)) -> None:
    """A palette mask: a column of each label, background elsewhere, a last column of 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size_wh
    mask = np.zeros((height, width), np.uint8)
    for column, label in enumerate(labels):
        mask[:, column] = label
    mask[:, -1] = 255
    picture = Image.fromarray(mask, mode="P")
    picture.putpalette(voc_palette().tobytes())
    picture.save(path)


@pytest.fixture
def devkit(tmp_path) -> Path:
    """A VOC devkit of VOC's classes: a, b in train with masks; c in val with one; d in train_aug without."""
    root = tmp_path / "VOC2012"
    splits = root / "ImageSets" / "Segmentation"
    splits.mkdir(parents=True)
    for name, ids in {"train": "a b", "train_aug": "a b d", "val": "c"}.items():
        (splits / f"{name}.txt").write_text("\n".join(ids.split()) + "\n")
    for seed, image_id in enumerate("abcd"):
        write_image(root / "JPEGImages" / f"{image_id}.jpg", seed=seed)
    write_mask(root / "SegmentationClass" / "a.png", (1, 15))
    write_mask(root / "SegmentationClass" / "b.png", (8,))
    write_mask(root / "SegmentationClass" / "c.png", (20,))
    annotations = root / "Annotations"
    annotations.mkdir()
    (annotations / "d.xml").write_text(
        "<annotation><object><name>cat</name></object><object><name>dog</name></object></annotation>"
    )
    return root


@pytest.fixture
def own_folder(tmp_path) -> Path:
    """A folder of one's own: classes ant, bee; x, y, z with labels, masks for x and y."""
    root = tmp_path / "own"
    for seed, image_id in enumerate("xyz"):
        write_image(root / "images" / f"{image_id}.jpg", seed=seed)
    write_mask(root / "masks" / "x.png", (1,))
    write_mask(root / "masks" / "y.png", (1, 2))
    (root / "labels.csv").write_text("image_id,classes,split\nx,ant,train\ny,ant;bee,val\nz,bee,train\n")
    return root


class Web(ThreadingHTTPServer):
    """Serves bytes by path, as faulty as a test asks.

    Attributes:
        files: content by path.
        ranges: whether it can resume.
        stamp: the ETag it gives, or None.
        break_after: for each coming reply, after how many bytes of its body the connection is cut.
        replies: for each coming request, a status to give instead of the file (None serves it).
        requests: (path, headers) of every request.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.ranges, self.stamp, self.content_type = True, '"one"', "application/octet-stream"
        self.break_after: list[int] = []
        self.replies: list[int | None] = []
        self.requests: list[tuple[str, dict[str, str]]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def ranges_asked(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        web = self.server
        web.requests.append((self.path, dict(self.headers)))
        status = web.replies.pop(0) if web.replies else None
        content = web.files.get(self.path)
        if status or content is None:
            self.send_error(status or 404)
            return
        start = self._start(content)
        if start is None:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        resumed = "Range" in self.headers and start > 0
        self.send_response(206 if resumed else 200)
        if resumed:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Content-Type", web.content_type)
        if web.stamp:
            self.send_header("ETag", web.stamp)
        self.end_headers()
        body = content[start:]
        if web.break_after:
            body = body[: web.break_after.pop(0)]
        with contextlib.suppress(ConnectionError):  # the client may have hung up, as some tests have it do
            self.wfile.write(body)
        self.close_connection = True

    def _start(self, content: bytes) -> int | None:
        asked = self.headers.get("Range")
        changed = self.headers.get("If-Range", self.server.stamp) != self.server.stamp
        if asked is None or not self.server.ranges or changed:
            return 0
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        return start if start < len(content) else None

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def make_image() -> Callable[..., None]:
    return write_image


@pytest.fixture
def make_mask() -> Callable[..., None]:
    return write_mask
