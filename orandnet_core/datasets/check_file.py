"""What `check` found, kept as a JSON file."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from orandnet_core.array_files import write_atomically
from orandnet_core.datasets.check import Report, SplitCounts
from orandnet_core.datasets.problems import ProblemLog
from orandnet_core.errors import StoreError

__all__ = ["read_report", "write_report"]


def write_report(path: Path, report: Report) -> None:
    """Write a report, whole or not at all; StoreError where the disk refuses."""
    splits = [asdict(split) | {"images_by_class": split.images_by_class.tolist()} for split in report.splits]
    plain = vars(report) | {
        "root": str(report.root), "splits": splits, "problems": report.problems.as_dict(),
    }  # fmt: skip
    write_atomically(path, json.dumps(plain).encode())


def read_report(path: Path) -> Report:
    """The inverse of `write_report`.

    Raises:
        StoreError: there is no such file, or it holds something else.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        report = Report(**kept)
        return replace(
            report,
            root=Path(report.root),
            class_names=tuple(report.class_names),
            splits=tuple(
                SplitCounts(**split | {"images_by_class": np.array(split["images_by_class"], np.int64)})
                for split in report.splits
            ),
            problems=ProblemLog.from_dict(report.problems),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: no report of a check ({error})") from None
