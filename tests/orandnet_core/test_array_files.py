from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pytest

from orandnet_core.array_files import read_record, replacing, write_atomically, write_record
from orandnet_core.errors import StoreError


@dataclass(frozen=True)
class Record:
    number: int
    names: tuple[str, ...]
    table: np.ndarray


@pytest.mark.parametrize("names", [("a", "bücher", "2007_000032"), ()])
def test_records_survive_a_round_trip(tmp_path, names):
    table = np.arange(6, dtype=np.uint32).reshape(2, 3)
    path = tmp_path / "deep" / "record.npz"
    write_record(path, Record(7, names, table))
    found = read_record(path, Record)
    assert (found.number, found.names) == (7, names)
    assert isinstance(found.number, int)
    np.testing.assert_array_equal(found.table, table)
    assert found.table.dtype == np.uint32
    assert [file.name for file in path.parent.iterdir()] == ["record.npz"]


@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage", "other record", "pickle", "bare"])
def test_what_cannot_be_read_is_a_store_error(tmp_path, damage):
    path = tmp_path / "record.npz"
    write_record(path, Record(7, ("a",), np.arange(1000)))
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "garbage":
        path.write_bytes(b"no archive")
    elif damage == "other record":
        np.savez(path, number=1)
    elif damage == "bare":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        np.savez(path, number=1, names=np.array([{"an": "object"}]), table=np.zeros(1))
    with pytest.raises(StoreError, match="record.npz: not a readable Record"):
        read_record(path, Record)


def test_no_flipped_byte_raises_anything_else(tmp_path):
    path = tmp_path / "record.npz"
    write_record(path, Record(7, ("a",), np.arange(3)))
    content = path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        with suppress(StoreError):
            read_record(path, Record)


def test_a_file_may_have_the_longest_name_there_is(tmp_path):
    path = tmp_path / ("x" * 255)
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"


def test_two_writers_share_no_partial_file(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as one, replacing(path) as other:
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert path.read_bytes() == b"one"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_block_that_raises_leaves_the_file_before(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with suppress(KeyError), replacing(path) as partial:
        partial.write_bytes(b"half")
        raise KeyError
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_refused_write_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(StoreError, match="taken: cannot be written"):
        write_atomically(tmp_path / "taken", b"content")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]
