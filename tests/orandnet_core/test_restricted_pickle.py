"""Honest label tables are read; hostile and damaged ones are refused and run nothing."""

import copyreg
import io
import os
import pickle
import struct

import numpy as np
import pytest
from numpy.lib import format as npy_format

from orandnet_core import restricted_pickle
from orandnet_core.errors import DataError
from orandnet_core.pickle_machine import Budget
from orandnet_core.restricted_pickle import load_pickled_npy


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return {f"2007_{n:06d}": (rng.random(20) > 0.8).astype(np.float32) for n in range(30)}


@pytest.fixture
def load(tmp_path):
    """Load a .npy file whose pickle is the given bytes."""

    def load_bytes(content: bytes):
        stream = io.BytesIO()
        npy_format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
        (tmp_path / "t.npy").write_bytes(stream.getvalue() + content)
        return load_pickled_npy(tmp_path / "t.npy")

    return load_bytes


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        np.testing.assert_array_equal(found[key], row)
        assert found[key].dtype == row.dtype


def test_what_np_save_writes_is_read(tmp_path, table):
    np.save(tmp_path / "labels.npy", table, allow_pickle=True)
    assert_same(load_pickled_npy(tmp_path / "labels.npy"), table)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(load, table, protocol):
    wrapped = np.array(None, object)
    wrapped[()] = table
    assert_same(load(pickle.dumps(wrapped, protocol)), table)


@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_both_names_of_numpys_core(load, table, core):
    content = pickle.dumps(table, 2).replace(b"numpy._core", core)
    assert_same(load(content), table)


ROWS = {
    "big endian": np.array([[1, 2], [3, 4]], ">i4"),
    "column order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "booleans": np.array([True, False]),
    "text": np.array(["ant", "bee"]),
    "bytes": np.array([b"x"]),
    "half floats": np.arange(3, dtype=np.float16),
}


@pytest.mark.parametrize("kind", ROWS)
def test_every_kind_of_row(load, kind):
    for protocol in (2, 4, 5):
        assert_same(load(pickle.dumps({"a": ROWS[kind]}, protocol)), {"a": ROWS[kind]})


def test_an_empty_row(load):
    empty = {"a": np.zeros((0, 3), np.uint8)}
    for protocol in (2, 4, 5):
        assert_same(load(pickle.dumps(empty, protocol)), empty)


def test_numbers_strings_and_lists(load):
    value = {"a": [1, 2.5, None, True], "b": ("x", b"y"), "c": np.float32(0.5), "d": np.int64(-3)}
    assert load(pickle.dumps(value)) == value
    assert type(load(pickle.dumps(value))["c"]) is np.float32


def test_a_plain_array_is_given_as_it_is(tmp_path):
    np.save(tmp_path / "plain.npy", np.arange(4))
    np.testing.assert_array_equal(load_pickled_npy(tmp_path / "plain.npy"), np.arange(4))


def test_the_real_table(voc_root):
    table = load_pickled_npy(voc_root / "cls_labels.npy")
    assert len(table) == 12_031
    assert {row.shape for row in table.values()} == {(20,)}
    assert {float(value) for row in table.values() for value in np.unique(row)} == {0.0, 1.0}


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


def dtype_call(code, state):
    return Call(np.dtype, code, False, True, state=state)


def array_call(state):
    return Call(np._core.multiarray._reconstruct, np.ndarray, (0,), b"b", state=state)


