"""Print a line a benchmark: `python -m benchmarks [name ...]`; fails if an answer differs.

`--results docs/results.json` keeps them there as well. A benchmark is a module beside this one with
`rows()`, which yields `table.Row`s.
"""

import os

# One thread for ours and theirs alike, set before any array package is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.table import HEADER, Row
from train.results import write_rows

BENCHMARKS = (
    "threshold_sweep",
    "scoring_memory",
    "scoring_threads",
    "cnn_cams",
    "vit_attribution",
    "dense_crf",
    "random_walk",
    "pixel_pairs",
    "input_pipeline",
    "viewer_frames",
    "many_users",
    "large_store",
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"any of {', '.join(BENCHMARKS)} (default: all)"
    )
    parser.add_argument("--results", type=Path, help="merge the rows into this results.json, and its .md")
    args = parser.parse_args(arguments)
    names = args.names
    if unknown := set(names).difference(BENCHMARKS):
        parser.error(f"no benchmark {min(unknown)!r}; there are {', '.join(BENCHMARKS)}")
    print(HEADER, flush=True)
    all_same = True
    for name in names or BENCHMARKS:
        # Loaded one at a time: a benchmark that needs no network does not wait for torch.
        for row in import_module(f"benchmarks.{name}").rows():
            print(row, flush=True)
            all_same &= row.same_answer
            if args.results:
                write_rows(args.results, [_kept(row, f"python -m benchmarks {name}")])
    return 0 if all_same else 1


def _kept(row: Row, command: str) -> dict[str, object]:
    """A row as `docs/results.json` has it."""
    return {
        "benchmark": row.name,
        "ours": row.ours,
        "theirs": row.theirs,
        "ratio": row.ratio,
        "unit": row.unit,
        "same_answer": row.same_answer,
        "device": f"{os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}",
        "command": command,
    }


if __name__ == "__main__":
    sys.exit(main())
