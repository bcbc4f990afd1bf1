"""Runs: what a run has made of an image so far, in the viewer; nothing is read before somebody opens it."""

from pathlib import Path

import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError
from pages.components import catalog, loaders
from pages.components.panes import pair_sources, show_scene
from pages.components.picker import image_picker
from pages.components.scores import NETWORKS
from pages.components.selection import DatasetRef, Selection
from pages.components.sources import MASKS, RunSource, further_sources, has_any, made_by, shown_sources
from pages.components.viewer_scene import Scene, Source
from train.workspace import cam_stores, run_dir

__all__ = ["run_pictures"]

_TITLES = {"cnn": "CNN CAM", "vit": "ViT CAM"}


@st.fragment
def run_pictures(run: str) -> None:
    """Draw a run's pictures in a box that is closed at first; nothing where it has none.

    A fragment: stepping through images leaves the rest of the page alone.
    """
    folder = run_dir(run)
    if not _has_pictures(folder):
        return
    box = st.expander(
        "Pictures",
        icon=":material/photo_library:",
        key="runs_pictures",
        on_change="rerun",
        bind="query-params",
    )
    if not box.open:
        return
    ref = next((catalog.dataset_of(each) for each in catalog.runs() if each.name == run), None)
    with box:
        if ref is None:
            st.caption("The run has no readable `config.json`, which says whose images these are.")
            return
        try:
            _draw(run, folder, ref)
        except OrandnetError as error:
            st.warning(str(error), title="This cannot be shown", icon=":material/broken_image:")


def _draw(run: str, folder: Path, ref: DatasetRef) -> None:
    dataset = loaders.open_dataset_cached(ref)
    by_split = {split: sources_of(folder, dataset, split) for split in dataset.splits}
    splits = [split for split, sources in by_split.items() if sources]
    if not splits:
        st.caption("There is nothing of any image yet.")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        split = st.segmented_control(
            "Split", splits, default=splits[0], key=f"runs_split_{run}", required=True,
            label_visibility="collapsed",
        )  # fmt: skip
        stores = {name: source.root for name, source in _networks(folder).items()}
        selection = Selection(ref, split, run, folder, stores.get("cnn"), stores.get("vit"))
        with st.container(width="stretch"):
            image_id = image_picker(selection, dataset)
    there = [source for source in by_split[split] if has_any(source, (image_id,))]
    if not there:
        st.caption("The run has made nothing of this image yet.")
    _show(selection, dataset, image_id, there)


def _show(selection: Selection, dataset: Dataset, image_id: str, there: list[RunSource]) -> None:
    """Draw the viewer: the photo, all that there is in the order in which it is made, the ground truth."""
    networks = [source for source in there if source.root.name.removeprefix("cams-") in NETWORKS]
    fused: list[Source] = []
    if len(networks) == len(NETWORKS):
        maps = loaders.maps_of(selection, image_id)
        photo, class_ids, truth = maps.photo, maps.class_ids, maps.mask
        fused = pair_sources(maps, {"cnn": made_by(selection.cnn_store), "vit": made_by(selection.vit_store)})
        there = [source for source in there if source not in networks]
    else:
        photo, class_ids, truth = loaders.bare_image(selection.dataset, image_id)
    sources = [*fused, *shown_sources(there, image_id, class_ids, photo.shape[:2])]
    scene = Scene(class_ids, dataset.class_names, sources, truth)
    usual = ["photo", *(source.key for source in sources), "truth"]
    # A mask made here and now is no picture of the run: what it would be made from is not asked.
    show_scene(photo, scene, key="runs_viewer", usual=usual, address="runs_", hidden=("rule",))


def sources_of(folder: Path, dataset: Dataset, split: str) -> list[RunSource]:
    """Everything that a run has of a split's images, both networks first."""
    image_ids = dataset.image_ids(split)
    networks = [source for source in _networks(folder).values() if has_any(source, image_ids)]
    return [*networks, *further_sources(folder, dataset, split).values()]


def _networks(folder: Path) -> dict[str, RunSource]:
    stores = cam_stores(folder)
    return {
        name: RunSource(f"cams-{name}", _TITLES[name], stores[name]) for name in NETWORKS if name in stores
    }


def _has_pictures(folder: Path) -> bool:
    """By a few names of files: this is asked at every rerun."""
    return bool(
        cam_stores(folder)
        or (folder / MASKS / "card.json").is_file()
        or any(folder.glob("evaluate/*/card.json"))
    )
