"""A store's card: what it keeps, what it refuses, and that several processes claim it as one."""

import json
import os
import subprocess
import sys

import pytest

from orandnet_core.errors import StoreError
from orandnet_core.mask_store import MaskStore
from train.claim import claim
from train.workspace import ROOT

BEFORE = {"recipe": "a", "crf": "soft", "splits": {"train": "1"}}


@pytest.fixture
def store(tmp_path) -> MaskStore:
    """A store that was claimed, with a mask in it."""
    store = MaskStore(tmp_path / "masks")
    claim(store, BEFORE)
    (store.root / "mask.png").touch()
    return store


def test_a_split_more_is_added_and_what_is_there_stays(store):
    claim(store, BEFORE | {"recipe": "b", "splits": {"val": "2"}})
    assert store.card == BEFORE | {"recipe": "b", "splits": {"train": "1", "val": "2"}}
    assert (store.root / "mask.png").exists()


def test_what_was_made_in_another_way_is_refused_or_thrown_away(store):
    other = {"recipe": "a", "crf": "hard", "splits": {"val": "2"}}
    with pytest.raises(StoreError, match="another crf: add --anew"):
        claim(store, other)
    assert store.card == BEFORE
    claim(store, other, anew=True)
    assert store.card == other
    assert not (store.root / "mask.png").exists()


CLAIMING = """
import json, sys, time
from pathlib import Path
from orandnet_core.errors import StoreError
from orandnet_core.mask_store import MaskStore
from train import claim, together
from train.ranks import rank_and_ranks

store, (rank, _) = MaskStore(Path(sys.argv[1])), rank_and_ranks()
together.join()
# Each looks before the other has cleared: the later one would clear what the earlier has made since.
remove = claim.shutil.rmtree
claim.shutil.rmtree = lambda root: (time.sleep(1), remove(root))
time.sleep(rank / 2)
try:
    claim.claim(store, json.loads(sys.argv[2]), anew=sys.argv[3] == "anew")
    (store.root / f"made by {rank}").touch()
except StoreError as error:
    print(error)
together.wait()
together.leave()
"""


def two_processes(store: MaskStore, card: dict, anew: str, port: int) -> list[str]:
    """What each of two processes prints that claim the store at the same time."""

    def started(rank: int) -> subprocess.Popen:
        environ = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "CUDA_VISIBLE_DEVICES": ""}
        environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        return subprocess.Popen(
            [sys.executable, "-c", CLAIMING, str(store.root), json.dumps(card), anew],
            cwd=ROOT,
            env=os.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    processes = [started(rank) for rank in range(2)]
    told = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    return [out for out, _ in told]


def test_processes_of_one_launch_clear_a_store_once(store):
    other = BEFORE | {"crf": "hard"}
    assert two_processes(store, other, "anew", 29531) == ["", ""]
    assert {path.name for path in store.root.iterdir()} == {"card.json", "made by 0", "made by 1"}
    assert store.card == other


def test_processes_of_one_launch_refuse_together(store):
    told = two_processes(store, BEFORE | {"crf": "hard"}, "", 29532)
    assert ["another crf: add --anew" in out for out in told] == [True, True]
    assert store.card == BEFORE
