"""Where everything that is made lies on disk, and which runs there are.

workspace/                 beside the code, or where ORANDNET_WORKSPACE says; never in git
├── data/scenes            the built-in sample
├── runs/<run>             a run: its job, state, log, figures, config, and a folder a stage
├── queue/<device>         who works on a device and who waits for it
└── cache                  what can be computed again
"""

import os
import re
from pathlib import Path

from orandnet_core.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def workspace_dir() -> Path:
    """The workspace's root, absolute; it need not exist yet."""
    return Path(os.environ.get("ORANDNET_WORKSPACE") or ROOT / "workspace").absolute()


def sample_dir() -> Path:
    """Where the built-in sample is made."""
    return workspace_dir() / "data" / "scenes"


def cache_dir() -> Path:
    """For what can be computed again: safe to delete, and then made again."""
    return workspace_dir() / "cache"


def runs_dir() -> Path:
    """The folder of all runs."""
    return workspace_dir() / "runs"


def run_dir(name: str) -> Path:
    """The folder of a run; it need not exist yet.

    Args:
        name: 1 to 64 letters, digits, `.`, `_` and `-`, a letter or digit first: it can leave
            the folder of runs by no path, and needs no quoting in a shell.

    Raises:
        ConfigError: another kind of name.
    """
    if not RUN_NAME.fullmatch(name):
        raise ConfigError(
            f"run name {name!r}: take 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
        )
    return runs_dir() / name


def free_run_name(stem: str) -> str:
    """`stem`, or `stem-2`, `stem-3`, ...: the first that no run has."""
    name, number = stem, 1
    while run_dir(name).exists():
        number += 1
        name = f"{stem}-{number}"
    return name


def run_names() -> list[str]:
    """All runs, the one that was made last first."""
    try:
        folders = [
            entry for entry in os.scandir(runs_dir()) if entry.is_dir() and RUN_NAME.fullmatch(entry.name)
        ]
    except FileNotFoundError:
        return []
    return [entry.name for entry in sorted(folders, key=lambda entry: (-_made_s(entry.path), entry.name))]


def cams_dir(folder: Path, source: str) -> Path:
    """Where the CAM store of a source (`cnn`, `vit`, `refine`, ...) lies in a run."""
    return folder / f"cams-{source}"


def cam_stores(folder: Path) -> dict[str, Path]:
    """The CAM stores of a run by source: its `cams-<source>` folders that have a card."""
    cards = sorted(folder.glob("cams-*/card.json"))
    return {card.parent.name.removeprefix("cams-"): card.parent for card in cards}


def _made_s(folder: str) -> float:
    """When a run was launched or configured last; 0 where neither file is there."""
    stamps = [os.path.join(folder, name) for name in ("job.json", "config.json")]
    return max((os.path.getmtime(path) for path in stamps if os.path.exists(path)), default=0.0)
