"""A download is whole and right, or says why it is not: against a server that misbehaves on purpose."""

import hashlib
from collections import namedtuple

import pytest
import requests

from orandnet_core.datasets import transfer
from orandnet_core.datasets.transfer import Remote, fetch
from orandnet_core.errors import DataError

CONTENT = bytes(range(256)) * 20_000  # 5.12 MB: several blocks
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def served(web):
    web.files["/file.tar"] = CONTENT
    return web


@pytest.fixture
def target(tmp_path):
    return tmp_path / "down" / "file.tar"


def get(web, target, *, urls=None, known=True, progress=None, attempts=3):
    size, md5 = (len(CONTENT), MD5) if known else (None, None)
    remote = Remote(urls=tuple(urls or [web.url("/file.tar")]), size_bytes=size, md5=md5)
    return fetch(remote, target, progress, attempts=attempts, timeout_s=5, pause_s=0)


def nothing_left(target):
    return sorted(path.name for path in target.parent.iterdir()) == [target.name]


def test_a_file_comes_whole_with_progress(served, target):
    told = []
    assert get(served, target, progress=lambda done, total: told.append((done, total))) == target
    assert target.read_bytes() == CONTENT
    assert nothing_left(target)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 3


def test_what_is_there_is_checked_and_not_fetched_again(served, target):
    get(served, target)
    get(served, target)
    assert len(served.requests) == 1
    target.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(DataError, match="is there, but its MD5 is"):
        get(served, target)
    target.write_bytes(b"short")
    with pytest.raises(DataError, match="is there, but it has 5 bytes instead of 5,120,000"):
        get(served, target)


def test_a_broken_connection_is_taken_up_where_it_broke(served, target):
    served.break_after = [3_000_000, 500_000]
    told = []
    get(served, target, progress=lambda done, total: told.append(done))
    assert target.read_bytes() == CONTENT
    first, second, third = served.ranges_asked()
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 3_000_000
    assert 3_000_000 < int(third.removeprefix("bytes=").rstrip("-")) <= 3_500_000
    assert told == sorted(told)


def test_a_later_call_goes_on_with_what_an_earlier_one_left(served, target):
    served.break_after = [3_000_000, 0, 0, 0]
    with pytest.raises(DataError, match="3 times in a row; run the command again to go on"):
        get(served, target)
    assert not target.exists()
    left = target.with_name("file.tar.part").stat().st_size
    assert left > 0
    served.break_after = []
    get(served, target)
    assert served.ranges_asked()[-1] == f"bytes={left}-"
    assert target.read_bytes() == CONTENT
    assert nothing_left(target)


def test_progress_starts_again_the_count_of_attempts(served, target):
    served.break_after = [1_100_000] * 4  # four breaks, each after some progress: more than `attempts`
    get(served, target, attempts=2)
    assert target.read_bytes() == CONTENT


def test_a_server_that_cannot_resume_sends_all_of_it(served, target):
    served.ranges = False
    served.break_after = [3_000_000]
    get(served, target)
    assert target.read_bytes() == CONTENT
    assert len(served.requests) == 2


def test_a_file_that_changed_meanwhile_is_fetched_anew(served, target):
    served.break_after = [3_000_000, 0, 0]
    with pytest.raises(DataError):
        get(served, target, known=False, attempts=2)
    served.break_after = []
    served.files["/file.tar"], served.stamp = CONTENT[::-1], '"two"'
    get(served, target, known=False)
    assert target.read_bytes() == CONTENT[::-1]


def test_without_stamp_or_checksum_nothing_is_pieced_together(served, target):
    served.stamp = None
    served.break_after = [3_000_000, 0, 0]
    with pytest.raises(DataError):
        get(served, target, known=False, attempts=2)
    served.break_after = []
    served.requests.clear()
    get(served, target, known=False)
    assert served.ranges_asked() == [None]
    assert target.read_bytes() == CONTENT


