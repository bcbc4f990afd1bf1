"""What a run has to show beside both networks and their fusions: CAM stores, pseudo-masks, predictions.

Every source has a key, which stands in addresses. A rule of `fusion.RULES` has its own name; anything else
is called after its folder in the run: `cams-walk` and other CAM stores, `masks`; and `segment` and
`segment-single` are what the segmentation network predicts on the split in question.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import streamlit as st

from orandnet_core.array_files import file_stamp
from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError, StoreError
from orandnet_core.fusion import RULES, Fusion
from orandnet_core.mask_store import MaskStore
from orandnet_core.scoring import MaskSource, Source, fused_source, mask_source, store_source
from orandnet_core.store import resize_maps
from pages.components import loaders
from pages.components.selection import Selection
from pages.components.viewer_scene import Source as ShownSource
from train.workspace import cam_stores

__all__ = [
    "MASKS",
    "SEGMENT",
    "RunSource",
    "choose_beside",
    "choose_source",
    "further_sources",
    "has_any",
    "label_of",
    "made_by",
    "map_names",
    "opened",
    "shown_sources",
    "source_names",
    "source_of",
    "store_label",
    "style_of",
]

MASKS, SEGMENT, SEGMENT_SINGLE = "masks", "segment", "segment-single"

_STORE_LABELS = {"refine": "Refined", "crf": "Dense CRF", "walk": "Random walk"}
# Predictions as the recipe has them, and those at one scale beside them.
_MASKS_LABELS = {
    MASKS: "Pseudo-masks",
    SEGMENT: "Segmentation",
    SEGMENT_SINGLE: "Segmentation, one scale",
}


@dataclass(frozen=True)
class RunSource:
    """A folder of a run that holds score maps or masks of images.

    Attributes:
        key: see the module's docstring.
        label: on screen.
        root: the folder.
        masks: it holds masks, which no threshold changes.
    """

    key: str
    label: str
    root: Path
    masks: bool = False


def source_names(selection: Selection, dataset: Dataset) -> dict[str, str]:
    """Labels of all sources by key: both networks and their fusions, and what else the run has."""
    names = {name: rule.label for name, rule in RULES.items()}
    further = further_sources(selection.run_dir, dataset, selection.split)
    return names | {key: source.label for key, source in further.items()}


def map_names(selection: Selection, dataset: Dataset) -> dict[str, str]:
    """`source_names` without those that are masks already, which no threshold changes."""
    further = further_sources(selection.run_dir, dataset, selection.split)
    masks = {key for key, source in further.items() if source.masks}
    return {key: label for key, label in source_names(selection, dataset).items() if key not in masks}


def source_of(selection: Selection, dataset: Dataset, key: str) -> Source | MaskSource:
    """A source by its key, as it is scored on the selected split.

    Raises:
        StoreError: it has no card any more.
    """
    if key not in RULES:
        further = further_sources(selection.run_dir, dataset, selection.split)
        return opened(further[key], dataset, selection.split)
    cnn, vit = (
        store_source(loaders.store_cached(root), network)
        for root, network in ((selection.cnn_store, "cnn"), (selection.vit_store, "vit"))
    )
    return {"cnn": cnn, "vit": vit}.get(key) or fused_source(key, cnn, vit, Fusion(key))


def further_sources(run_dir: Path | None, dataset: Dataset, split: str) -> dict[str, RunSource]:
    """What a run has of a split's images beside both networks, by key, in the order in which it is made.

    Args:
        run_dir: None, or the run's folder; what a job makes appears within seconds.
    """
    return {} if run_dir is None else _further(run_dir, split, dataset.fingerprint(split), dataset)


def opened(source: RunSource, dataset: Dataset, split: str) -> Source | MaskSource:
    """A source as it is scored on a split.

    Raises:
        StoreError: it has no card any more.
    """
    if not source.masks:
        return store_source(loaders.store_cached(source.root), source.label)
    return _opened_masks(source.root, source.label, dataset.fingerprint(split), dataset, split)


def shown_sources(
    sources: Iterable[RunSource], image_id: str, class_ids: np.ndarray, shown_hw: tuple[int, int]
) -> list[ShownSource]:
    """What sources say of an image, for the viewer; what cannot be read is said on the page and left out.

    Args:
        class_ids: (K,) ascending: a class of which a source has no map counts as 0 there.
        shown_hw: the size at which the image is shown.
    """
    found = []
    for source in sources:
        try:
            found.append(_shown(source, image_id, class_ids, shown_hw))
        except OrandnetError as error:
            st.caption(f":material/broken_image: **{source.label}**: {error}")
    return found


def choose_source(
    label: str, labels: Mapping[str, str], default: str, *, key: str, **settings: object
) -> str:
    """A select box of sources in the address; of another run's that this one lacks, the default.

    Args:
        labels: of the sources, by key.
    """
    keys = list(labels)
    chosen = st.selectbox(
        label, keys, index=keys.index(default), key=key, bind="query-params", format_func=labels.get,
        **settings,
    )  # fmt: skip
    return chosen if chosen in labels else default


def choose_beside(further: Mapping[str, RunSource], *, key: str) -> list[RunSource]:
    """The choice of what is shown beside both networks, in the address; draws nothing where there is none."""
    if not further:
        return []
    labels = {name: source.label for name, source in further.items()}
    chosen = st.multiselect(
        "Also show", list(labels), key=key, bind="query-params", format_func=labels.get, width=260,
        placeholder="Also show CRF, walk, …", label_visibility="collapsed",
    )  # fmt: skip
    return [further[name] for name in chosen if name in further]


@st.cache_data(ttl=60, max_entries=64, show_spinner=False)
def made_by(root: Path) -> str:
    """How a store came about, in a few words of its card: `resnet10t · cam`, `of walk · above 0.25`.

    Raises:
        StoreError: there is no card that can be read.
    """
    card = loaders.store_cached(root).card
    network = card.get("network", "")
    if isinstance(network, dict):
        network = network.get("model", network.get("architecture", ""))
    threshold, crf = card.get("background_threshold"), card.get("crf")
    words = [
        card.get("rule"),
        network,
        card.get("method"),
        f"of {card['maps']}" if card.get("maps") else "",
        "" if threshold is None else f"above {threshold:g}",
        f"CRF {crf}" if crf and "rule" not in card else "",
        f"margin {card['margin']:g}" if card.get("margin") else "",
    ]
    return " · ".join(str(word) for word in words if word)


def store_label(name: str) -> str:
    """What maps are called on screen, by the name that recipes and cards give them: a store or a rule."""
    return RULES[name].label if name in RULES else _STORE_LABELS.get(name, name)


def label_of(key: str) -> str:
    """What a source is called on screen, by its key."""
    return _MASKS_LABELS.get(key) or store_label(key.removeprefix("cams-"))


def style_of(key: str) -> str:
    """The name under which charts keep colour and marker of a source."""
    return key.removeprefix("cams-").removesuffix("-single")


@st.cache_data(ttl=3, max_entries=64, show_spinner=False)
def _further(run_dir: Path, split: str, fingerprint: str, _dataset: Dataset) -> Mapping[str, RunSource]:
    """A few seconds old at most, for what is looked at; `fingerprint` is the split's."""
    stores = {name: root for name, root in cam_stores(run_dir).items() if name not in RULES}
    order = [*_STORE_LABELS, *(name for name in stores if name not in _STORE_LABELS)]
    found = [RunSource(f"cams-{name}", store_label(name), stores[name]) for name in order if name in stores]
    folders = {
        MASKS: run_dir / MASKS,
        SEGMENT: run_dir / "evaluate" / split,
        SEGMENT_SINGLE: run_dir / "evaluate" / f"{split}-single",
    }
    found += [RunSource(key, label_of(key), root, masks=True) for key, root in folders.items()]
    return {source.key: source for source in found if has_any(source, _dataset.image_ids(split))}


