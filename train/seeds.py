"""Runs that differ in their seed alone, and how far their scores spread."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["seed_groups", "seed_of"]


def seed_groups(run_dirs: Iterable[Path]) -> list[list[Path]]:
    """Runs with the same config but for `seed`, two or more together, each group by seed.

    A run whose config.json cannot be read belongs to no group.
    """
    groups: dict[str, list[Path]] = {}
    for folder in run_dirs:
        config = _config(folder)
        if config is not None:
            groups.setdefault(_without_seed(config), []).append(folder)
    found = []
    for folders in groups.values():
        by_seed = {seed_of(folder): folder for folder in reversed(folders)}
        if len(by_seed) > 1:  # two runs with one seed are a repetition, which says nothing of seeds
            found.append([by_seed[seed] for seed in sorted(by_seed)])
    return found


def seed_of(run_dir: Path) -> int:
    """The seed in a run's config.json; 0 where it says nothing."""
    return int((_config(run_dir) or {}).get("seed", 0))


def _config(folder: Path) -> Mapping[str, object] | None:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def _without_seed(config: Mapping[str, object]) -> str:
    return json.dumps({name: value for name, value in config.items() if name != "seed"}, sort_keys=True)
