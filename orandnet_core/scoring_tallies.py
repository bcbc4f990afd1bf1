"""What scoring counts of an image: the tallies of one source, and of two networks with their fusions.

Shapes: K present classes, H x W pixels.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from orandnet_core.datasets import Dataset
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.metrics import Agreement, ImageCounts, Surfaces, Sweep, TrimapGrid
from orandnet_core.metrics.agreement import agreement_counts
from orandnet_core.metrics.levels import BestLevels, Truth
from orandnet_core.metrics.surfaces import count_surfaces
from orandnet_core.metrics.sweep import count_image
from orandnet_core.metrics.trimap_grid import count_trimaps
from orandnet_core.scoring_pass import Tally, cache_key, shelf_for
from orandnet_core.sources import MaskSource, Source

__all__ = ["PairImage", "PairTallies", "SourceImage", "fingerprint_of", "pair_tallies", "source_tallies"]

Array = np.ndarray

CNN, VIT = Fusion("cnn"), Fusion("vit")


@dataclass(frozen=True)
class PairTallies:
    """What `score_pair` counts; counts and agreements by name of the source."""

    counts: Mapping[str, Tally]
    agreements: Mapping[str, Tally]
    trimaps: Tally
    surfaces: Tally

    @property
    def all(self) -> list[Tally]:
        return [*self.counts.values(), *self.agreements.values(), self.trimaps, self.surfaces]


@dataclass(frozen=True)
class SourceImage:
    """An image as `score` reads it; the source's best levels first, then those of its networks."""

    image_id: str
    truth: Truth
    best: Sequence[BestLevels]


@dataclass(frozen=True)
class PairImage:
    """An image as `score_pair` reads it: fused maps and their levels are made once each."""

    image_id: str
    truth: Truth
    cnn_cam: Array
    vit_cam: Array
    class_ids: Array
    num_classes: int
    _best: dict[Fusion, BestLevels] = field(default_factory=dict)

    def best(self, fusion: Fusion) -> BestLevels:
        if fusion not in self._best:
            cam = fuse(self.cnn_cam, self.vit_cam, fusion)
            self._best[fusion] = BestLevels.of(cam, self.class_ids, self.num_classes)
        return self._best[fusion]

    def counts(self, fusion: Fusion) -> ImageCounts:
        return count_image(self.best(fusion), self.truth, self.num_classes, self.image_id)

    def agreement(self, fusion: Fusion) -> Agreement:
        return agreement_counts(self.best(fusion), self.best(CNN), self.best(VIT))

    def trimaps(self, or_fusion: Fusion, and_fusion: Fusion) -> TrimapGrid:
        or_best, and_best = self.best(or_fusion), self.best(and_fusion)
        return count_trimaps(or_best, and_best, self.truth, self.num_classes, self.image_id)

    def surfaces(self) -> Surfaces:
        return count_surfaces(
            self.cnn_cam, self.vit_cam, self.class_ids, self.truth, self.num_classes, self.image_id
        )


def source_tallies(
    dataset: Dataset,
    split: str,
    ids: Sequence[str],
    source: Source | MaskSource,
    networks: tuple[Source, Source] | None,
    cache_dir: Path | None,
) -> list[Tally]:
    """What `score` counts: the source, and with networks their agreement."""
    num_classes = source.counted_classes(dataset.num_classes)
    key = cache_key(dataset, split, ids, *(each.fingerprint for each in (source, *(networks or ()))))
    counts = Tally(
        shelf=shelf_for(cache_dir, key, ImageCounts, Sweep),
        count=lambda image: count_image(image.best[0], image.truth, num_classes, image.image_id),
        merged=partial(ImageCounts.merged, num_classes=num_classes),
    )
    if networks is None:
        return [counts]
    agreement = Tally(
        shelf=shelf_for(cache_dir, fingerprint_of(key, Agreement.__name__), Agreement, Agreement),
        count=lambda image: agreement_counts(*image.best),
        merged=Agreement.merged,
    )
    return [counts, agreement]


def pair_tallies(
    dataset: Dataset,
    split: str,
    ids: Sequence[str],
    cnn: Source,
    vit: Source,
    fusions: Mapping[str, Fusion],
    trimap_of: tuple[Fusion, Fusion],
    cache_dir: Path | None,
) -> PairTallies:
    pair_key = cache_key(dataset, split, ids, cnn.fingerprint, vit.fingerprint)
    num_classes = dataset.num_classes

    def tally(count: Callable, kind: type, *settings: Fusion, total_kind: type | None = None) -> Tally:
        key = fingerprint_of(pair_key, kind.__name__, *(fusion.fingerprint for fusion in settings))
        return Tally(
            shelf=shelf_for(cache_dir, key, kind, total_kind or kind),
            count=lambda image: count(image, *settings),
            merged=kind.merged if kind is Agreement else partial(kind.merged, num_classes=num_classes),
        )

    fusion_of = {cnn.name: CNN, vit.name: VIT, **fusions}
    return PairTallies(
        counts={
            name: tally(PairImage.counts, ImageCounts, fusion, total_kind=Sweep)
            for name, fusion in fusion_of.items()
        },
        agreements={
            name: tally(PairImage.agreement, Agreement, fusion) for name, fusion in fusion_of.items()
        },
        trimaps=tally(PairImage.trimaps, TrimapGrid, *trimap_of),
        surfaces=tally(PairImage.surfaces, Surfaces),
    )


def fingerprint_of(*parts: str) -> str:
    """Twelve hex digits that change with any part."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
