"""Scores of the selected sources: made in the background, cached on disk, shared by all pages.

Every function here returns None while it draws progress in place of the result.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError
from orandnet_core.fusion import RULES, Fusion
from orandnet_core.mask_store import MaskStore
from orandnet_core.metrics import (
    THRESHOLD_RULES,
    Bootstrap,
    PerImage,
    ThresholdChoice,
)
from orandnet_core.scoring import (
    PairScores,
    Scores,
    Source,
    score,
    score_pair,
    store_source,
)
from pages.components import loaders
from pages.components.selection import DatasetRef, Selection
from pages.components.sources import RunSource, further_sources, opened
from pages.components.tasks import Report, ask_for_pass, result_or_progress
from train.workspace import cache_dir

NETWORKS = ("cnn", "vit")
# Every rule as it comes; together they cost one pass over the maps.
STANDARD: Mapping[str, Fusion] = {name: Fusion(name) for name in RULES if name not in NETWORKS}


@dataclass(frozen=True)
class Pair:
    """Two networks' CAMs on a split: what there is to score.

    Attributes:
        dataset: where the images lie.
        split: which of them.
        run: the name of the run that made the CAMs.
        cnn_store, vit_store: the CAM stores' folders.
    """

    dataset: DatasetRef
    split: str
    run: str
    cnn_store: Path
    vit_store: Path

    @property
    def fingerprint(self) -> str:
        """Changes with the images, their labels, the maps of either network, and where they lie."""
        dataset = loaders.open_dataset_cached(self.dataset)
        stores = [loaders.store_cached(root).fingerprint for root in (self.cnn_store, self.vit_store)]
        return task_key(str(self.dataset.root), self.split, dataset.fingerprint(self.split), *stores)


def pair_of(selection: Selection) -> Pair:
    """The pair that the sidebar has selected; both stores are there (`require_cams`)."""
    return Pair(selection.dataset, selection.split, selection.run, selection.cnn_store, selection.vit_store)


def pair_scores(pair: Pair, fusions: Mapping[str, Fusion] = STANDARD, label: str = "") -> PairScores | None:
    """Both networks and all fusions on the split, from one pass; a new fusion costs a pass of its own.

    A pass that is long, or that will be out of date soon, is asked for first.
    """
    fingerprint = pair.fingerprint
    images = len(loaders.open_dataset_cached(pair.dataset).image_ids(pair.split))
    covered = _covered(fingerprint, pair)
    if not covered:
        st.info(
            f"The run **{pair.run}** has no CAMs of both networks on **{pair.split}**. Choose another "
            "split or run in the sidebar, or launch a recipe whose `data.cam_splits` name it.",
            title="Nothing to score",
            icon=":material/layers_clear:",
        )
        return None
    what = label or f"Scoring {pair.run} on {pair.split}"
    ask = ask_for_pass(what, images)
    if covered < images:
        ask = f"Score the {covered:,} of {images:,} images that have CAMs"
    named = (f"{name} {fusion.fingerprint}" for name, fusion in fusions.items())
    key = task_key(
        "pair", pair.run, fingerprint, *named
    )  # runs with the same CAMs are drawn beside each other
    return result_or_progress(
        key,
        what,
        partial(_score, pair, fusions),
        ask=ask,
        look_first=True,
        is_there=lambda scored: scored.is_there,
    )


def fusion_scores(pair: Pair, fusion: Fusion) -> Scores | None:
    """One fusion on the split: out of the standard ones, or from a pass of its own."""
    if fusion == Fusion(fusion.rule):
        scored = pair_scores(pair)
        return scored and scored.scores[fusion.rule]
    scored = pair_scores(pair, {"setting": fusion}, f"Scoring this setting on {pair.split}")
    return scored and scored.scores["setting"]


def store_scores(
    dataset: DatasetRef, split: str, run: str, source: RunSource, networks: Pair | None = None
) -> Scores | None:
    """What a run has beside both networks, on the split: a CAM store, or masks.

    Args:
        networks: those behind the maps, for the rule `no_labels`; None leaves that rule without an answer.
    """
    data = loaders.open_dataset_cached(dataset)
    try:
        as_scored = opened(source, data, split)
    except OrandnetError as error:
        st.error(str(error), title=f"{source.label} of {run}", icon=":material/error:")
        return None
    if source.masks:
        networks = None  # no threshold is chosen
    parts = [str(dataset.root), split, data.fingerprint(split), str(source.root), as_scored.fingerprint]
    key = task_key("store", *parts, networks.fingerprint if networks else "")
    what = f"Scoring {source.label} of {run} on {split}"
    images = len(data.image_ids(split))
    covered = _covered_by(task_key(*parts), source, dataset, split)
    ask = ask_for_pass(what, images)
    if covered < images:
        ask = f"{what}: the {covered:,} of {images:,} images that it has"

    def work(report: Report) -> Scores:
        return score(
            data, split, as_scored, networks=networks and _network_sources(networks),
            cache_dir=cache_dir() / "scores", progress=report,
        )  # fmt: skip

    return result_or_progress(
        key,
        what,
        work,
        ask=ask,
        look_first=True,
        is_there=lambda scores: scores.counts.is_there,
    )


def source_scores(selection: Selection, key: str) -> Scores | None:
    """Any source of the selected run on its split, by its key (see `sources`)."""
    pair = pair_of(selection)
    if key in RULES:
        return fusion_scores(pair, Fusion(key))
    data = loaders.open_dataset_cached(selection.dataset)
    source = further_sources(selection.run_dir, data, selection.split)[key]
    return store_scores(selection.dataset, selection.split, selection.run, source, pair)


def intervals(scores: Scores) -> Bootstrap | None:
    """The bootstrap of a source's scores over all images."""
    card = scores.card
    key = task_key("bootstrap", card.source_hash, card.data_hash, str(card.images))
    return result_or_progress(key, f"Intervals of {card.source}", lambda report: resampled(scores))


