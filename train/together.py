"""The processes that one launch started, joined: each on a GPU of its own, waiting for each other."""

import os
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import gather_object

from train.ranks import rank_and_ranks

Item = TypeVar("Item")

# A barrier waits for the slowest share of the images and for rank 0's evaluations, not the ten
# minutes after which NCCL takes a process for dead; whoever really dies is noticed by the launcher.
PATIENCE = timedelta(days=7)


def join() -> None:
    """Meet the other processes of this launch; without a GPU they speak by gloo. Alone, do nothing."""
    if ranks() == 1:
        return
    on_cpu = not torch.cuda.is_available()
    if on_cpu:
        # Else accelerate takes each process for one that is alone, and each would train on everything.
        os.environ["ACCELERATE_USE_CPU"] = "true"
    PartialState(cpu=on_cpu, timeout=PATIENCE)


def wait() -> None:
    """Return when all processes have come here."""
    if ranks() > 1:
        PartialState().wait_for_everyone()


def is_main() -> bool:
    """Whether this process writes what is written once."""
    return rank_and_ranks()[0] == 0


def gathered(items: list[Item]) -> list[Item]:
    """The items of all processes, those of the first first; every process must call it."""
    return gather_object(items) if ranks() > 1 else items


def leave() -> None:
    """Part from the others, once all work is done."""
    PartialState().destroy_process_group()


def ranks() -> int:
    """How many processes there are."""
    return rank_and_ranks()[1]
