"""Fuse: choose a rule and its thresholds, and see at once what they do to an image and to the data set."""

import numpy as np
import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.ir_labels import ir_label
from orandnet_core.pseudo_mask import pseudo_mask
from pages.components import fuse_views
from pages.components.crf_view import crf_cleaned
from pages.components.empty import require_cams, require_dataset
from pages.components.fuse_setting import STATE, USUAL_PANES, VIEWER_KEY, current_setting, deciding
from pages.components.loaders import Maps, maps_of
from pages.components.panes import pair_sources
from pages.components.picker import image_picker
from pages.components.saved_settings import draw_saved
from pages.components.scores import pair_of
from pages.components.selection import Selection, current_selection
from pages.components.sources import choose_beside, further_sources, shown_sources
from pages.components.viewer import Live, viewer
from pages.components.viewer_packet import dequantised, levels_of
from pages.components.viewer_scene import Scene, Source
from train.settings import FusionSetting


@st.fragment
def bench(selection: Selection, dataset: Dataset) -> None:
    """The image above, the data set below: one fragment, so that a setting let go reruns no more."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(width="content"):
            image_id = image_picker(selection, dataset)
        further = further_sources(selection.run_dir, dataset, selection.split)
        beside = choose_beside(further, key="fuse_beside")
        draw_saved()
    try:
        maps = maps_of(selection, image_id)
    except OrandnetError as error:
        st.warning(str(error), title="This image cannot be shown", icon=":material/broken_image:")
    else:
        show_image(dataset, maps, shown_sources(beside, image_id, maps.class_ids, maps.photo.shape[:2]))
    fuse_views.draw(pair_of(selection), dataset, current_setting())


def show_image(dataset: Dataset, maps: Maps, beside: list[Source]) -> None:
    """Draw the viewer; after a CRF where one is asked for.

    Args:
        beside: sources that are shown with both networks and their fusion.
    """
    classes = [(0, "All classes"), *((int(k), dataset.class_names[k - 1]) for k in maps.class_ids)]
    state = STATE.with_options("class", classes)
    state.to_address()
    values = state.values()
    cleaned = _cleaned(maps, current_setting()) if values["crf"] else None
    scene = Scene(
        maps.class_ids,
        dataset.class_names,
        [*pair_sources(maps, {}), *beside],
        maps.mask,
        None if cleaned is None else (deciding(values), cleaned),
    )
    usual = [*USUAL_PANES, *(source.key for source in beside)]
    live = Live(scene, values, state.described(), usual, state.turn, layout="side")
    viewer(maps.photo, key=VIEWER_KEY, live=live, on_setting=state.take)
    if maps.mask is None:
        st.caption("This image has no ground truth, so there is nothing to score it against.")


def _cleaned(maps: Maps, setting: FusionSetting) -> np.ndarray | None:
    """(H, W) uint8: the mask or trimap after the CRF; None while it is made, or where it cannot be."""
    decisions = _decisions(maps, setting)
    cleaned = crf_cleaned(maps.photo, decisions, maps.class_ids)
    if cleaned is None or len(cleaned) == 1:
        return cleaned if cleaned is None else cleaned[0]
    confident, possible = cleaned
    return ir_label(maps.photo, confident, possible, maps.class_ids, preset=None)


def _decisions(maps: Maps, setting: FusionSetting) -> np.ndarray:
    """(N, H, W) uint8: the mask; or of a trimap, what is surely foreground, and what may be.

    Of the levels that the browser has, so that the CRF starts from just the mask that is seen.
    """
    cnn, vit = (dequantised(levels_of(cam)) for cam in (maps.cnn, maps.vit))
    if not setting.trimap:
        fused = fuse(cnn, vit, setting.fusion)
        return pseudo_mask(fused, maps.class_ids, setting.background_threshold)[None]
    thresholds = {"and": setting.and_threshold, "or": setting.or_threshold}
    return np.stack(
        [
            pseudo_mask(fuse(cnn, vit, Fusion(rule)), maps.class_ids, threshold)
            for rule, threshold in thresholds.items()
        ]
    )


current = current_selection()
opened = require_dataset(current)
require_cams(current)
bench(current, opened)
