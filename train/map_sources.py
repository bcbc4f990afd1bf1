"""Sources of a run's folder as the core scores them: both networks, their fusions, and further stores."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from orandnet_core.datasets import Dataset
from orandnet_core.fusion import RULES, Fusion
from orandnet_core.scoring import PairScores, Scores, Source, fused_source, score, score_pair, store_source
from orandnet_core.store import CamStore
from train.progress import Progress
from train.sources import check_source
from train.workspace import cache_dir, cam_stores

__all__ = ["NETWORKS", "map_source", "pair_scores", "scores_of"]

NETWORKS = ("cnn", "vit")


def map_source(run_dir: Path, name: str) -> Source:
    """A source by name: `cnn`, `vit`, a fusion rule, or any other CAM store of the run.

    Raises:
        ConfigError: the run has no such source; the message says what it has.
    """
    check_source(name, run_dir)
    stores = cam_stores(run_dir)
    if name in stores:
        return store_source(CamStore(stores[name]), name)
    return fused_source(name, *(map_source(run_dir, each) for each in NETWORKS), Fusion(name))


def pair_scores(dataset: Dataset, split: str, run_dir: Path, rules: Iterable[str]) -> PairScores:
    """Both networks and some fusion rules on a split, from one pass, with progress; kept on disk."""
    cnn, vit = (map_source(run_dir, name) for name in NETWORKS)
    fusions = {rule: Fusion(rule) for rule in rules if rule not in NETWORKS}
    with Progress(f"score-{split}", len(dataset.image_ids(split))) as progress:
        return score_pair(
            dataset, split, cnn, vit, fusions, cache_dir=cache_dir() / "scores",
            progress=lambda done, _: progress.advance(done - progress.done),
        )  # fmt: skip


def scores_of(dataset: Dataset, split: str, run_dir: Path, names: Iterable[str]) -> Mapping[str, Scores]:
    """The scores of sources by name, in the order given; those of both networks and of rules from one pass.

    Raises:
        ConfigError: the run has no such source.
        DataError: no image could be scored.
    """
    names = tuple(names)
    sources = {name: map_source(run_dir, name) for name in names}
    pair = pair_scores(dataset, split, run_dir, (name for name in names if name in RULES))
    found = {}
    for name, source in sources.items():
        if name in RULES:
            found[name] = pair.scores[name]
            continue
        with Progress(f"score-{split}-{name}", len(dataset.image_ids(split))) as progress:
            found[name] = score(
                dataset, split, source, networks=tuple(map_source(run_dir, each) for each in NETWORKS),
                cache_dir=cache_dir() / "scores",
                progress=lambda done, _, bar=progress: bar.advance(done - bar.done),
            )  # fmt: skip
    return found
