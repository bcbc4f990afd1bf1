"""What can be compared on a split: every run of the data set with the sources that it has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orandnet_core.datasets import Dataset
from orandnet_core.fusion import RULES, Fusion
from orandnet_core.scoring import Scores
from pages.components import catalog
from pages.components.scores import Pair, fusion_scores, pair_of, pair_scores, store_scores
from pages.components.selection import DatasetRef, Selection
from pages.components.sources import RunSource, further_sources

__all__ = ["Offer", "offers_of"]


@dataclass(frozen=True)
class Offer:
    """What a run offers to compare.

    Attributes:
        run: its name.
        dataset, split: whose images.
        pair: both networks, for the fusion rules; None where it lacks one.
        further: its other sources, by key.
    """

    run: str
    dataset: DatasetRef
    split: str
    pair: Pair | None
    further: Mapping[str, RunSource]

    def lacks(self, key: str, fusions: Mapping[str, Fusion]) -> bool:
        """Whether it has no such source: a rule, a further one, or a fusion of one's own."""
        fused = key in RULES or key in fusions
        return self.pair is None if fused else key not in self.further

    def scores(self, keys: Sequence[str], fusions: Mapping[str, Fusion]) -> dict[str, Scores]:
        """Of the sources named, those that are scored; of the others, progress is drawn.

        Args:
            fusions: of one's own, by key.
        """
        found = {}
        standard = pair_scores(self.pair) if self.pair and not RULES.keys().isdisjoint(keys) else None
        for key in keys:
            if self.lacks(key, fusions):
                continue
            if key in RULES:
                found[key] = standard and standard.scores[key]
            elif key in fusions:
                found[key] = fusion_scores(self.pair, fusions[key])
            else:
                found[key] = store_scores(self.dataset, self.split, self.run, self.further[key], self.pair)
        return {key: scores for key, scores in found.items() if scores is not None}


def offers_of(selection: Selection, dataset: Dataset) -> dict[str, Offer]:
    """Every run that has something of the split, by name; the sidebar's first."""
    ref, split = selection.dataset, selection.split
    further = further_sources(selection.run_dir, dataset, split)
    offers = {selection.run: Offer(selection.run, ref, split, pair_of(selection), further)}
    for run in catalog.runs_on(ref):
        stores, pair = run.stores, None
        if {"cnn", "vit"} <= stores.keys():
            pair = Pair(ref, split, run.name, stores["cnn"], stores["vit"])
        further = further_sources(run.folder, dataset, split)
        if pair or further:
            offers.setdefault(run.name, Offer(run.name, ref, split, pair, further))
    return offers
