"""What a run has reported so far, read from its `metrics.jsonl` for tables and curves."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

__all__ = ["StageFigures", "stage_figures"]

SHOWN = {"loss": "Loss", "map": "mAP"}
_SHARE = re.compile(r"(\S+) (\d+)/(\d+)")
_MOST_BYTES = 8_000_000  # of the end of the file; a line is about 200 bytes
_MOST_POINTS = 400  # a curve; more cannot be told apart on a screen


@dataclass(frozen=True)
class StageFigures:
    """One stage of a run, all shards and ranks of it together.

    Attributes:
        done, total: items, as the newest line says.
        time_s: when that was, unix seconds.
        eta_s: seconds left, as it said then; None while that is not known.
        curves: (items done, value) by figure, ascending, thinned to what a screen can show.
    """

    done: int
    total: int
    time_s: float
    eta_s: float | None
    curves: dict[str, tuple[np.ndarray, np.ndarray]]


def stage_figures(run_dir: Path) -> dict[str, StageFigures]:
    """All stages that have reported, in the order in which they began; empty before the first line."""
    path = run_dir / "metrics.jsonl"
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return {}
    return _read(str(path), size)


@st.cache_data(max_entries=8, show_spinner=False)
def _read(path: str, size: int) -> dict[str, StageFigures]:
    with open(path, "rb") as file:
        file.seek(max(0, size - _MOST_BYTES))
        lines = file.read(_MOST_BYTES).split(b"\n")
    newest: dict[str, dict[tuple[int, int], dict]] = {}
    values: dict[str, dict[str, dict[int, float]]] = {}
    for line in lines:
        try:
            row = json.loads(line)
            stage, done = row["stage"], int(row["done"])
            row["total"], row["time"]
        except (ValueError, KeyError, TypeError):
            continue  # cut by the window or a crash, or still being written
        stage, share = _whole(stage)
        newest.setdefault(stage, {})[share] = row
        for figure in SHOWN:
            if isinstance(row.get(figure), int | float):
                # A step that was taken again after a crash counts as it went the last time.
                values.setdefault(stage, {}).setdefault(figure, {})[done] = float(row[figure])
    return {
        stage: _together(
            list(rows.values()),
            {SHOWN[figure]: _curve(points) for figure, points in values.get(stage, {}).items()},
        )
        for stage, rows in map(_last_way_of_sharing, newest.items())
    }


def _whole(name: str) -> tuple[str, tuple[int, int]]:
    """A name of `metrics.jsonl`, such as `walk 2/4`, as the stage and the share of it."""
    found = _SHARE.fullmatch(name)
    return (found[1], (int(found[2]), int(found[3]))) if found else (name, (1, 1))


def _last_way_of_sharing(entry: tuple[str, dict[tuple[int, int], dict]]) -> tuple[str, dict]:
    """The newest rows of a stage's shares; those of another number of shares are from before."""
    stage, rows = entry
    _, count = max(rows, key=lambda share: rows[share]["time"])
    return stage, {share: row for share, row in rows.items() if share[1] == count}


def _together(rows: list[dict], curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> StageFigures:
    left = [row["eta_s"] for row in rows if isinstance(row.get("eta_s"), int | float)]
    return StageFigures(
        sum(int(row["done"]) for row in rows),
        sum(int(row["total"]) for row in rows),
        max(float(row["time"]) for row in rows),
        max(left, default=None),
        curves,
    )


def _curve(points: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    done = np.array(sorted(points))
    kept = np.unique(np.linspace(0, len(done) - 1, min(len(done), _MOST_POINTS)).round().astype(int))
    return done[kept], np.array([points[int(item)] for item in done[kept]])
