"""One image of a data set in the viewer: its maps, other methods beside them, and what it shows."""

import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError
from pages.components import loaders
from pages.components.method_panes import choose_methods, load_ahead, method_sources
from pages.components.networks import pair_for
from pages.components.panes import show_image
from pages.components.picker import image_picker
from pages.components.selection import Selection
from pages.components.sources import RunSource, choose_beside, further_sources, made_by, shown_sources


def image_bar(selection: Selection, dataset: Dataset) -> tuple[str, list[RunSource]]:
    """Draw the choices of image, methods and further sources; return the image's id, and the sources."""
    pair = pair_for(selection.run, dataset.class_names)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(width="content"):
            image_id = image_picker(selection, dataset)
        if pair is not None:
            choose_methods(pair)
        further = further_sources(selection.run_dir, dataset, selection.split)
        beside = choose_beside(further, key="beside")
    return image_id, beside


@st.fragment
def image_view(selection: Selection, dataset: Dataset, image_id: str, beside: list[RunSource]) -> None:
    """Draw the viewer; a fragment, so that a setting let go reruns no more.

    Args:
        beside: what is shown with both networks and their fusions.
    """
    try:
        maps = loaders.maps_of(selection, image_id)
    except OrandnetError as error:
        st.warning(str(error), title="This image cannot be shown", icon=":material/broken_image:")
        return
    pair = pair_for(selection.run, dataset.class_names)
    extra = shown_sources(beside, image_id, maps.class_ids, maps.photo.shape[:2])
    if pair is not None:
        extra += method_sources(pair, image_id, maps.photo, maps.class_ids)
    subtitles = {"cnn": made_by(selection.cnn_store), "vit": made_by(selection.vit_store)}
    show_image(maps, dataset.class_names, key="inspect_viewer", subtitles=subtitles, extra=extra)
    if pair is not None:
        load_ahead(pair)
