"""What a hostile pickle can make the machine do is bounded by the file's own size."""

import pickle
import resource
import struct
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orandnet_core import pickle_machine
from orandnet_core.errors import DataError
from orandnet_core.pickle_machine import Budget, Machine
from orandnet_core.restricted_pickle import read_npy

keys = st.text() | st.integers(-(2**63), 2**64 - 1) | st.binary() | st.booleans()
leaves = st.none() | st.floats(allow_nan=False) | st.integers(-(2**200), 2**200) | keys
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(keys, inner),
    max_leaves=20,
)


def run(content: bytes):
    return Machine(content, {}).run()


@settings(max_examples=100, deadline=None)
@given(values, st.integers(2, pickle.HIGHEST_PROTOCOL))
def test_plain_data_come_out_as_python_reads_them(value, protocol):
    content = pickle.dumps(value, protocol)
    if b"_codecs" not in content and b"__builtin__" not in content:  # protocol 2 writes bytes as a call
        assert run(content) == pickle.loads(content)


@pytest.mark.parametrize(
    "value", [{"a": [1, -2, 2.5, None]}, ["x", ("y", {})], 10**30, "\u00e9\n", True, False]
)
@pytest.mark.parametrize("protocol", [0, 1])
def test_the_oldest_protocols(value, protocol):
    assert run(pickle.dumps(value, protocol)) == value


def test_marks_duplicates_and_drops():
    """`(1, 1)` by DUP, with a mark and a value thrown away on the way."""
    assert run(b"(K\x01K\x02K\x031K\x012(0\x86.") == (1, 1)


def laughs(levels: int) -> bytes:
    """A list of two references to a list of two references to ...: 2^levels lists, each written once."""
    content = b"]q\x00."
    for level in range(levels):
        here, below = bytes([level + 1]), bytes([level])
        content = content[:-1] + b"]q" + here + b"(h" + below + b"h" + below + b"e."
    return content


