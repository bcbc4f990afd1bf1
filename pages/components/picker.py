"""Which image of the split is shown: filter, order, previous and next; shared by pages that show one.

The image's id is in the session and in the address as `image`. What grows with the number of
images (filtering, ranking) is worked out once for a choice and cached.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import DataError
from orandnet_core.fusion import RULES
from orandnet_core.metrics import PerImage
from pages.components import loaders
from pages.components.scores import image_scores, source_scores
from pages.components.selection import DatasetRef, Selection
from pages.components.sources import choose_source, further_sources

IMAGE_KEY = "image"
_SHOWN_KEY = "image_shown"
_FIRST = ""  # no image by name: the first of the order
_AS_LISTED = "as listed"
_METRICS = {"iou": "IoU", "precision": "precision", "recall": "recall"}
_DEFAULT_SOURCE = "and"


@dataclass(frozen=True)
class Order:
    """Image ids in the order in which they are stepped through.

    Attributes:
        image_ids: the ids.
        index_of: their places.
        key: changes with the ids.
    """

    image_ids: tuple[str, ...]
    index_of: Mapping[str, int]
    key: str


@dataclass(frozen=True)
class Ranking:
    """How images are sorted by a score of their own."""

    metric: str
    best_first: bool
    source: str
    threshold: float


def image_picker(selection: Selection, dataset: Dataset) -> str:
    """Draw previous, next, the image's id, the filter and the order.

    Returns:
        The id of the image to show. Where the filter leaves no image, the page ends here.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        steps, name, place, more = (
            st.container(width=width) for width in ("content", 200, "content", "content")
        )
        with more:
            class_ids, ranking = _filter_and_order(selection, dataset)
    order = image_order(selection.dataset, selection.split, class_ids, dataset.fingerprint(selection.split))
    if not order.image_ids:
        st.info("No image of this split shows all of these classes. Take one out of the filter.")
        st.stop()
    ranked = None if ranking is None else _ranked(selection, order, ranking)
    order = ranked or order
    settled = ranking is None or ranked is not None
    image_id = _wanted_image(order, settled=settled)
    index = order.index_of[image_id]
    with steps, st.container(horizontal=True, gap="xxsmall"):
        _step_button("Previous", "chevron_left", "Left", order, index - 1)
        _step_button("Next", "chevron_right", "Right", order, index + 1)
    with name:
        typed = st.text_input("Image", key=IMAGE_KEY, bind="query-params", label_visibility="collapsed")
    if settled and typed != image_id:
        st.rerun()  # a link's value replaces what was set before it in a session's first run, and only then
    facts = [f"{index + 1:,} of {len(order.image_ids):,}", *(dataset.class_names[k - 1] for k in class_ids)]
    if ranking is not None:
        labels = _source_labels(selection, dataset)
        facts.append(f"by {_METRICS[ranking.metric]} of {labels[ranking.source]}")
    with place:
        st.caption(" · ".join(facts), width="content")
    return image_id


@st.cache_resource(max_entries=32, ttl="1h", show_spinner=False, hash_funcs=loaders.by_stamp)
def image_order(ref: DatasetRef, split: str, class_ids: tuple[int, ...], fingerprint: str) -> Order:
    """The images of a split that show all of some classes, as listed; `fingerprint` is the split's."""
    dataset = loaders.open_dataset_cached(ref)
    image_ids = dataset.image_ids(split)
    if class_ids:
        wanted = np.array(class_ids) - 1
        image_ids = tuple(image_id for image_id in image_ids if _shows(dataset, image_id, wanted))
    return _order(image_ids, f"{fingerprint} {class_ids}")


@st.cache_resource(max_entries=32, ttl="1h", show_spinner=False)
def _ranked_order(_scores: PerImage, _listed: Order, ranking: Ranking, key: str) -> Order:
    """The images that were scored, by their score; those without one (no mask) come last."""
    values = dict(zip(_scores.image_ids, getattr(_scores, ranking.metric), strict=True))
    sign = -1 if ranking.best_first else 1
    scored = [image_id for image_id in _listed.image_ids if not np.isnan(values.get(image_id, np.nan))]
    rest = [image_id for image_id in _listed.image_ids if np.isnan(values.get(image_id, np.nan))]
    return _order((*sorted(scored, key=lambda image_id: sign * values[image_id]), *rest), f"{key} {ranking}")


