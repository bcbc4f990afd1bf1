"""Files of weights: what a disk that refuses leaves behind."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from orandnet_core.errors import StoreError
from orandnet_core.weights import load_described, save_described


@contextmanager
def small_files_only() -> Iterator[None]:
    """The system refuses files beyond 10 kB, as a full disk would.

    The limit is the whole process's: where pytest's own output goes to a file, it must not write inside.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_refuses_leaves_the_file_before(tmp_path):
    path = tmp_path / "network.safetensors"
    with small_files_only():
        kept = nn.Linear(2, 2)
        save_described(path, kept, "probe", {"number": 1})
        with pytest.raises(StoreError, match="cannot be written .* Free some disk space"):
            save_described(path, nn.Linear(100, 100), "probe", {"number": 2})
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    descriptions = []

    def build(description):
        descriptions.append(description)
        return nn.Linear(2, 2)

    found = load_described(path, "probe", "probe", "nothing", build)
    assert descriptions == [{"number": 1}]
    torch.testing.assert_close(found.state_dict(), kept.state_dict())