HOSTILE = {
    "a memo index of 4,000 million": (b"K\x01r\xff\xff\xff\xff.", None),
    "a recall of nothing": (b"h\x07.", "recalls number 7"),
    "text of 4 GB": (b"X\xff\xff\xff\xff.", "cut short"),
    "bytes of 2^60": (b"\x8e" + struct.pack("<Q", 1 << 60) + b".", "cut short"),
    "a negative size": (b"\x8e" + struct.pack("<q", -1) + b".", "cut short"),
    "a tuple for a key, 2^60 steps to hash": (
        b"}K\x01" + b"2\x86" * 60 + b"K\x01s.", "a tuple for a key",
    ),
    "a set of such tuples": (b"\x8f(K\x01" + b"2\x86" * 60 + b"\x90.", "opcode 0x8f"),
    "a number of a million digits": (b"I" + b"9" * 1_000_000 + b"\n.", "a number that is none"),
    "whole numbers that all hash alike": (
        b"}\x8a\x0a" + (((1 << 61) - 1) * 2**10).to_bytes(10, "little") + b"Ns.", "an? int for a key",
    ),
    "a float for a key": (b"}G" + struct.pack(">d", 1.0) + b"Ns.", "a float for a key"),
    "an empty stack": (b".", "empty stack"),
    "a stack below its mark": (b"K\x01(0.", None),
    "taking from below a mark": (b"K\x01(\x85.", "empty stack"),
    "a group that did not begin": (b"K\x01e.", "did not begin"),
    "a key without a value": (b"}(K\x01u.", "without a value"),
    "appending to a dict": (b"}K\x01a.", "fills a dict like a list"),
    "a call of a number": (b"K\x01)R.", "cannot be called"),
    "a state for a list": (b"])b.", "a state to a list"),
    "a persistent id": (b"K\x01Q.", "outside the file"),
    "an object without its class": (b"K\x01)\x81.", "opcode 0x81"),
    "a buffer from outside": (b"\x97.", "opcode 0x97"),
    "no end": (b"N" * 100, "cut short"),
    "nothing": (b"", "cut short"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_opcodes(case):
    content, message = HOSTILE[case]
    if message is None:
        run(content)  # harmless here: the memo is a dict, and what is under a mark stays
    else:
        with pytest.raises(pickle.UnpicklingError, match=message):
            run(content)


def test_steps_are_counted(monkeypatch):
    monkeypatch.setattr(pickle_machine, "MOST_STEPS", 100)
    with pytest.raises(pickle.UnpicklingError, match="more than 100 steps"):
        run(b"]" * 200)


def test_a_budget_is_spent_once():
    budget = Budget(10)
    budget.pay(10)
    with pytest.raises(pickle.UnpicklingError, match="many times its size"):
        budget.pay(1)


def npy(content: bytes) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': ()}".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def test_shared_lists_stay_shared():
    """2^100 lists would take for ever to copy; as Python has them they are a hundred."""
    found = read_npy(npy(laughs(60)), "laughs")
    depth = 0
    while found:
        assert found[0] is found[1]
        found, depth = found[0], depth + 1
    assert depth == 60


STEP_BYTES = 128  # as `restricted_pickle` says


def counted(count: int, of: bytes) -> bytes:
    return b"".join(of.replace(b"....", struct.pack("<i", 1000 + number)) for number in range(count))


# Each by its steps and its pickle. Tables that grow are largest just after they did: 2/3 of 2^18 entries.
GROWING = {
    "empty dicts": (50_000, b"(" + b"}" * 50_000 + b"l."),
    "empty lists": (50_000, b"(" + b"]" * 50_000 + b"l."),
    "dicts of one": (200_000, b"(" + b"}K\x01Ns" * 50_000 + b"l."),
    "dicts by marks": (200_000, b"(" + b"(K\x01Nd" * 50_000 + b"l."),
    "lists of one": (150_000, b"(" + b"]Na" * 50_000 + b"l."),
    "tuples of one": (100_000, b"(" + b"N\x85" * 50_000 + b"l."),
    "nothing": (200_000, b"(" + b"N" * 200_000 + b"l."),
    "numbers": (50_000, b"(" + counted(50_000, b"J....") + b"l."),
    "short texts": (50_000, b"(" + counted(50_000, b"U\x04....") + b"l."),
    "keys": (349_528, b"}(" + counted(174_764, b"J....N") + b"u."),
    "dicts by key": (100_000, b"}(" + counted(50_000, b"J....}") + b"u."),
    "what is kept to recall": (174_764, b"N" + b"\x94" * 174_764 + b"."),
    "marks": (50_000, b"(" * 50_000 + b"N."),
    "arrays of nothing": (
        150_000,
        b"cnumpy._core.numeric\n_frombuffer\nq\x00(C\x00cnumpy\ndtype\nX\x02\x00\x00\x00u1\x89\x88\x87R"
        b"K\x00\x85X\x01\x00\x00\x00Ctq\x01(" + b"h\x00h\x01R" * 50_000 + b"l.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GROWING)
def test_a_step_takes_at_most_so_many_bytes(case):
    steps, pickled = GROWING[case]
    content = npy(pickled)
    tracemalloc.start()
    try:
        read_npy(content, case)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes <= STEP_BYTES * steps + len(content) + 100_000


def test_a_stand_in_that_is_recalled_is_the_array():
    """Protocol 2 keeps an array before it has its state; the second of two is a recall."""
    row = np.arange(3)
    first, second = read_npy(npy(pickle.dumps([row, row], 2)), "rows")
    np.testing.assert_array_equal(first, row)
    assert first is second


@pytest.mark.parametrize("use", [b"h\x01h\x01\x86.", b"h\x01.", b"2\x86."])
def test_an_array_without_its_state_is_refused(use):
    made = b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87Rq\x01"
    with pytest.raises(
        DataError, match="refused, it holds an array without a state|refused, it holds a _Array"
    ):
        read_npy(npy(made + use), "rows")


def test_what_holds_itself_is_refused():
    with pytest.raises(DataError, match="nested more than 100 deep, or holds itself"):
        read_npy(npy(b"]q\x00h\x00a."), "circle")


def bombs() -> dict[str, bytes]:
    """Files of less than 2 MB that ask for gigabytes."""
    start = (
        b"\x80\x04" + b"X\x01\x00\x00\x00x" + b"q\xf00" + b"B\x40\x42\x0f\x00" + b"x" * 1_000_000 + b"q\xf10"
    )
    name = b"cnumpy._core.numeric\n_frombuffer\nq\xf20"
    kind = b"cnumpy\ndtype\nX\x02\x00\x00\x00u1\x89\x88\x87Rq\xf30"
    call = b"h\xf2(h\xf1h\xf3J\x40\x42\x0f\x00\x85X\x01\x00\x00\x00CtR"
    text = b"X\x40\x42\x0f\x00" + b"x" * 1_000_000 + b"q\xf10"
    encode = b"c_codecs\nencode\nq\xf20"
    return {
        "one buffer made into 5,000 arrays": start + name + kind + b"(" + call * 5_000 + b"l.",
        "one text encoded 5,000 times": b"\x80\x04"
        + text
        + encode
        + b"("
        + b"h\xf2h\xf1\x85R" * 5_000
        + b"l.",
        "a header that claims 2^50 values": b"",
        "half a million empty dicts": b"(" + b"}" * 500_000 + b"l.",
    }


BOMBS = bombs()


@pytest.mark.parametrize("case", BOMBS)
def test_memory_bombs_in_a_process_of_their_own(tmp_path, case):
    """With 1.5 GB of address space: a bomb that went off would raise MemoryError, not the refusal."""
    path = tmp_path / "bomb.npy"
    if BOMBS[case]:
        path.write_bytes(npy(BOMBS[case]))
    else:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1125899906842624,)}".ljust(117) + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    script = """
        import resource, sys
        from orandnet_core.errors import DataError
        from orandnet_core.restricted_pickle import load_pickled_npy
        resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))
        try:
            print(type(load_pickled_npy(sys.argv[1])))
        except DataError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path)], capture_output=True, text=True, check=True
    )
    assert "MemoryError" not in done.stdout + done.stderr
    expected = "<class 'list'>" if "empty dicts" in case else "bomb.npy: "
    assert expected in done.stdout
    assert resource.getrlimit(resource.RLIMIT_AS)  # of this process, untouched
