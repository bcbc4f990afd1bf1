"""Scales: what the curriculum's small sizes do to pseudo-masks, measured and seen."""

from functools import partial

import pyarrow as pa
import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError
from orandnet_core.fusion import RULES
from orandnet_core.scoring import MaskSource
from pages.components import loaders
from pages.components.chart_style import CHART_CONFIG
from pages.components.empty import require_cams, require_dataset
from pages.components.picker import image_picker
from pages.components.protocol import card_line, protocol_popover
from pages.components.scale_study import (
    Study,
    masks_of,
    scale_chart,
    scale_panes,
    study,
    study_key,
)
from pages.components.selection import Selection, current_selection
from pages.components.sources import choose_source, further_sources, source_names
from pages.components.tasks import result_or_progress
from pages.components.view_controls import DEFAULT_RULE, DEFAULT_THRESHOLD
from pages.components.viewer import viewer
from train.scales import scale_table

IMAGES = (25, 50, 100, 250, 1000)
DEFAULT_IMAGES = 50


def choose(selection: Selection, dataset: Dataset) -> tuple[MaskSource, int]:
    """Draw the choice of source, threshold and number of images."""
    names = source_names(selection, dataset)
    further = further_sources(selection.run_dir, dataset, selection.split)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        name = choose_source("Pseudo-mask from", names, DEFAULT_RULE, key="scales_source", width=260)
        threshold = 0.0
        if name in RULES or not further[name].masks:
            threshold = st.slider(
                "Background threshold", 0.0, 1.0, DEFAULT_THRESHOLD, 1 / 256, key="scales_t",
                bind="query-params", format="%.3f", width=280,
                help="A pixel is foreground where its best map is greater.",
            )  # fmt: skip
        most = st.segmented_control(
            "Images", IMAGES, default=DEFAULT_IMAGES, key="scales_images", required=True,
            help="At most so many of the split, evenly over it.",
        )  # fmt: skip
    return masks_of(selection, dataset, name, threshold), most


def show_study(found: Study) -> None:
    st.plotly_chart(
        scale_chart(found),
        config=CHART_CONFIG,
        key="scales_chart",
        alt="Precision, recall and mIoU of the pseudo-masks against the scale, by nearest and by majority",
    )
    number = st.column_config.NumberColumn
    percent = number(format="%.1f%%")
    columns = dict.fromkeys(
        ("Precision", "Recall", "mIoU", "Reduced: precision", "Reduced: recall", "Decided"), percent
    )
    st.dataframe(
        pa.table(scale_table(found.counts)),
        hide_index=True,
        column_config=columns | {"Scale": number(format="%.2f")},
        alt="Scores of the pseudo-masks after each scale, in both ways",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"{card_line(found.card)} · scored at full size after enlarging again by nearest; *reduced*: at "
            "the small size, against the ground truth reduced by majority · what a tie leaves undecided "
            "counts as not found; training ignores it"
        )
        protocol_popover([found.card], key="scales_protocol")


@st.fragment
def show_image(selection: Selection, dataset: Dataset, source: MaskSource) -> None:
    image_id = image_picker(selection, dataset)
    try:
        maps = loaders.maps_of(selection, image_id)
        mask, truth = source.mask_of(image_id), dataset.mask(image_id)
    except OrandnetError as error:
        st.warning(str(error), title="This image cannot be shown", icon=":material/broken_image:")
        return
    panes = scale_panes(mask, truth, maps.photo.shape[:2], dataset.class_names)
    viewer(maps.photo, panes, key="scales_viewer")


current = current_selection()
opened = require_dataset(current)
require_cams(current)
chosen, most_images = choose(current, opened)
measured = result_or_progress(
    study_key(opened, current.split, chosen, most_images),
    f"Scaling the masks of {chosen.name}",
    partial(study, opened, current.split, chosen, most_images),
)
if measured is not None:
    show_study(measured)
st.subheader("One image at every scale", anchor=False)
show_image(current, opened, chosen)
