"""Which of the processes of one launch this is, and its share of the machine; no torch is needed to know it.

torchrun and accelerate say it by RANK and WORLD_SIZE. srun says it in words of its own, which
`join_slurm_step` translates, so that `srun python -m train run ...` works as it stands.
"""

import os
import re
from collections.abc import Mapping, MutableMapping

from orandnet_core.errors import ConfigError

FIRST_PORT, PORTS = 20_000, 20_000


def rank_and_ranks(environ: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """(rank, ranks): this process is the rank-th of so many, from 0; (0, 1) where it is alone.

    Raises:
        ConfigError: RANK and WORLD_SIZE do not fit together.
    """
    rank, ranks = environ.get("RANK", "0"), environ.get("WORLD_SIZE", "1")
    if not (rank.isdecimal() and ranks.isdecimal() and int(rank) < int(ranks)):
        raise ConfigError(
            f"RANK={rank} with WORLD_SIZE={ranks}: expected 0 <= RANK < WORLD_SIZE; "
            "start with torchrun or srun, or unset both for one process"
        )
    return int(rank), int(ranks)


def join_slurm_step(environ: MutableMapping[str, str] = os.environ) -> None:
    """Where srun started several of us and nothing else said who is who, say it in torch's words.

    An array job or a batch script has no such step, and stays as it is.
    """
    tasks = environ.get("SLURM_STEP_NUM_TASKS", "1")
    if "RANK" in environ or tasks == "1":
        return
    port = FIRST_PORT + int(environ["SLURM_JOB_ID"]) % PORTS  # jobs that share a node keep apart
    environ.update(
        RANK=environ["SLURM_PROCID"],
        WORLD_SIZE=tasks,
        LOCAL_RANK=environ["SLURM_LOCALID"],
        LOCAL_WORLD_SIZE=str(
            tasks_of_node(environ["SLURM_STEP_TASKS_PER_NODE"], int(environ["SLURM_NODEID"]))
        ),
        MASTER_ADDR=environ.get("MASTER_ADDR") or first_host(environ["SLURM_STEP_NODELIST"]),
        MASTER_PORT=environ.get("MASTER_PORT") or str(port),
    )


def own_cores(environ: Mapping[str, str] = os.environ) -> int:
    """How many cores are this process's own: its share of those that it may use.

    Slurm says how many a task has, whether it binds the task to them or not. torchrun lets each of its
    processes use all that it has itself.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    if "SLURM_CPUS_PER_TASK" in environ and "TORCHELASTIC_RUN_ID" not in environ:
        return min(cores, int(environ["SLURM_CPUS_PER_TASK"]))
    return max(1, cores // int(environ.get("LOCAL_WORLD_SIZE", "1")))


def tasks_of_node(counts: str, node: int) -> int:
    """How many tasks a node has, from 0, by Slurm's list: in `4(x2),3` the third has 3."""
    tasks = []
    for count in counts.split(","):
        number, _, times = count.rstrip(")").partition("(x")
        tasks += [int(number)] * int(times or 1)
    return tasks[node]


def first_host(nodes: str) -> str:
    """The first of Slurm's list of nodes: `gpu[03-05,9],login` -> `gpu03`."""
    return re.sub(r"\[([^-,\]]+)[^\]]*\]", r"\1", re.match(r"(?:[^,\[]|\[[^\]]*\])+", nodes)[0])
