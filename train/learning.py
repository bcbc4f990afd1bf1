"""How a classifier learned, as a row of `docs/results.json`: its time, and loss and mAP after each epoch."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from orandnet_core.datasets import Dataset
from train.config import Recipe
from train.results_page import Row


def learning_row(
    recipe: Recipe, dataset: Dataset, source: str, result: Mapping[str, Any], run_dir: Path
) -> Row:
    """The row of one training, without its command and device.

    Args:
        source: `cnn` or `vit`.
        result: what `train.classify.classify` returned of a network that was trained, not adopted.
        run_dir: where it was trained.

    Returns:
        With `curve`, a point an epoch: `step` (taken so far), `loss` (mean of those reported since the
        epoch before, None where there was none) and `map` (mean average precision, fraction).
    """
    stage = f"classify-{source}"
    return {
        "dataset": dataset.name,
        "recipe": recipe.name,
        "split": result["eval_split"],
        "images": result["images"],
        "source": source,
        "stage": stage,
        "map": result["map"],
        "training_s": result["seconds"],
        "curve": _curve(run_dir, stage),
    }


def _curve(run_dir: Path, stage: str) -> list[dict[str, float]]:
    # By step: one that was taken again after an interruption counts as it went the last time.
    losses: dict[int, float] = {}
    scores: dict[int, float] = {}
    for figures in _reported(run_dir / "metrics.jsonl", stage):
        if "loss" in figures:
            losses[figures["done"]] = figures["loss"]
        if "map" in figures:
            scores[figures["done"]] = figures["map"]
    points, before = [], 0
    for step in sorted(scores):
        since = [loss for done, loss in losses.items() if before < done <= step]
        points.append({"step": step, "loss": float(np.mean(since)) if since else None, "map": scores[step]})
        before = step
    return points


def _reported(path: Path, stage: str) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            figures = json.loads(line)
        except ValueError:
            continue  # torn by a full disk
        if figures.get("stage") == stage:
            yield figures
