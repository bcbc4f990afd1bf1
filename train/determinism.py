"""`--deterministic`: the same numbers every time, on a GPU too, at the price of speed."""

import os

import torch


def make_deterministic() -> None:
    """Take only algorithms whose sums come in the same order each time; one that has none raises.

    On one CPU with the same number of threads this is so without it.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