def test_a_part_that_does_not_belong_is_found_out_and_dropped(served, target):
    target.parent.mkdir()
    target.with_name("file.tar.part").write_bytes(b"x" * 1_000_000)
    get(served, target)
    assert served.ranges_asked() == ["bytes=1000000-", None]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 10])
def test_a_part_as_long_as_the_file_or_longer(served, target, size):
    target.parent.mkdir()
    target.with_name("file.tar.part").write_bytes((CONTENT + b"x" * 10)[:size])
    get(served, target)
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing_behind(served, target):
    served.files["/file.tar"] = CONTENT[:-1] + b"x"
    with pytest.raises(DataError, match=f"its MD5 is [0-9a-f]{{32}} instead of {MD5}"):
        get(served, target)
    assert list(target.parent.iterdir()) == []


def test_a_wrong_size_is_refused_before_it_is_fetched(served, target):
    served.files["/file.tar"] = CONTENT + b"more"
    told = []
    with pytest.raises(DataError, match="has 5,120,004 bytes instead of 5,120,000"):
        get(served, target, progress=lambda *counts: told.append(counts))
    assert told == []


def test_the_next_address_is_tried(served, target):
    served.files["/wrong.tar"] = b"w" * len(CONTENT)
    urls = [served.url("/missing.tar"), served.url("/wrong.tar"), served.url("/file.tar")]
    get(served, target, urls=urls)
    assert target.read_bytes() == CONTENT
    assert [path for path, _ in served.requests] == ["/missing.tar", "/wrong.tar", "/file.tar"]


def test_another_address_goes_on_where_the_first_broke_off(served, target):
    served.files["/mirror.tar"] = CONTENT
    served.break_after = [3_000_000, 0, 0]
    get(served, target, urls=[served.url("/file.tar"), served.url("/mirror.tar")], attempts=2)
    path, headers = served.requests[-1]
    assert path == "/mirror.tar"
    assert headers["Range"].startswith("bytes=")
    assert "If-Range" not in headers  # the stamp is the other server's; the checksum decides
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_lasting_refusal_is_not_asked_again(served, target, status):
    served.replies = [status]
    with pytest.raises(
        DataError, match=rf"file\.tar cannot be downloaded:\n  http://.*: the server says {status}"
    ):
        get(served, target)
    assert len(served.requests) == 1


def test_a_passing_refusal_is_asked_again(served, target):
    served.replies = [503, 429, None]
    get(served, target)
    assert target.read_bytes() == CONTENT
    served.replies = [500] * 3
    target.unlink()
    with pytest.raises(DataError, match="the server says 500 Internal Server Error, 3 times in a row"):
        get(served, target)


def test_a_web_page_is_no_file(served, target):
    served.content_type = "text/html; charset=utf-8"
    with pytest.raises(DataError, match="a web page instead of the file"):
        get(served, target, known=False)


def test_nobody_there(target):
    with pytest.raises(DataError, match=r"no connection \(ConnectionError\), 2 times in a row"):
        fetch(Remote(urls=("http://127.0.0.1:1/file.tar",)), target, attempts=2, pause_s=0)


def test_every_reason_is_given(served, target):
    with pytest.raises(DataError) as caught:
        get(served, target, urls=[served.url("/one"), served.url("/two")])
    assert str(caught.value).count("404") == 2


def test_a_disk_too_small_is_said_before_anything_is_written(served, target, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(DataError, match=r"file\.tar needs 0\.01 GB and the disk has 0\.00 GB free"):
        get(served, target)
    assert list(target.parent.iterdir()) == []


def test_a_disk_that_fills_up_on_the_way_keeps_what_came(served, target, monkeypatch):
    whole = requests.Response.iter_content

    def stop_midway(self, size):
        yield next(whole(self, size))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(requests.Response, "iter_content", stop_midway)
    with pytest.raises(DataError, match="No space left on device.*what came so far is kept"):
        get(served, target)
    assert target.with_name("file.tar.part").stat().st_size == 1 << 17
