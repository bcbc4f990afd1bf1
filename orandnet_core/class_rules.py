"""A rule of its own for every class: which network, or which fusion of both, gives the class its map.

The rules are chosen on some images and scored on others, fold by fold, so that what is told of
them is what a user would get on images without masks. Each rule's maps are rescaled so that its
threshold lies at one half: maps of different rules then compete at a pixel as equals.

Shapes: K present classes, H x W pixels, C classes with background.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial, reduce
from pathlib import Path

import numpy as np

from orandnet_core.counts_cache import StoredCounts
from orandnet_core.datasets import Dataset
from orandnet_core.errors import RangeError
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.metrics import Counts, ImageCounts, Metrics, Sweep, thresholds
from orandnet_core.metrics.levels import BestLevels, Truth
from orandnet_core.metrics.sweep import count_image
from orandnet_core.protocol import ProtocolCard
from orandnet_core.scoring import PairScores, Source, card_of, read_both, true_mask
from orandnet_core.scoring_pass import WORKERS, Progress, Tally, cache_key, run_pass, shelf_for

__all__ = [
    "CANDIDATES",
    "HALF",
    "ClassRules",
    "CrossValidated",
    "choose_rules",
    "cross_validated",
    "rules_source",
]

Array = np.ndarray

CANDIDATES = ("cnn", "vit", "or", "and", "mean")
HALF = 0.5  # the threshold of rescaled maps
FOLDS = 5


@dataclass(frozen=True)
class ClassRules:
    """The rule that gives each class its map.

    Attributes:
        rules: of each foreground class, C - 1 names of `fusion.RULES`; `rules[k - 1]` is of class k.
        thresholds: the background threshold of each rule that occurs.
    """

    rules: tuple[str, ...]
    thresholds: Mapping[str, float]

    @property
    def fingerprint(self) -> str:
        """Changes with the rules and their thresholds."""
        text = f"{self.rules} {sorted(self.thresholds.items())}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def fuse(self, cnn_cam: Array, vit_cam: Array, class_ids: Array) -> Array:
        """(K, H, W) in [0, 1]: each class's map by its own rule, its threshold moved to one half."""
        fused = np.empty(cnn_cam.shape, np.float32)
        for rule in {self.rules[k - 1] for k in class_ids}:
            mine = np.array([self.rules[k - 1] == rule for k in class_ids])
            maps = fuse(cnn_cam[mine], vit_cam[mine], Fusion(rule))
            fused[mine] = _rescaled(maps, self.thresholds[rule])
        return fused


@dataclass(frozen=True)
class CrossValidated:
    """A rule for each class beside the best rule for all, each scored on images that did not choose it.

    Attributes:
        card: of the scores; every image was scored by what the other folds chose.
        suggested: the rules that all images together choose, for use on further images.
        chosen: by each fold.
        per_class: (C,) and mean scores of a rule for each class.
        single: the same of the one rule that did best on the other folds.
        single_rules: that rule, by fold.
        optimistic: of a rule for each class chosen on the very images that are scored (oracle).
    """

    card: ProtocolCard
    suggested: ClassRules
    chosen: tuple[ClassRules, ...]
    per_class: Metrics
    single: Metrics
    single_rules: tuple[str, ...]
    optimistic: Metrics


def choose_rules(totals: Mapping[str, Sweep], num_classes: int) -> tuple[ClassRules, str]:
    """The rules that do best on some images, each at the threshold that does best there.

    Args:
        totals: counts of the images together, by rule.
        num_classes: with background.

    Returns:
        For each class, the rule with its best IoU (a class without pixels takes the best for all),
        and the one rule with the best mIoU.
    """
    at = {name: thresholds.best_threshold(total) for name, total in totals.items()}
    metrics = {name: total.at(at[name]) for name, total in totals.items()}
    best = max(metrics, key=lambda name: float(metrics[name].mean_iou))
    rules = []
    for label in range(1, num_classes):
        scores = {name: float(each.iou[label]) for name, each in metrics.items()}
        known = {name: score for name, score in scores.items() if not np.isnan(score)}
        # Of equals, the one that is best for all: a rule of its own must earn its place.
        rules.append(max(known, key=lambda name: (known[name], name == best)) if known else best)
    return ClassRules(tuple(rules), {name: at[name] for name in {*rules, best}}), best


def rules_source(name: str, cnn: Source, vit: Source, rules: ClassRules) -> Source:
    """The source of `rules`; its background threshold is `HALF`."""

    def cam_of(image_id: str) -> tuple[Array, Array]:
        cnn_cam, vit_cam, class_ids = read_both(cnn, vit, image_id)
        return rules.fuse(cnn_cam, vit_cam, class_ids), class_ids

    fingerprint = hashlib.sha256(f"{cnn.fingerprint} {vit.fingerprint} {rules.fingerprint}".encode())
    return Source(name, fingerprint.hexdigest()[:12], cam_of)


