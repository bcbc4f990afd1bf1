"""What the person has chosen in the sidebar; every page reads it, none changes it."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

STATE_KEY = "selection"


@dataclass(frozen=True)
class DatasetRef:
    """Where a data set lies; opened by `loaders.open_dataset_cached`.

    Attributes:
        name: what it is called in the sidebar and in the address.
        kind: its layout, as `orandnet_core.datasets.open_dataset` takes it.
        root: its folder.
    """

    name: str
    kind: str
    root: Path


@dataclass(frozen=True)
class Selection:
    """The data set, split and sources that every page shows.

    Attributes:
        dataset: the data set.
        split: one of its splits; empty while the data set cannot be opened.
        run: name of the run that the sources come from; None while there is none.
        run_dir: that run's folder.
        cnn_store, vit_store: the two sources' CAM stores; None where the run has none yet.
    """

    dataset: DatasetRef
    split: str
    run: str | None = None
    run_dir: Path | None = None
    cnn_store: Path | None = None
    vit_store: Path | None = None

    @property
    def has_cams(self) -> bool:
        """Whether both sources have CAMs to show."""
        return self.cnn_store is not None and self.vit_store is not None


def current_selection() -> Selection:
    """The selection that the sidebar made in this run of the script."""
    return st.session_state[STATE_KEY]
