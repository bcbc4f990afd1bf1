"""Score CAM sources on a split: stream the images once, keep counts, remember them on disk.

With a cache folder, memory is bounded by a block of images whatever the length of the split:
counts of a finished block go to a file, and what is asked later streams over those files. A run
that was stopped goes on with its next block.

Shapes: K present classes, H x W pixels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import numpy as np

from orandnet_core.counts_cache import StoredCounts
from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError, DataError
from orandnet_core.fusion import Fusion
from orandnet_core.metrics import (
    Agreement,
    CountsOfSome,
    Metrics,
    Surfaces,
    Sweep,
    ThresholdChoice,
    TrimapGrid,
)
from orandnet_core.metrics.levels import Truth
from orandnet_core.protocol import ProtocolCard
from orandnet_core.scoring_pass import WORKERS, Progress, Tally, run_pass
from orandnet_core.scoring_tallies import PairImage, SourceImage, fingerprint_of, pair_tallies, source_tallies
from orandnet_core.sources import (
    MaskSource,
    Source,
    fused_source,
    mask_source,
    read_both,
    store_source,
)

__all__ = [
    "MaskSource",
    "PairScores",
    "Scores",
    "Source",
    "card_of",
    "fused_source",
    "mask_source",
    "read_both",
    "score",
    "score_pair",
    "split_ids",
    "store_source",
    "true_mask",
]

Array = np.ndarray

TRIMAP_OF = (Fusion("or"), Fusion("and"))


@dataclass(frozen=True)
class Scores:
    """One source on one split, at every threshold.

    Attributes:
        card: the protocol card of the curves; `at` gives that of one threshold.
        sweep: the data set's counts; `sweep.metrics` are the scores at every threshold.
        counts: the images' counts, for subsets, bootstrap, threshold rules and per-image scores.
        skipped: why images were passed over, by image id.
        agreement: what the rule `no_labels` needs; None where no two networks were scored.
        of_masks: they are of a `MaskSource`: every threshold gives the same.
    """

    card: ProtocolCard
    sweep: Sweep
    counts: StoredCounts | CountsOfSome
    skipped: Mapping[str, str]
    agreement: Agreement | None = None
    of_masks: bool = False

    def at(self, choice: ThresholdChoice) -> tuple[Metrics, ProtocolCard]:
        """The scores at a chosen threshold, with the card to show beside them.

        What was `calibrated` on some of these images is scored on the others; so are masks, whose card
        otherwise stays what it is.
        """
        scored_ids, sweep = self.counts.image_ids, self.sweep
        if choice.rule == "calibrated":
            seen_here = [image_id for image_id in scored_ids if image_id in choice.seen_ids]
            scored_ids = choice.unseen(scored_ids)
            sweep = sweep - self.counts.select(seen_here).total()
        found = sweep.at(choice.value)
        if not self.of_masks:
            return found, self.card.with_threshold(choice, scored_ids)
        of_data = slice(self.card.num_classes)  # without what is undecided
        metrics = Metrics(found.true_positive[of_data], found.predicted[of_data], found.target[of_data])
        return metrics, replace(self.card, images=len(scored_ids))

    def only(self, image_ids: Iterable[str], subset: str) -> "Scores":
        """The scores of some of the images, from the counts that are there.

        They are to be looked at, at thresholds chosen on all images: what `no_labels` needs is left out.

        Args:
            image_ids: of the split; those that were not scored are passed over.
            subset: which these are, in words, for the protocol card.

        Raises:
            DataError: none of them was scored.
        """
        wanted = set(image_ids)
        ids = tuple(image_id for image_id in self.counts.image_ids if image_id in wanted)
        if not ids:
            raise DataError(f"none of the {len(wanted):,} images {subset} was scored; choose others")
        counts = CountsOfSome(self.counts, ids)
        data_hash = fingerprint_of(self.card.data_hash, *ids)
        card = replace(self.card, images=len(ids), subset=subset, data_hash=data_hash)
        return replace(self, card=card, sweep=counts.total(), counts=counts, agreement=None)


@dataclass(frozen=True)
class PairScores:
    """Two networks and what is fused from them, from one pass over both.

    Attributes:
        scores: by source name: the two networks, then one for every fusion.
        trimaps: coverage and precision over all (t_or, t_and).
        surfaces: one class against the rest over all (t_cnn, t_vit).
    """

    scores: Mapping[str, Scores]
    trimaps: TrimapGrid
    surfaces: Surfaces

    @property
    def is_there(self) -> bool:
        """As of `StoredCounts`, of all sources."""
        return all(scores.counts.is_there for scores in self.scores.values())


def score(
    dataset: Dataset,
    split: str,
    source: Source | MaskSource,
    *,
    networks: tuple[Source, Source] | None = None,
    image_ids: Iterable[str] | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> Scores:
    """Score one source on a split.

    Args:
        dataset, split: images with masks; those without are passed over and listed.
        source: gives the maps, or masks.
        networks: the two behind the source, for the rule `no_labels`; an image that one of them lacks
            is then passed over.
        image_ids: a subset of the split (default: all of it).
        cache_dir: where counts are kept; without it they stay in memory.
        progress: called as progress(done, total) after every image. To cancel, raise from it:
            finished blocks of images stay in the cache.
        workers: threads that read and count.

    Returns:
        The scores; in milliseconds if the cache has them.

    Raises:
        DataError: no image could be scored; the message gives one of the reasons.
    """
    ids = split_ids(dataset, split, image_ids)
    sources = (source, *(networks or ()))
    counts, *agreement = tallies = source_tallies(dataset, split, ids, source, networks, cache_dir)

    def read(image_id: str) -> SourceImage:
        truth = _truth(dataset, image_id)
        best = [each.best_of(image_id, dataset.num_classes) for each in sources]
        return SourceImage(image_id, truth, best)

    run_pass(ids, read, tallies, progress, workers)
    found = _total(agreement[0]) if agreement else None
    return _scores(dataset, split, ids, source, counts, found)


def score_pair(
    dataset: Dataset,
    split: str,
    cnn: Source,
    vit: Source,
    fusions: Mapping[str, Fusion],
    *,
    trimap_of: tuple[Fusion, Fusion] = TRIMAP_OF,
    image_ids: Iterable[str] | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> PairScores:
    """Score two networks and any fusions of them, reading every map once.

    An image counts only if both networks have it, so that all sources are scored on the same
    images. With a cache, a fusion that is new costs a pass and those that are known cost none.

    Args:
        cnn, vit: the networks.
        fusions: by the name of the source that each makes.
        trimap_of: the fusions that stand for OR and AND in the trimaps.
        dataset, split, image_ids, cache_dir, progress, workers: as in `score`.

    Raises:
        ConfigError: two sources of the same name.
        DataError: as in `score`.
    """
    names = [cnn.name, vit.name, *fusions]
    if len(set(names)) < len(names):
        raise ConfigError(f"sources {', '.join(names)}: every source needs a name of its own")
    ids = split_ids(dataset, split, image_ids)
    tallies = pair_tallies(dataset, split, ids, cnn, vit, fusions, trimap_of, cache_dir)

    def read(image_id: str) -> PairImage:
        truth = _truth(dataset, image_id)
        return PairImage(image_id, truth, *read_both(cnn, vit, image_id), dataset.num_classes)

    run_pass(ids, read, tallies.all, progress, workers)

    sources = {name: fused_source(name, cnn, vit, fusion) for name, fusion in fusions.items()}
    sources |= {cnn.name: cnn, vit.name: vit}
    scores = {
        name: _scores(
            dataset, split, ids, sources[name], tallies.counts[name], _total(tallies.agreements[name])
        )
        for name in names
    }
    return PairScores(scores, _total(tallies.trimaps), _total(tallies.surfaces))


def split_ids(dataset: Dataset, split: str, image_ids: Iterable[str] | None = None) -> tuple[str, ...]:
    """The images to score, in the split's order; DataError for one that is not in the split, or for none."""
    ids = dataset.image_ids(split)
    if image_ids is not None:
        wanted = set(image_ids)
        if unknown := wanted.difference(ids):
            raise DataError(f"{dataset.name}: {min(unknown)!r} is not in the split {split!r}")
        ids = tuple(image_id for image_id in ids if image_id in wanted)
    if not ids:
        raise DataError(f"{dataset.name}: no image of the split {split!r} to score; choose others")
    return ids


