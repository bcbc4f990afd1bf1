"""Other CAM methods beside the recipe's own: chosen in a menu, computed in the background."""

from functools import partial

import numpy as np
import streamlit as st

from orandnet_core.store import StoredCam
from pages.components.networks import NetworkPair
from pages.components.scores import task_key
from pages.components.seeing import SLOW_METHODS, method_cam, method_names
from pages.components.tasks import result_or_progress, task_board
from pages.components.viewer_scene import Source

_CHOSEN_KEY = "methods"
_AT_ONCE = 4
_LABELS = {"cnn": "CNN", "vit": "ViT"}


def load_ahead(pair: NetworkPair) -> None:
    """Have torch and both networks in memory before somebody asks for them; returns at once."""
    task_board().start(_pair_key(pair), "Loading the networks", partial(method_names, pair))


def choose_methods(pair: NetworkPair) -> None:
    """Draw the menu; `chosen_methods` says what is chosen."""
    menu = st.popover(
        "More methods",
        icon=":material/add_photo_alternate:",
        type="tertiary",
        key="methods_menu",
        on_change="rerun",
    )
    if not menu.open:
        return
    with menu:
        fitting = result_or_progress(_pair_key(pair), "Loading the networks", partial(method_names, pair))
        if fitting is not None:
            st.multiselect(
                "Beside the recipe's own", [f"{source}/{method}" for source, method in fitting],
                key=_CHOSEN_KEY, format_func=_label, max_selections=_AT_ONCE, persist_state="session",
                placeholder="Any method that fits",
                help="At one scale. Slow ones run the network once a channel: minutes on a CPU.",
            )  # fmt: skip


def method_sources(
    pair: NetworkPair, photo_key: str, photo: np.ndarray, class_ids: np.ndarray
) -> list[Source]:
    """A source for every chosen method that is done; of the others, progress is drawn.

    Args:
        pair: the networks.
        photo_key: names the photo's content.
        photo: (H, W, 3) uint8 RGB.
        class_ids: (K,) ascending.
    """
    sources = []
    for name in st.session_state.get(_CHOSEN_KEY, ()):
        source, method = name.split("/")
        stored: StoredCam | None = result_or_progress(
            task_key("method", photo_key, pair.name, str(pair.stamp), name, str(class_ids.tolist())),
            _label(name),
            partial(method_cam, pair, source, method, photo, class_ids),
        )
        if stored is not None:
            title = f"{_LABELS[source]} {method}"
            sources.append(Source(f"{source}-{method}", title, stored.full_size()))
    return sources


def _pair_key(pair: NetworkPair) -> str:
    return task_key("networks", pair.name, str(pair.stamp))


def _label(name: str) -> str:
    source, method = name.split("/")
    return f"{_LABELS[source]} · {method}" + (" (slow)" if method in SLOW_METHODS else "")
