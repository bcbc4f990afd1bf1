"""Which pairs of trained networks there are: released ones and those of runs. Needs no torch."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from safetensors import SafetensorError, safe_open

from orandnet_core.errors import ConfigError
from pages.components import catalog
from train.config import Recipe, from_dict
from train.recipes import RECIPES, recipe

SOURCES = ("cnn", "vit")
_RELEASED = Path(__file__).resolve().parents[2] / "assets" / "weights"


@dataclass(frozen=True)
class NetworkPair:
    """A CNN and a ViT that were trained together.

    Attributes:
        name: for screen.
        run: the run that they come from; None for released weights.
        cnn, vit: their files.
        stamp: changes with the files.
        class_names: the C classes that both know.
    """

    name: str
    run: str | None
    cnn: Path
    vit: Path
    stamp: tuple[int, int]
    class_names: tuple[str, ...]

    def path(self, source: str) -> Path:
        """The file of `cnn` or `vit`."""
        return {"cnn": self.cnn, "vit": self.vit}[source]

    @property
    def settings(self) -> Recipe:
        """The recipe that trained them: the run's own, or the one that released weights are named after."""
        if self.run is None:
            stem = self.cnn.name.removesuffix("_cnn.safetensors")
            return recipe(stem if stem in RECIPES else catalog.SAMPLE)
        return _run_settings(self.cnn.parents[1] / "config.json", self.stamp)


def network_pairs() -> dict[str, NetworkPair]:
    """All pairs by name: the released ones, those for real photos first, then every run's."""
    stems = sorted(path.name.removesuffix("_cnn.safetensors") for path in _RELEASED.glob("*_cnn.safetensors"))
    candidates = [
        (f"{stem} (released)", None, *(_RELEASED / f"{stem}_{source}.safetensors" for source in SOURCES))
        for stem in sorted(stems, key=lambda stem: stem == catalog.SAMPLE)
    ]
    for run in catalog.runs():
        paths = (run.folder / f"classify-{source}" / "classifier.safetensors" for source in SOURCES)
        candidates.append((f"{run.name} (run)", run.name, *paths))
    pairs = (_pair(*candidate) for candidate in candidates)
    return {pair.name: pair for pair in pairs if pair is not None}


def pair_for(run: str | None, class_names: tuple[str, ...]) -> NetworkPair | None:
    """The networks of a run, or else released ones that know the same classes."""
    fitting = [pair for pair in network_pairs().values() if pair.class_names == class_names]
    of_run = [pair for pair in fitting if pair.run is not None and pair.run == run]
    released = [pair for pair in fitting if pair.run is None]
    return next(iter(of_run + released), None)


def _pair(name: str, run: str | None, cnn: Path, vit: Path) -> NetworkPair | None:
    """The pair, or None while one of the two is in training, or where they do not fit together."""
    try:
        stamp = cnn.stat().st_mtime_ns, vit.stat().st_mtime_ns
        names = {_class_names(cnn, stamp), _class_names(vit, stamp)}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
    return NetworkPair(name, run, cnn, vit, stamp, names.pop()) if len(names) == 1 else None


@lru_cache(maxsize=256)
def _class_names(path: Path, stamp: tuple[int, int]) -> tuple[str, ...]:
    """From the file's header alone."""
    with safe_open(path, "np") as file:
        return tuple(json.loads((file.metadata() or {})["network"])["class_names"])


@lru_cache(maxsize=64)
def _run_settings(path: Path, stamp: tuple[int, int]) -> Recipe:
    try:
        return from_dict(json.loads(path.read_text(encoding="utf-8")), Recipe)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a readable recipe ({error}); launch the run again") from None
