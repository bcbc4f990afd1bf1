"""Import and export: another system's CAMs in, masks and CAMs of a run out."""

import streamlit as st

from pages.components.empty import require_dataset
from pages.components.export_steps import OUT, WAY_KEY, show_way_out
from pages.components.import_steps import show_way_in
from pages.components.selection import current_selection

IN = "Import"

selection = current_selection()
dataset = require_dataset(selection)
way = st.segmented_control(
    "Import or export", (IN, OUT), default=IN, key=WAY_KEY, bind="query-params", required=True,
    label_visibility="collapsed",
)  # fmt: skip
if way == OUT:
    show_way_out(selection, dataset)
else:
    show_way_in(selection, dataset)
