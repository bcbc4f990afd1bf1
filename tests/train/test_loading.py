"""A cancel reaches the whole process group; loading processes must go on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from train.loading import leave_group, loading_processes, started

ROOT = Path(__file__).resolve().parents[2]


class Groups(TorchDataset):
    """Says in which process group an item was loaded."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        return os.getpgid(0)


@pytest.mark.parametrize(
    ("cores", "ranks", "processes"), [(32, 1, 8), (32, 4, 4), (2, 1, 1), (1, 1, 1), (6, 8, 1)]
)
def test_a_process_loads_with_half_of_its_own_cores(monkeypatch, cores, ranks, processes):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    assert loading_processes() == processes


def test_a_loading_process_has_a_group_of_its_own():
    loader = DataLoader(Groups(), batch_size=None, num_workers=1, worker_init_fn=leave_group)
    assert os.getpgid(0) not in set(started(loader))


def test_the_mask_of_the_one_who_starts_is_as_before():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    list(started([1, 2]))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


# Its own group, so that the signal does not reach the test. The worker sends it before it has left.
SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from torch.utils.data import DataLoader
from train.loading import leave_group, started
heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append(1))

def cancelled_early(worker):
    os.killpg(0, signal.SIGTERM)
    FIRST

items = list(started(DataLoader([1, 2, 3], batch_size=None, num_workers=1, worker_init_fn=cancelled_early)))
print(items, len(heard))
"""


@pytest.mark.parametrize(
    ("first", "lives"),
    [
        ("leave_group(worker)", True),
        ("signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})", False),  # what it guards against
    ],
)
def test_a_cancel_that_comes_before_it_has_left_is_forgotten(first, lives):
    command = [sys.executable, "-c", SCRIPT.replace("FIRST", first), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, start_new_session=True)
    assert ("[1, 2, 3] 1" in done.stdout) == lives, done.stderr
    assert (done.returncode == 0) == lives