HOSTILE = {
    "a shell": Call(os.system, "touch owned"),
    "eval": Call(eval, "open('owned', 'w')"),
    "a file": Call(open, "owned", "w"),
    "an import": Call(__import__, "os"),
    "getattr": Call(getattr, "", "format"),
    "numpy's own loader": Call(np.load, "t.npy"),
    "a codec that inflates": Call(__import__("_codecs").encode, "x", "zlib_codec"),
    "another codec's name": Call(__import__("_codecs").encode, "x", "utf-16"),
    "nested in a dict": {"a": [Call(os.system, "touch owned")]},
    "a class": {"a": pickle.Pickler},
    "a set": {"a": {1, 2}},
    "a dtype from a string of fields": Call(np.dtype, "i4,O"),
    "a dtype of times": Call(np.dtype, "M8[s]"),
    # Marked as holding objects while its bytes are made up: numpy would follow them as pointers.
    "a dtype with made-up flags": array_call(
        (1, (1,), dtype_call("V8", (3, "|", None, None, None, 8, 1, 1)), False, b"AAAAAAAA")
    ),
    "a dtype with fields out of bounds": array_call(
        (
            1,
            (1,),
            dtype_call("V8", (3, "|", None, ("a",), {"a": (np.dtype("f8"), 10**9)}, 8, 1, 0)),
            False,
            b"A" * 8,
        )
    ),
    "fields on a plain dtype": array_call(
        (
            1,
            (1,),
            dtype_call("i8", (3, "<", None, ("a",), {"a": (np.dtype("f8"), 10**9)}, 8, 1, 0)),
            False,
            b"A" * 8,
        )
    ),
    "an array of objects from bytes": array_call((1, (1,), np.dtype(object), False, b"A" * 8)),
    "objects in an array": array_call((1, (2,), np.dtype(object), False, [1, 2])),
    "a buffer of objects": Call(np._core.numeric._frombuffer, bytearray(8), np.dtype(object), (1,), "C"),
    "more items than bytes": array_call((1, (10**12,), np.dtype("f8"), False, b"A" * 8)),
    "a shape of no sense": array_call((1, (-1,), np.dtype("f8"), False, b"A" * 8)),
    "a shape of no numbers": array_call((1, ("8",), np.dtype("f8"), False, b"A" * 8)),
    "a state that is too short": array_call((1, (1,))),
    "an array without a state": Call(np._core.multiarray._reconstruct, np.ndarray, (0,), b"b"),
    "a scalar without bytes": Call(np._core.multiarray.scalar, np.dtype("f8")),
    "a scalar that is an object": Call(np._core.multiarray.scalar, np.dtype(object), "x"),
    "an array by its constructor": Call(np.ndarray, (10**12,)),
    "a dtype left over": {"a": np.dtype("f8")},
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_hostile_pickles_are_refused(load, tmp_path, monkeypatch, case, protocol):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(HOSTILE[case], protocol)
    with pytest.raises(DataError, match=r"t\.npy: "):
        load(content)
    assert not (tmp_path / "owned").exists()


def test_a_refusal_says_what_was_asked_for(load):
    with pytest.raises(DataError, match=r"refused, it asks for (posix|nt)\.system\. Only arrays"):
        load(pickle.dumps(Call(os.system, "true")))


def test_persistent_ids_are_refused(load):
    with pytest.raises(DataError, match="refused"):
        load(b"Pwhatever\n.")


def test_the_extension_registry_is_no_way_round(load):
    copyreg.add_extension("os", "system", 0x7F01)
    try:
        with pytest.raises(DataError, match="refused, it has the opcode 0x83"):
            load(b"\x80\x02" + pickle.EXT2 + struct.pack("<H", 0x7F01) + b".")
    finally:
        copyreg.remove_extension("os", "system", 0x7F01)


NAMES = [*restricted_pickle._builders(Budget(0))]


@pytest.mark.parametrize("name", NAMES)
def test_a_pickle_cannot_change_the_reader(load, table, name):
    """BUILD with a slot state sets attributes: on what the reader hands out it must not get through."""
    change = b"\x80\x02c" + "{}\n{}\n".format(*name).encode() + b"N}X\x08\x00\x00\x00__call__K\x01s\x86b."
    with pytest.raises(DataError, match="gives a state"):
        load(change)
    assert_same(load(pickle.dumps(table)), table)


def test_what_python_2_wrote(load):
    """Its text and its bytes were one type: U, a size, and what Python 3 would call bytes."""
    raw = np.arange(3, dtype=np.float32).tobytes()
    content = (
        b"\x80\x02}U\x0b2007_000032cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"U" + bytes([len(raw)]) + raw + b"tbs."
    )
    assert_same(load(content), {"2007_000032": np.arange(3, dtype=np.float32)})


def test_no_part_of_a_table_raises_anything_else(load, table):
    content = pickle.dumps(dict(list(table.items())[:2]), 2)
    for length in range(len(content)):
        with pytest.raises(DataError):
            load(content[:length])


def test_random_damage_raises_nothing_but_data_errors(load, table):
    content = pickle.dumps(dict(list(table.items())[:3]), 4)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        try:
            assert isinstance(load(bytes(damaged)), dict | tuple | list | str | np.ndarray | int)
        except DataError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x09\x00", b"\x93NUMPY\x01\x00\xff\xff{}"])
def test_what_is_no_npy_file(tmp_path, content):
    (tmp_path / "t.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"t\.npy: not a readable \.npy file"):
        load_pickled_npy(tmp_path / "t.npy")


def test_missing_folder_object_array_and_size(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="no such file"):
        load_pickled_npy(tmp_path / "none.npy")
    with pytest.raises(DataError, match="refused"):
        load_pickled_npy(tmp_path)
    np.save(tmp_path / "list.npy", np.array([{}, {}]), allow_pickle=True)
    with pytest.raises(DataError, match=r"an object array of shape \(2,\)"):
        load_pickled_npy(tmp_path / "list.npy")
    monkeypatch.setattr(restricted_pickle, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="at most 10 are read"):
        load_pickled_npy(tmp_path / "list.npy")