def resampled(scores: Scores, choice: ThresholdChoice | None = None) -> Bootstrap:
    """The bootstrap over the images that are scored at a choice, made once; takes seconds on many images.

    Args:
        scores: of a source.
        choice: only a `calibrated` one changes the images; they are those whose masks it has not seen.
    """
    calibrated_on = tuple(sorted(choice.seen_ids)) if choice and choice.rule == "calibrated" else ()
    return _resampled(
        scores.card.source_hash, scores.card.data_hash, scores.card.images, calibrated_on, scores
    )


@st.cache_resource(max_entries=48, show_spinner=False)
def _resampled(
    source_hash: str, data_hash: str, images: int, calibrated_on: tuple[str, ...], _scores: Scores
) -> Bootstrap:
    counts = _scores.counts
    return counts.without(calibrated_on).bootstrap() if calibrated_on else counts.bootstrap()


def image_scores(scores: Scores, threshold: float) -> PerImage | None:
    """Every image's own score at a threshold."""
    card = scores.card
    key = task_key("images", card.source_hash, card.data_hash, str(card.images), f"{threshold}")
    return result_or_progress(
        key, f"Per-image scores of {card.source}", lambda report: scores.counts.per_image(threshold)
    )


def choose(rule: str, scores: Scores) -> ThresholdChoice | None:
    """The threshold that a rule without further parameters chooses; None where it has no answer."""
    return _choose(rule, scores.card.source_hash, scores.card.data_hash, scores)


@st.cache_data(max_entries=512, show_spinner=False)
def _choose(rule: str, source_hash: str, data_hash: str, _scores: Scores) -> ThresholdChoice | None:
    try:
        return THRESHOLD_RULES[rule].choose(_scores.agreement if rule == "no_labels" else _scores.counts)
    except OrandnetError:
        return None


def task_key(*parts: str) -> str:
    """Sixteen hex digits that change with any part."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _score(pair: Pair, fusions: Mapping[str, Fusion], report: Report) -> PairScores:
    return score_pair(*_scored(pair), fusions, cache_dir=cache_dir() / "scores", progress=report)


def _scored(pair: Pair) -> tuple[Dataset, str, Source, Source]:
    """The images and both networks, as scoring takes them."""
    return loaders.open_dataset_cached(pair.dataset), pair.split, *_network_sources(pair)


@st.cache_data(max_entries=64, show_spinner=False)
def _covered(fingerprint: str, _pair: Pair) -> int:
    """How many images of the split have CAMs of both networks; counted once for what the stores hold."""
    cnn, vit = (loaders.store_cached(root) for root in (_pair.cnn_store, _pair.vit_store))
    ids = loaders.open_dataset_cached(_pair.dataset).image_ids(_pair.split)
    return sum(image_id in cnn and image_id in vit for image_id in ids)


@st.cache_data(max_entries=64, show_spinner=False)
def _covered_by(fingerprint: str, _source: RunSource, _dataset: DatasetRef, split: str) -> int:
    """How many images of the split a store has; counted once for what it holds."""
    root = _source.root
    store = MaskStore(root) if _source.masks else loaders.store_cached(root)
    return sum(image_id in store for image_id in loaders.open_dataset_cached(_dataset).image_ids(split))


def _network_sources(pair: Pair) -> tuple[Source, Source]:
    cnn, vit = (
        store_source(loaders.store_cached(root), name)
        for root, name in zip((pair.cnn_store, pair.vit_store), NETWORKS, strict=True)
    )
    return cnn, vit