def cross_validated(
    dataset: Dataset,
    split: str,
    cnn: Source,
    vit: Source,
    scored: PairScores,
    *,
    candidates: Sequence[str] = CANDIDATES,
    folds: int = FOLDS,
    seed: int = 0,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> CrossValidated:
    """Choose a rule for each class on all folds but one, score it on that one, and so on.

    Args:
        cnn, vit: the networks.
        scored: both networks and all candidates on the split (`score_pair`).
        candidates: names in `scored.scores`, keys of `fusion.RULES`.
        folds: parts of the images, at random.
        seed: of the parts.
        dataset, split, cache_dir, progress, workers: as in `scoring.score`.

    Raises:
        RangeError: fewer than two folds, or fewer images than folds.
    """
    counts_of = {name: scored.scores[name].counts for name in candidates}
    ids = next(iter(counts_of.values())).image_ids
    if not 2 <= folds <= len(ids):
        raise RangeError(f"folds is {folds}; of {len(ids)} images it can be 2 to {len(ids)}")
    fold_of = dict(
        zip(ids, np.random.default_rng(seed).permutation(np.arange(len(ids)) % folds), strict=True)
    )
    inside = {name: _kept_totals(counts, fold_of, folds, seed) for name, counts in counts_of.items()}
    totals = {name: counts.total() for name, counts in counts_of.items()}
    chosen, single_rules, single = [], [], None
    for fold in range(folds):
        others = {name: totals[name] - inside[name][fold] for name in totals}
        rules, best = choose_rules(others, dataset.num_classes)
        found = inside[best][fold].at(rules.thresholds[best])
        single = found if single is None else _sum(single, found)
        chosen.append(rules)
        single_rules.append(best)
    suggested, _ = choose_rules(totals, dataset.num_classes)

    def read(image_id: str) -> dict[str, ImageCounts]:
        truth = Truth.of(true_mask(dataset, image_id), dataset.num_classes, image_id)
        cnn_cam, vit_cam, class_ids = read_both(cnn, vit, image_id)
        return {
            name: count_image(
                BestLevels.of(rules.fuse(cnn_cam, vit_cam, class_ids), class_ids, dataset.num_classes),
                truth, dataset.num_classes, image_id,
            )
            for name, rules in (("own", chosen[fold_of[image_id]]), ("all", suggested))
        }  # fmt: skip

    prints = [cnn.fingerprint, vit.fingerprint, suggested.fingerprint, *(each.fingerprint for each in chosen)]
    key = cache_key(dataset, split, ids, *prints, "class rules")
    tallies = [
        Tally(
            shelf_for(cache_dir, f"{key}-{name}", ImageCounts, Sweep),
            lambda counts, name=name: counts[name],
            partial(ImageCounts.merged, num_classes=dataset.num_classes),
        )
        for name in ("own", "all")
    ]  # fmt: skip
    run_pass(ids, read, tallies, progress, workers)
    own, everything = (tally.shelf.total(Sweep.sum_of).at(HALF) for tally in tallies)
    card = card_of(dataset, split, ids, {}, "a rule for each class", suggested.fingerprint)
    choice = thresholds.ThresholdChoice(
        HALF, "calibrated", f"{folds - 1} of {folds} folds, scored on the one left out"
    )
    return CrossValidated(
        card.with_threshold(choice, ids),
        suggested,
        tuple(chosen),
        own,
        single,
        tuple(single_rules),
        everything,
    )


def _kept_totals(counts: StoredCounts, fold_of: Mapping[str, int], folds: int, seed: int) -> list[Sweep]:
    """The counts of each fold's images together, made once and kept."""

    @cache
    def totals() -> list[Sweep]:
        return _totals_of_folds(counts, fold_of, folds)

    return [
        counts.kept(f"fold-{fold}-of-{folds}-by-{seed}", Sweep, lambda fold=fold: totals()[fold])
        for fold in range(folds)
    ]


def _totals_of_folds(counts: Counts, fold_of: Mapping[str, int], folds: int) -> list[Sweep]:
    """The counts of each fold's images together; holds a block of images at a time."""
    parts: list[list[Sweep]] = [[] for _ in range(folds)]
    for block in counts.blocks():
        for fold, held in enumerate(parts):
            here = block.select(image_id for image_id in block.image_ids if fold_of[image_id] == fold)
            held[:] = [reduce(Sweep.__add__, [*held, here.total()])]
    return [held[0] for held in parts]


def _rescaled(cam: Array, threshold: float) -> Array:
    """Straight from 0 to the threshold to 1, with the threshold at one half."""
    if threshold <= 0:
        return HALF + HALF * cam
    below = np.minimum(cam * np.float32(HALF / threshold), np.float32(HALF))
    above = HALF + (cam - np.float32(threshold)) * np.float32(HALF / max(1 - threshold, 1e-6))
    return np.where(cam > threshold, np.maximum(above, np.nextafter(np.float32(HALF), np.float32(1))), below)


def _sum(one: Metrics, other: Metrics) -> Metrics:
    return Metrics(
        one.true_positive + other.true_positive, one.predicted + other.predicted, one.target + other.target
    )
