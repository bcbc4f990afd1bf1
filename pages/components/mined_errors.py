"""The errors of a selected source: mined in the background, kept on disk, drawn as pictures.

Every function here that may take long returns None while it draws progress in place of the result.
"""

from functools import partial

import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError
from orandnet_core.fusion import RULES
from orandnet_core.metrics import ThresholdChoice
from orandnet_core.mining import Backgrounds, Mined, backgrounds_of, mine, where_of
from orandnet_core.mining.miner import errors_of_image
from orandnet_core.mining.picture import slice_picture
from orandnet_core.scoring import Source
from pages.components import loaders
from pages.components.scores import task_key
from pages.components.selection import Selection
from pages.components.sources import source_of
from pages.components.tasks import Report, ask_for_pass, result_or_progress
from pages.components.thumbnails import thumbnail
from train.workspace import cache_dir

__all__ = ["mined_errors", "picture_of"]

_WIDTH_PX = 480


def mined_errors(selection: Selection, name: str, choice: ThresholdChoice) -> Mined | None:
    """The errors of a source at a threshold, over the whole split."""
    dataset = loaders.open_dataset_cached(selection.dataset)
    source = source_of(selection, dataset, name)
    images = len(dataset.image_ids(selection.split))
    key = task_key(
        "errors", str(selection.dataset.root), selection.split, dataset.fingerprint(selection.split),
        source.fingerprint, f"{choice.value} {choice.rule} {choice.chosen_on}",
    )  # fmt: skip
    what = f"Sorting the errors of {RULES[name].label if name in RULES else source.name}"
    return result_or_progress(
        key,
        what,
        partial(_mine, dataset, selection.split, source, choice),
        ask=ask_for_pass(what, images),
        look_first=True,
        is_there=lambda mined: mined.shelf.is_there,
    )


def picture_of(selection: Selection, name: str, mined: Mined, slice_key: str, image_id: str) -> bytes | str:
    """A picture file of an image with a slice's pixels marked; or why it cannot be drawn."""
    dataset = loaders.open_dataset_cached(selection.dataset)
    source = source_of(selection, dataset, name)
    key = task_key(
        str(selection.dataset.root), dataset.fingerprint(selection.split), source.fingerprint,
        str(mined.card.threshold), slice_key, image_id,
    )  # fmt: skip
    try:
        return _picture(key, dataset, source, mined, slice_key, image_id)
    except OrandnetError as error:
        return str(error)


@st.cache_data(max_entries=256, ttl="1h", show_spinner=False)
def _picture(
    key: str, _dataset: Dataset, _source: Source, _mined: Mined, _slice_key: str, _image_id: str
) -> bytes:
    errors = errors_of_image(_dataset, _source, _mined.card.threshold, _mined.backgrounds, _image_id)
    return thumbnail(slice_picture(_dataset.image(_image_id), errors, where_of(_slice_key)), _WIDTH_PX)


def _mine(dataset: Dataset, split: str, source: Source, choice: ThresholdChoice, report: Report) -> Mined:
    cache = cache_dir() / "errors"
    backgrounds: Backgrounds = backgrounds_of(dataset, split, cache, report)
    return mine(dataset, split, source, choice, backgrounds, cache_dir=cache, progress=report)
