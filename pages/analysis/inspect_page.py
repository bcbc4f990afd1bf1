"""Inspect: one image, everything that was made of it, side by side."""

import streamlit as st

from pages.components.empty import require_cams, require_dataset
from pages.components.going import LOOK_KEY, OF_DATASET
from pages.components.image_view import image_bar, image_view
from pages.components.photo_view import photo_view
from pages.components.selection import current_selection

OWN = "Your photos"

selection = current_selection()
with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
    looked_at = st.segmented_control(
        "Look at", [OF_DATASET, OWN], default=OF_DATASET, key=LOOK_KEY, bind="query-params", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    bar = st.container(width="stretch")
if looked_at == OWN:
    photo_view(selection)
else:
    dataset = require_dataset(selection)
    require_cams(selection)
    with bar:
        image_id, beside = image_bar(selection, dataset)
    image_view(selection, dataset, image_id, beside)
