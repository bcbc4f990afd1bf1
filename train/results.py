"""`docs/results.json`, the figures as rows of plain values, and `docs/results.md`, made from it.

A row is known by data set, recipe, split, source and threshold rule, and one of errors by its slice as
well; a new one takes the place of the old. A row may also be of something else that was measured: how a
network learned (`stage`), what a benchmark took (`benchmark`).
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from orandnet_core.array_files import write_atomically
from orandnet_core.errors import DataError
from train.results_page import Row, markdown

KEY = ("benchmark", "dataset", "recipe", "split", "source", "stage", "threshold_rule", "slice_key")
# What every row has; null where a row is about something else.
COLUMNS = (
    *("dataset", "split", "images", "source", "threshold_rule", "threshold"),
    *("miou", "precision", "recall", "miou_low", "miou_high", "command"),
)


def read_rows(path: Path) -> list[Row]:
    """The rows of a results.json; none if there is no file.

    Raises:
        DataError: the file is not a JSON list of objects.
    """
    if not path.is_file():
        return []
    try:
        rows = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: expected a list of objects, one a figure")
    return rows


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Merge rows into a results.json and make the results.md beside it anew.

    Slices of a source take the place of all slices that it had: ranks of two passes do not mix.
    """
    rows = list(rows)
    sliced_anew = {_key(row)[:-1] for row in rows if "slice_key" in row}
    kept = (row for row in read_rows(path) if "slice_key" not in row or _key(row)[:-1] not in sliced_anew)
    merged = {_key(row): row for row in kept}
    merged |= {_key(row): row for row in rows}
    rows = [dict.fromkeys(COLUMNS) | _without_nan(row) for row in merged.values()]
    write_atomically(path, f"{json.dumps(rows, indent=1, allow_nan=False)}\n".encode())
    write_atomically(path.with_suffix(".md"), markdown(rows).encode())


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("results", help="make results.md from results.json")
    parser.add_argument("--results", type=Path, default=Path("docs/results.json"))
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    write_rows(args.results, [])
    print(args.results.with_suffix(".md"))
    return 0


def _without_nan(row: Row) -> Row:
    """JSON has no word for NaN: a figure that there is not becomes null."""
    return {name: None if value != value else value for name, value in row.items()}


def _key(row: Row) -> tuple:
    return tuple(row.get(name) for name in KEY)