def has_any(source: RunSource, image_ids: Iterable[str]) -> bool:
    """Whether there is something of one of the images."""
    if not (source.root / "card.json").is_file():
        return False
    store = MaskStore(source.root) if source.masks else loaders.store_cached(source.root)
    return any(image_id in store for image_id in image_ids)


@st.cache_resource(ttl=3, max_entries=64, show_spinner=False)
def _opened_masks(root: Path, label: str, fingerprint: str, _dataset: Dataset, split: str) -> MaskSource:
    return mask_source(MaskStore(root), _dataset.image_ids(split), label)


def _shown(source: RunSource, image_id: str, class_ids: np.ndarray, shown_hw: tuple[int, int]) -> ShownSource:
    """A source as the viewer gets it.

    Raises:
        DataError: it has no mask of the image, or a damaged one.
        StoreError: it has no CAM of the image, or what it has was made for another size.
    """
    made = made_by(source.root)
    if source.masks:
        stamp = file_stamp(MaskStore(source.root).path_of(image_id))
        mask = _mask_as_shown(source.root, image_id, shown_hw, stamp)
        return ShownSource(source.key, source.label, labels=mask, subtitle=made)
    stamp = loaders.store_cached(source.root).fingerprint
    cam = _cam_as_shown(source.root, image_id, tuple(class_ids.tolist()), shown_hw, stamp)
    return ShownSource(source.key, source.label, cam, subtitle=made)


# Of both, `stamp` changes with what is read.
@st.cache_resource(max_entries=64, ttl="1h", show_spinner=False)
def _mask_as_shown(root: Path, image_id: str, shown_hw: tuple[int, int], stamp: str) -> np.ndarray:
    mask = MaskStore(root).read(image_id)
    _check_size(root, image_id, mask.shape, shown_hw)
    return _kept(cv2.resize(mask, shown_hw[::-1], interpolation=cv2.INTER_NEAREST))


@st.cache_resource(max_entries=64, ttl="1h", show_spinner=False)
def _cam_as_shown(
    root: Path, image_id: str, class_ids: tuple[int, ...], shown_hw: tuple[int, int], stamp: str
) -> np.ndarray:
    stored = loaders.store_cached(root).read(image_id)
    _check_size(root, image_id, stored.size_hw, shown_hw)
    own = dict(zip(stored.class_ids.tolist(), resize_maps(stored.cam, shown_hw), strict=True))
    return _kept(np.stack([own.get(class_id, np.zeros(shown_hw, np.float32)) for class_id in class_ids]))


def _check_size(root: Path, image_id: str, size_hw: tuple[int, int], shown_hw: tuple[int, int]) -> None:
    if loaders.shown_hw(size_hw) != shown_hw:
        raise StoreError(f"{root}: what it has of {image_id} is for {size_hw}, the image has another size")


def _kept(values: np.ndarray) -> np.ndarray:
    """Contiguous, and safe to share between sessions."""
    values = np.ascontiguousarray(values)
    values.setflags(write=False)
    return values
