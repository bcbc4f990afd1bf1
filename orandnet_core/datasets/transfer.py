"""Fetch a large file over HTTP: resumed after a break, checked, and whole or not there at all.

`requests` does the talking rather than the standard library: it brings its own certificates and
proxies as the environment sets them, and it comes with Streamlit anyway.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

from orandnet_core.errors import DataError

Progress = Callable[[int, int | None], None]

_BLOCK_BYTES = 1 << 17  # what a broken connection can lose
_LASTING_STATUS = frozenset({400, 401, 403, 404, 405, 410, 451})


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file on the net.

    Attributes:
        urls: where it lies; the first that works is taken.
        size_bytes: how long it is, where that is known.
        md5: 32 hex digits, where they are publicly known.
    """

    urls: tuple[str, ...]
    size_bytes: int | None = None
    md5: str | None = None


class _Refused(Exception):
    """This address will not give the file; the message says why."""


def fetch(
    remote: Remote,
    path: Path,
    progress: Progress | None = None,
    *,
    attempts: int = 5,
    timeout_s: float = 30.0,
    pause_s: float = 1.0,
) -> Path:
    """Download a file to `path`.

    What has come so far lies in `<path>.part`, and a later call goes on from there, if the server
    can and the file is still the same. The part is renamed when size and MD5 are right.

    Args:
        remote: addresses and what is known of the file.
        path: where it goes; if it is there, it is checked and kept.
        progress: called with (bytes so far, bytes in all or None).
        attempts: how often in a row a broken connection is tried again without a byte gained;
            the pause doubles each time.
        timeout_s: for the connection, and between two pieces of it.
        pause_s: before the first new attempt.

    Raises:
        DataError: no address gives the right file, or the disk is too small; the message gives the
            reason of each. What came so far stays unless it is wrong.
    """
    if path.is_file():
        wrong = _what_is_wrong(path, remote)
        if wrong is None:
            return path
        raise DataError(f"{path}: is there, but {wrong}; remove it to have it downloaded again")
    reasons = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for url in remote.urls:
            part = _Part(path, url, remote)
            resumed = part.size_bytes > 0
            try:
                _fill(part, progress, attempts, timeout_s, pause_s)
                wrong = _what_is_wrong(part.path, remote)
                if wrong and resumed:  # the beginning may have been of another file: once more, all of it
                    part.discard()
                    _fill(part, progress, attempts, timeout_s, pause_s)
                    wrong = _what_is_wrong(part.path, remote)
            except _Refused as error:
                reasons.append(f"{url}: {error}")
                continue
            if wrong is None:
                part.publish(path)
                return path
            part.discard()
            reasons.append(f"{url}: {wrong}")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error}); what came so far is kept") from error
    raise DataError(f"{path.name} cannot be downloaded:\n  " + "\n  ".join(reasons))


class _Part:
    """What has come so far, and which file on which server it is a part of."""

    def __init__(self, target: Path, url: str, remote: Remote):
        self.target_name = target.name
        self.path = target.with_name(target.name + ".part")
        self.url, self.remote = url, remote
        self._card_path = target.with_name(target.name + ".part.json")
        self.stamp = self._stamp_on_disk()
        if self.stamp is None and not remote.md5:
            self.discard()  # nothing tells whether the rest would belong to it

    def _stamp_on_disk(self) -> str | None:
        try:
            card = json.loads(self._card_path.read_text())
        except (OSError, ValueError):
            return None
        return card.get("stamp") if card.get("url") == self.url else None

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def remember(self, stamp: str | None) -> None:
        self.stamp = stamp
        self._card_path.write_text(json.dumps({"url": self.url, "stamp": stamp}))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._card_path.unlink(missing_ok=True)

    def publish(self, target: Path) -> None:
        self.path.replace(target)
        self._card_path.unlink(missing_ok=True)


def _fill(part: _Part, progress: Progress | None, attempts: int, timeout_s: float, pause_s: float) -> None:
    failures = 0
    while True:
        before = part.size_bytes
        try:
            if _stream(part, progress, timeout_s):
                return
            reason = "the connection ended early"
        except requests.HTTPError as error:
            reason = f"the server says {error.response.status_code} {error.response.reason}"
        except requests.RequestException as error:
            reason = f"no connection ({type(error).__name__})"
        failures = 0 if part.size_bytes > before else failures + 1
        if failures >= attempts:
            raise _Refused(f"{reason}, {attempts} times in a row; run the command again to go on")
        time.sleep(pause_s * 2**failures)


def _stream(part: _Part, progress: Progress | None, timeout_s: float) -> bool:
    """One request, appended to the part; True when all of the file is there."""
    start = part.size_bytes
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if part.stamp:
            headers["If-Range"] = part.stamp
    with requests.get(part.url, headers=headers, stream=True, timeout=timeout_s) as reply:
        if reply.status_code == 416:
            # Nothing is left after what we have: it is all there, or it is of another file.
            if start and _total(reply) == start:
                return True
            part.discard()
            return False
        _refuse(reply)
        resumed = reply.status_code == 206 and _range_start(reply) == start
        if not resumed:
            if start and reply.status_code == 206:
                raise _Refused("the server sent another piece than was asked for")
            start = 0  # the server cannot resume, or the file changed: it comes from the beginning
        total, expected = _total(reply), part.remote.size_bytes
        if total and expected and total != expected:
            raise _Refused(f"the server's file has {total:,} bytes instead of {expected:,}")
        ask_for_room(part.path.parent, (total or expected or 0) - start, f"the rest of {part.target_name}")
        part.remember(reply.headers.get("ETag") or reply.headers.get("Last-Modified"))
        with part.path.open("ab" if resumed else "wb") as file:
            done = start
            for block in reply.iter_content(_BLOCK_BYTES):
                file.write(block)
                done += len(block)
                if progress:
                    progress(done, total or expected)
    return done == total if total else True


def _refuse(reply: requests.Response) -> None:
    if reply.status_code in _LASTING_STATUS:
        raise _Refused(f"the server says {reply.status_code} {reply.reason}")
    reply.raise_for_status()
    if reply.headers.get("Content-Type", "").startswith("text/html"):
        raise _Refused("the server sent a web page instead of the file")


def _total(reply: requests.Response) -> int | None:
    """Length of the whole file, as a reply to a request for all or a part of it tells."""
    if "Content-Range" in reply.headers:
        whole = reply.headers["Content-Range"].rpartition("/")[2]
        return int(whole) if whole.isdigit() else None
    length = reply.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _range_start(reply: requests.Response) -> int | None:
    first = reply.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else None


def ask_for_room(folder: Path, needed_bytes: int, what: str) -> None:
    """Make sure that a folder's disk has room.

    Raises:
        DataError: it has not; the message gives both sizes.
    """
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise DataError(
            f"{folder}: {what} needs {needed_bytes / 1e9:.2f} GB and the disk has {free / 1e9:.2f} GB free; "
            "make room or choose another folder"
        )


def _what_is_wrong(path: Path, remote: Remote) -> str | None:
    size = path.stat().st_size
    if remote.size_bytes is not None and size != remote.size_bytes:
        return f"it has {size:,} bytes instead of {remote.size_bytes:,}"
    if remote.md5:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if found != remote.md5:
            return f"its MD5 is {found} instead of {remote.md5}"
    return None
