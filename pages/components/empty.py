"""What a page shows when there is nothing to show yet: the reason and the next step."""

import time

import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError
from pages.components import catalog, loaders
from pages.components.commands import run_command
from pages.components.scores import NETWORKS
from pages.components.selection import Selection
from pages.components.tasks import Report, result_or_progress, task_board
from train import jobs
from train.sample import RUN as SAMPLE_RUN
from train.workspace import cams_dir, run_dir

_PREPARING = "prepare-sample"
_STAGES = {"Sample images": "drawing", "cams-cnn": "CAMs of the CNN", "cams-vit": "CAMs of the ViT"}


def require_dataset(selection: Selection) -> Dataset:
    """The selected data set, or what to do about it in place of the rest of the page."""
    if catalog.is_missing_sample(selection.dataset):
        _prepare_sample()
    try:
        return loaders.open_dataset_cached(selection.dataset)
    except OrandnetError as error:
        st.warning(
            f"{error}\n\nChoose another data set in the sidebar, or add one on the Data page.",
            title="This data set cannot be opened",
            icon=":material/folder_off:",
        )
        st.stop()


def require_cams(selection: Selection) -> None:
    """Go on only where both sources have CAMs; otherwise make them (sample) or say how."""
    if selection.dataset.name == catalog.SAMPLE and selection.run in (None, SAMPLE_RUN):
        if not _is_complete(selection):
            _prepare_sample()
        return
    if selection.has_cams:
        return
    missing = [
        name for name, store in (("CNN", selection.cnn_store), ("ViT", selection.vit_store)) if store is None
    ]
    st.info(
        f"No CAMs of the {' and the '.join(missing)} on **{selection.dataset.name}** yet. Start a recipe "
        "with *Launch training* in the sidebar, or in a shell:\n\n"
        f"```sh\npython -m train run --recipe voc12_cpu --data {selection.dataset.root}\n```\n\n"
        "They appear here as they are made.",
        title="Nothing to show yet",
        icon=":material/layers_clear:",
    )
    st.stop()


def _is_complete(selection: Selection) -> bool:
    """Whether both networks' own stores hold at least as many images as the split has.

    Another store may stand in for one of them on screen, and have fewer.
    """
    images = len(loaders.open_dataset_cached(selection.dataset).image_ids(selection.split))
    stores = [cams_dir(run_dir(SAMPLE_RUN), name) for name in NETWORKS]
    return selection.has_cams and all(len(loaders.store_cached(root)) >= images for root in stores)


def _prepare_sample() -> None:
    """Draw the built-in sample and make both networks' CAMs of it, once, with progress."""
    st.caption(
        "The built-in sample is prepared once: its images are drawn, then each network's CAMs are made. "
        "This takes a minute or two."
    )
    if result_or_progress(_PREPARING, "Preparing the built-in sample", _make_sample) is not None:
        task_board().forget(_PREPARING)  # what it made may be deleted, and is then made again
        catalog.forget()
        st.rerun()
    st.stop()


def _make_sample(report: Report) -> bool:
    """Have it prepared, and pass on what is told of its progress."""

    began_s = time.time()

    def watch() -> None:
        stage = jobs.progress(run_dir(SAMPLE_RUN))
        if stage is None or stage.time_s < began_s:  # that of an earlier preparation
            report(0, 0)
        else:
            report(stage.done, stage.total, _STAGES.get(stage.stage, stage.stage))

    run_command(jobs.train_command("sample"), watch)
    return True
