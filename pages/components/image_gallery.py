"""Compare's gallery: the images that pass the filter, a page at a time, in a chosen order."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError
from pages.components.compare_table import choose_row, keep_choice
from pages.components.comparison import Row
from pages.components.going import inspect_image
from pages.components.linked_images import Linked
from pages.components.thumbnails import thumbnail

__all__ = ["show_gallery"]

_COLUMNS, _ROWS = 6, 2
_WIDTH_PX = 240
_ORDERS = {
    "difference": "largest difference to {} first",
    "worst": "lowest mIoU first",
    "best": "highest mIoU first",
    "listed": "as listed",
}


@st.fragment
def show_gallery(rows: Sequence[Row], linked: Linked, dataset: Dataset, against: str, so_far: str) -> None:
    """Draw it.

    Args:
        rows: the sources compared; two of them order the images.
        against: the label of the one that the others are compared to.
        so_far: as in `choose_row`.
    """
    labels = {
        row.candidate.label: row.candidate.key for row in rows if row.candidate.key in linked.facts.scores
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        keep_choice("compare_gallery_order", list(_ORDERS))
        order = st.selectbox(
            "Images", list(_ORDERS), key="compare_gallery_order", bind="query-params", width=280,
            format_func=lambda each: _ORDERS[each].format(against),
        )  # fmt: skip
        of = against
        if order != "listed":
            choice = [label for label in labels if order != "difference" or label != against]
            of = choose_row("of", choice or [against], "compare_gallery_of", so_far, width=220)
    scores = [linked.facts.scores[labels[label]] for label in (against, of)]
    places = ordered(order, linked.passes, *scores)
    page_size = _COLUMNS * _ROWS
    pages = -(-len(places) // page_size)
    # Another filter or order starts on its own first page.
    page = st.pagination(pages, key=f"compare_gallery {len(places)} {order} {of}") if pages > 1 else 1
    for start in range((page - 1) * page_size, min(page * page_size, len(places)), _COLUMNS):
        columns = st.columns(_COLUMNS)
        for column, place in zip(columns, places[start : start + _COLUMNS], strict=False):
            with column:
                _picture(dataset, linked.facts.image_ids[place])
                told = [
                    f"{label} {score[place]:.0%}" for label, score in zip((against, of), scores, strict=True)
                ]
                st.caption(" · ".join(dict.fromkeys(told)))


def ordered(order: str, passes: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Places of the images that pass, in an order of `_ORDERS`; those without a score come last.

    Args:
        passes: (N,) bool.
        first, second: (N,) mIoU under two sources; the second ranks, or its difference to the first.
    """
    places = np.flatnonzero(passes)
    if order == "listed":
        return places
    ranks = {"difference": -np.abs(second - first), "worst": second, "best": -second}[order]
    return places[np.argsort(ranks[places], kind="stable")]


def _picture(dataset: Dataset, image_id: str) -> None:
    try:
        st.image(_thumbnail(str(dataset.root), image_id, dataset), width="stretch", alt=image_id)
    except OrandnetError as error:
        st.caption(f":material/broken_image: {error}")
    if st.button(image_id, type="tertiary", icon=":material/visibility:", key=f"gallery {image_id}",
                 help="Open in Inspect"):  # fmt: skip
        inspect_image(image_id)


@st.cache_data(max_entries=512, ttl="1h", show_spinner=False)
def _thumbnail(root: str, image_id: str, _dataset: Dataset) -> bytes:
    return thumbnail(_dataset.image(image_id), _WIDTH_PX)
