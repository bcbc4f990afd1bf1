"""Runs belong together when nothing but their seed differs."""

import json
from pathlib import Path

from train.config import to_dict
from train.recipes import recipe
from train.seeds import seed_groups, seed_of


def run(root: Path, name: str, **changes: object) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(to_dict(recipe("scenes")) | changes))
    return folder


def test_only_the_seed_may_differ(tmp_path):
    second, first = run(tmp_path, "b", seed=1), run(tmp_path, "a", seed=0)
    other = run(tmp_path, "other", seed=2, fusion={})
    again = run(tmp_path, "again", seed=1)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    every = [second, first, other, again, tmp_path / "broken", tmp_path / "gone"]
    assert seed_groups(every) == [[first, second]]
    assert seed_groups([second, again]) == []
    assert [seed_of(folder) for folder in (first, second, tmp_path / "gone")] == [0, 1, 0]
