"""The sidebar on every page: data set, split, run and sources, and the short form of launching one."""

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from orandnet_core.errors import OrandnetError
from pages.components import catalog, loaders
from pages.components.launch_panel import launch_panel
from pages.components.selection import STATE_KEY, DatasetRef, Selection

_OF_RUN = "of the run"
_FIRST_SPLITS = ("train", "val")


def draw() -> None:
    """Draw the sidebar and keep what was chosen for `current_selection`."""
    with st.sidebar:
        st.session_state[STATE_KEY] = _choose()
        launch_panel()


def _choose() -> Selection:
    refs = catalog.datasets()
    dataset = refs[_select("Data set", tuple(refs), key="dataset")]
    split = _choose_split(dataset)
    runs = {run.name: run for run in catalog.runs_on(dataset)}
    if not runs:
        return Selection(dataset, split)
    run = runs[_select("Run", tuple(runs), key="run", help="Where the CAMs come from.")]
    stores = {
        f"{other.name}/{source}": root for other in runs.values() for source, root in other.stores.items()
    }
    cnn, vit = _choose_sources(run.stores, stores)
    return Selection(dataset, split, run.name, run.folder, cnn, vit)


def _choose_split(dataset: DatasetRef) -> str:
    if catalog.is_missing_sample(dataset):
        return ""
    try:
        splits = loaders.open_dataset_cached(dataset).splits
    except OrandnetError:
        return ""  # the page says what is wrong and what to do
    first = next((split for split in _FIRST_SPLITS if split in splits), next(iter(splits)))
    return _select("Split", (first, *(split for split in splits if split != first)), key="split")


def _choose_sources(own: Mapping[str, Path], stores: Mapping[str, Path]) -> tuple[Path | None, Path | None]:
    """The two CAM stores: the run's own, or any other of the same data set."""
    if len(stores) <= 2 and set(own) >= {"cnn", "vit"}:
        return own["cnn"], own["vit"]
    with st.expander("Sources", icon=":material/layers:"):
        options = (_OF_RUN, *stores)
        chosen = [
            _select(
                label, options, key=key, help=f"Any CAM store of this data set can stand for the {label}."
            )
            for key, label in (("cnn", "CNN"), ("vit", "ViT"))
        ]
    return tuple(
        own.get(source) if choice == _OF_RUN else stores[choice]
        for source, choice in zip(("cnn", "vit"), chosen, strict=True)
    )


def _select(label: str, options: tuple[str, ...], *, key: str, **settings: object) -> str:
    """A select box in the address; a value that is no option (an old link) counts as the first."""
    chosen = st.selectbox(label, options, key=key, bind="query-params", **settings)
    return chosen if chosen in options else options[0]
