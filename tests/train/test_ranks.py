"""Who is who among processes that were launched together, and how they share a stage's images."""

import errno
import json
import os
import subprocess
import sys
from itertools import chain

import pytest

from orandnet_core.errors import ConfigError
from train.per_image import for_each_image, share_of
from train.ranks import first_host, join_slurm_step, own_cores, rank_and_ranks, tasks_of_node
from train.workspace import ROOT


@pytest.mark.parametrize(
    ("environ", "found"),
    [({}, (0, 1)), ({"RANK": "3", "WORLD_SIZE": "8"}, (3, 8)), ({"WORLD_SIZE": "2"}, (0, 2))],
)
def test_the_environment_says_who_we_are(environ, found):
    assert rank_and_ranks(environ) == found


@pytest.mark.parametrize(
    "environ", [{"RANK": "2"}, {"RANK": "2", "WORLD_SIZE": "2"}, {"RANK": "x", "WORLD_SIZE": "2"}]
)
def test_what_does_not_fit_together_is_refused(environ):
    with pytest.raises(ConfigError, match="expected 0 <= RANK < WORLD_SIZE"):
        rank_and_ranks(environ)


SRUN = {
    "SLURM_JOB_ID": "1234567",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "4,3,1",
    "SLURM_STEP_NODELIST": "gpu[03-04],gpu9",
}


def test_srun_is_translated():
    environ = dict(SRUN)
    join_slurm_step(environ)
    assert rank_and_ranks(environ) == (5, 8)
    assert environ["LOCAL_RANK"] == "1"
    assert environ["LOCAL_WORLD_SIZE"] == "3"
    assert environ["MASTER_ADDR"] == "gpu03"
    assert 1024 < int(environ["MASTER_PORT"]) < 65536


def test_what_is_said_already_stays():
    torchrun = SRUN | {"RANK": "1", "WORLD_SIZE": "4"}
    join_slurm_step(torchrun)
    assert rank_and_ranks(torchrun) == (1, 4)
    named = SRUN | {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "4000"}
    join_slurm_step(named)
    assert (named["MASTER_ADDR"], named["MASTER_PORT"]) == ("10.0.0.1", "4000")


@pytest.mark.parametrize("environ", [{}, {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}])
def test_a_batch_script_is_one_process(environ):
    before = dict(environ)
    join_slurm_step(environ)
    assert environ == before


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[03-05,9],login", "gpu03"),
        ("node1", "node1"),
        ("a,b", "a"),
        ("tux-a[1,3]", "tux-a1"),
        ("n[1-2]c[5-6],x", "n1c5"),
    ],
)
def test_the_first_host_of_a_list(nodes, first):
    assert first_host(nodes) == first


@pytest.mark.parametrize(
    ("counts", "of_each"),
    [("4", [4]), ("4(x2)", [4, 4]), ("4(x2),3", [4, 4, 3]), ("1,2(x1),12(x3)", [1, 2, 12, 12, 12])],
)
def test_the_tasks_of_each_node(counts, of_each):
    assert [tasks_of_node(counts, node) for node in range(len(of_each))] == of_each


@pytest.mark.parametrize(
    ("environ", "cores"),
    [
        ({}, 32),
        ({"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}, 8),
        ({"LOCAL_WORLD_SIZE": "64"}, 1),
        # srun leaves a task all cores of the job on the node where no plugin binds it.
        ({"LOCAL_WORLD_SIZE": "4", "SLURM_CPUS_PER_TASK": "6"}, 6),
        # One task a node, and torchrun in it.
        ({"LOCAL_WORLD_SIZE": "4", "SLURM_CPUS_PER_TASK": "32", "TORCHELASTIC_RUN_ID": "x"}, 8),
    ],
)
def test_processes_share_the_cores_that_they_may_use(monkeypatch, environ, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(32)), raising=False)
    assert own_cores(environ) == cores


def test_a_task_that_is_bound_to_its_cores_has_all_of_them(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert own_cores(SRUN | {"LOCAL_WORLD_SIZE": "4", "SLURM_CPUS_PER_TASK": "8"}) == 8


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_shards_and_ranks_divide_the_images(count, ranks):
    images = list(range(23))
    parts = []
    for number in range(1, count + 1):
        shard = images[number - 1 :: count]
        shares = [share_of((number, count), rank, ranks) for rank in range(ranks)]
        mine = [images[first - 1 :: of] for first, of in shares]
        parts += mine
        assert max(map(len, mine)) - min(map(len, mine)) <= 1
        if ranks == 1:
            assert mine == [shard]
    assert sorted(chain.from_iterable(parts)) == images


WORKER = """
import sys
from pathlib import Path
from train.per_image import for_each_image
folder, run_dir = Path(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(exist_ok=True)

def make(image_id):
    if image_id == "bad":
        raise ValueError("no photograph")
    (folder / image_id).write_text(image_id * 3)

ids = [f"image_{number}" for number in range(10)] + ["bad"]
made = for_each_image("double", ids, is_done=lambda i: (folder / i).is_file(), make=make, run_dir=run_dir)
print(made.made, made.kept, len(made.failed), flush=True)
"""


def test_two_ranks_give_the_files_of_one_process(tmp_path):
    def started(name: str, **environ: str) -> subprocess.Popen:
        command = [sys.executable, "-c", WORKER, str(tmp_path / name), str(tmp_path / f"{name}-run")]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    alone = started("alone")
    two = [started("two", RANK=str(rank), WORLD_SIZE="2") for rank in range(2)]
    told = [process.communicate(timeout=60) for process in (alone, *two)]
    assert [out.split() for out, _ in told] == [["10", "0", "1"], ["5", "0", "1"], ["5", "0", "0"]], told

    def files(name: str) -> dict[str, str]:
        return {path.name: path.read_text() for path in (tmp_path / name).iterdir()}

    assert files("two") == files("alone")
    lines = map(json.loads, (tmp_path / "two-run" / "metrics.jsonl").read_text().splitlines())
    assert {line["stage"]: line["total"] for line in lines} == {"double 1/2": 6, "double 2/2": 5}
    assert "double 1/2" in told[1][1]
    assert "double" not in told[2][1], "one bar is enough"


def test_a_full_disk_ends_the_stage_and_one_bad_image_does_not(tmp_path):
    def make(image_id: str) -> None:
        if image_id == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        raise ValueError("no photograph")

    made = for_each_image("probe", ["bad"], is_done=lambda _: False, make=make)
    assert made.reasons == {"bad": "ValueError: no photograph"}
    with pytest.raises(OSError, match="No space left"):
        for_each_image("probe", ["bad", "full", "bad"], is_done=lambda _: False, make=make)