def _ranked(selection: Selection, listed: Order, ranking: Ranking) -> Order | None:
    """The ranked order, or None while its scores are made (progress is drawn)."""
    scores = source_scores(selection, ranking.source)
    values = scores and image_scores(scores, ranking.threshold)
    if values is None:
        return None
    card = scores.card
    return _ranked_order(values, listed, ranking, f"{card.source_hash} {card.data_hash} {listed.key}")


def _source_labels(selection: Selection, dataset: Dataset) -> dict[str, str]:
    """Of all sources that images can be sorted by, by key."""
    further = further_sources(selection.run_dir, dataset, selection.split)
    return {name: rule.label for name, rule in RULES.items()} | {
        key: source.label for key, source in further.items()
    }


def _wanted_image(order: Order, *, settled: bool) -> str:
    """The image to show: what the session or the address names, and the first where it names none.

    Args:
        order: the images to step through, at least one.
        settled: whether this is the order that was asked for, or one to wait with.
    """
    # In the first run of a session, what the address says is not in the session yet.
    wanted = st.session_state.get(IMAGE_KEY, st.query_params.get(IMAGE_KEY, ""))
    if wanted in order.index_of:
        st.session_state[_SHOWN_KEY] = wanted
        return wanted
    before = st.session_state.get(_SHOWN_KEY)
    if wanted and before not in (None, wanted):  # typed, or from a link; not left behind by a filter
        st.toast(f"No image {wanted!r} among these", icon=":material/search_off:")
    image_id = before if wanted and before in order.index_of else order.image_ids[0]
    if settled:
        st.session_state[IMAGE_KEY] = st.session_state[_SHOWN_KEY] = image_id
    return image_id


def _filter_and_order(selection: Selection, dataset: Dataset) -> tuple[tuple[int, ...], Ranking | None]:
    names = dataset.class_names
    with st.popover("Filter and sort", icon=":material/filter_list:", type="tertiary"):
        chosen = st.multiselect(
            "Shows all of", names, key="classes", bind="query-params", placeholder="Any class",
        )  # fmt: skip
        class_ids = tuple(names.index(name) + 1 for name in chosen)
        if not selection.has_cams:
            return class_ids, None
        metric = st.selectbox(
            "Order", [_AS_LISTED, *_METRICS], key="sort", bind="query-params",
            format_func=lambda key: f"by {_METRICS[key]}" if key in _METRICS else key,
            help="Each image's own score: the mean over the classes that its ground truth shows.",
            on_change=_go_to, args=(_FIRST,),
        )  # fmt: skip
        if metric not in _METRICS:
            return class_ids, None
        best_first = st.toggle(
            "Best first", key="sort_best", persist_state="session", on_change=_go_to, args=(_FIRST,)
        )
        source = choose_source(
            "Of", _source_labels(selection, dataset), _DEFAULT_SOURCE, key="sort_source", on_change=_go_to,
            args=(_FIRST,),
        )  # fmt: skip
        threshold = st.slider(
            "At threshold", 0.0, 1.0, 0.3, 1 / 64, key="sort_threshold", persist_state="session",
            on_change=_go_to, args=(_FIRST,),
        )  # fmt: skip
    return class_ids, Ranking(metric, best_first, source, threshold)


def _step_button(label: str, icon: str, shortcut: str, order: Order, index: int) -> None:
    inside = 0 <= index < len(order.image_ids)
    st.button(
        label, icon=f":material/{icon}:", shortcut=shortcut, key=f"step_{shortcut.lower()}", help=label,
        disabled=not inside, on_click=_go_to, args=(order.image_ids[index] if inside else "",),
    )  # fmt: skip


def _go_to(image_id: str) -> None:
    st.session_state[IMAGE_KEY] = image_id


def _shows(dataset: Dataset, image_id: str, wanted: np.ndarray) -> bool:
    try:
        return bool(dataset.image_labels(image_id)[wanted].all())
    except DataError:
        return False  # listed on the data page as an image without labels


def _order(image_ids: tuple[str, ...], key: str) -> Order:
    return Order(image_ids, {image_id: index for index, image_id in enumerate(image_ids)}, key)
