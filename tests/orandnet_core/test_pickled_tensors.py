"""Pickled torch tensors come out as the arrays that torch would make of them."""

import io
import pickle

import numpy as np
import pytest
import torch

from orandnet_core.errors import DataError
from orandnet_core.restricted_pickle import load_pickled_npy, read_npy

TENSORS = {
    "float32": torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0)),
    "float64": torch.arange(3, dtype=torch.float64),
    "float16": torch.arange(5, dtype=torch.float16),
    "bfloat16": torch.tensor([1.5, -2.25, 0.0], dtype=torch.bfloat16),
    "int64": torch.tensor([0, 3, 14]),
    "int32": torch.tensor([[1], [2]], dtype=torch.int32),
    "uint8": torch.tensor([0, 255], dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "a number": torch.tensor(7),
    "empty": torch.zeros(0, 4),
    "a view": torch.arange(24.0).reshape(4, 6)[1:3, ::2],
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "with a gradient": torch.nn.Parameter(torch.arange(3.0)),
}


def saved(value) -> bytes:
    file = io.BytesIO()
    np.save(file, value, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize("kind", TENSORS)
def test_every_kind(kind):
    tensor = TENSORS[kind]
    found = read_npy(saved({"t": tensor}), "x")["t"]
    expected = tensor.detach().float() if tensor.dtype == torch.bfloat16 else tensor.detach()
    np.testing.assert_array_equal(found, expected.numpy())
    assert found.dtype == expected.numpy().dtype


def test_what_irn_saves(tmp_path):
    keys, cam = torch.tensor([1, 14]), torch.rand(2, 3, 4)
    high_res = np.random.default_rng(0).random((2, 9, 13), np.float32)
    np.save(tmp_path / "a.npy", {"keys": keys, "cam": cam, "high_res": high_res}, allow_pickle=True)
    found = load_pickled_npy(tmp_path / "a.npy")
    np.testing.assert_array_equal(found["keys"], [1, 14])
    np.testing.assert_array_equal(found["cam"], cam.numpy())
    np.testing.assert_array_equal(found["high_res"], high_res)


def test_no_part_of_a_tensor_raises_anything_else():
    content = saved({"t": torch.arange(4.0)})
    for length in range(len(content)):
        with pytest.raises(DataError):
            read_npy(content[:length], "x")


def test_random_damage_raises_nothing_but_data_errors():
    content = saved({"t": torch.arange(4.0)})
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        damaged = bytearray(content)
        damaged[rng.integers(128, len(damaged))] = rng.integers(256)
        try:
            read_npy(bytes(damaged), "x")
        except DataError:
            refused += 1
    assert refused > 100


class Rebuilt:
    """Pickles as a tensor of a made-up layout."""

    def __init__(self, *layout, values=4):
        self.layout, self.values = layout, values

    def __reduce__(self):
        storage = torch.arange(float(self.values)).__reduce_ex__(2)[1][0]
        return torch._utils._rebuild_tensor_v2, (storage, *self.layout, False, {})


class Stored:
    """Pickles as a storage made of these bytes."""

    def __init__(self, content):
        self.content = content

    def __reduce__(self):
        return torch.storage._load_from_bytes, (self.content,)


def storage_bytes() -> bytes:
    return torch.arange(4.0).__reduce_ex__(2)[1][0].__reduce__()[1][0]


HOSTILE = {
    "a terabyte out of one value": Rebuilt(0, (1 << 20, 1 << 20), (0, 0)),
    "beyond its storage": Rebuilt(0, (5,), (1,)),
    "an offset beyond it": Rebuilt(10, (1,), (1,)),
    "a negative offset": Rebuilt(-1, (1,), (1,)),
    "a negative stride": Rebuilt(3, (4,), (-1,)),
    "a stride beyond it": Rebuilt(0, (2,), (1 << 40,)),
    "more sides than strides": Rebuilt(0, (2, 2), (1,)),
    "a side that is text": Rebuilt(0, ("4",), (1,)),
    "a storage of nothing": Stored(b""),
    "a storage with a shell in it": Stored(
        storage_bytes().replace(b"ctorch\nFloatStorage", b"cposix\nsystem")
    ),
    "more values than it has": Stored(storage_bytes()[:-4]),
    "another magic number": Stored(storage_bytes().replace(b"\x8a\nl", b"\x8a\nm")),
    "a storage without a tensor": Stored(storage_bytes()),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_tensors_are_refused(case):
    with pytest.raises(DataError, match="x: refused"):
        read_npy(saved({"t": HOSTILE[case]}), "x")


def test_a_zip_of_torch_save_is_named_for_what_it_is():
    file = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, file)
    with pytest.raises(DataError, match="not a readable"):
        read_npy(file.getvalue(), "x")


def test_it_needs_no_unpickler(monkeypatch):
    content = saved({"t": torch.arange(3)})
    monkeypatch.setattr(pickle, "loads", None)
    monkeypatch.setattr(pickle, "Unpickler", None)
    np.testing.assert_array_equal(read_npy(content, "x")["t"], [0, 1, 2])
