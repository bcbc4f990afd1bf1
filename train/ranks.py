"""Which of the processes of one launch this is; torch is not needed to know it.

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
        MASTER_ADDR=environ.get("MASTER_ADDR") or first_host(environ["SLURM_STEP_NODELIST"]),
        MASTER_PORT=environ.get("MASTER_PORT") or str(port),
    )


def first_host(nodes: str) -> str:
    """The first of Slurm's list of nodes: `gpu[03-05,9],login` -> `gpu03`."""
    return re.sub(r"\[([^-,\]]+)[^\]]*\]", r"\1", re.match(r"(?:[^,\[]|\[[^\]]*\])+", nodes)[0])