def true_mask(dataset: Dataset, image_id: str) -> Array:
    """(H, W) uint8 ground truth of an image; DataError where it has none, or one that cannot be read."""
    mask = dataset.mask(image_id)
    if mask is None:
        raise DataError(f"{dataset.mask_path_of(image_id)}: no mask; add one to have {image_id} scored")
    return mask


def _truth(dataset: Dataset, image_id: str) -> Truth:
    return Truth.of(true_mask(dataset, image_id), dataset.num_classes, image_id)


def _scores(
    dataset: Dataset,
    split: str,
    ids: Sequence[str],
    source: Source | MaskSource,
    tally: Tally,
    agreement: Agreement | None = None,
) -> Scores:
    skipped = tally.shelf.skipped()
    card = card_of(dataset, split, ids, skipped, source.name, source.fingerprint)
    counted = tuple(image_id for image_id in ids if image_id not in skipped)
    counts = StoredCounts(tally.shelf, source.counted_classes(dataset.num_classes), counted)
    of_masks = isinstance(source, MaskSource)
    if of_masks:
        decided = {name: getattr(source, name) for name in ("threshold", "threshold_rule", "chosen_on")}
        card = replace(card, **decided)
    return Scores(card, counts.total(), counts, skipped, agreement, of_masks)


def card_of(
    dataset: Dataset, split: str, ids: Sequence[str], skipped: Mapping[str, str], name: str, fingerprint: str
) -> ProtocolCard:
    """The protocol card of a source on images of a split, without a threshold yet.

    Args:
        ids: the images that were to be scored, at least one.
        skipped: why some of them were passed over, by image id.
        name, fingerprint: of the source.

    Raises:
        DataError: all of them were; the message gives one of the reasons.
    """
    if len(skipped) == len(ids):
        reason = next(iter(skipped.values()))
        raise DataError(
            f"{dataset.name}, {split}: none of {len(ids)} images could be scored; the first: {reason}"
        )
    whole = len(ids) == len(dataset.image_ids(split))
    data_hash = dataset.fingerprint(split)
    return ProtocolCard(
        dataset=dataset.name,
        split=split,
        images=len(ids) - len(skipped),
        skipped=len(skipped),
        num_classes=dataset.num_classes,
        source=name,
        source_hash=fingerprint,
        data_hash=data_hash if whole else fingerprint_of(data_hash, *ids),
    )


def _total(tally: Tally) -> TrimapGrid | Surfaces | Agreement:
    """The sum over blocks, two in memory at a time."""
    return tally.shelf.total(lambda blocks: reduce(lambda one, other: tally.merged([one, other]), blocks))
