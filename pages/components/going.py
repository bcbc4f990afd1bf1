"""Go to another page from code."""

from collections.abc import Mapping
from typing import NoReturn

import streamlit as st

from orandnet_core.fusion import RULES
from pages.components.sources import label_of

__all__ = ["LOOK_KEY", "OF_DATASET", "go_to", "inspect_image", "inspect_mask", "open_first_page"]

LOOK_KEY, OF_DATASET = "look", "Data set"  # of Inspect: photos of one's own, or these
_INSPECT = "analysis/inspect_page.py"


def go_to(page: str, query: Mapping[str, list[str]] | None = None, **set_there: str) -> NoReturn:
    """Run another page, named by its file below `pages/`, with all bound controls as they are.

    Without `query_params`, Streamlit refuses where controls are bound to the address; with an empty
    one it clears the address, and the controls write themselves into it again.

    Args:
        query: what else the address says, of controls that do not write themselves into it.
        set_there: values of controls that are bound on that page and not on this one.
    """
    st.session_state.update(set_there)  # the address alone does not move a control that was there before
    st.switch_page(f"pages/{page}", query_params={**set_there, **(query or {})})


def inspect_image(image_id: str, query: Mapping[str, list[str]] | None = None) -> NoReturn:
    """Open an image on Inspect, whatever is filtered or looked at there; `query` as `go_to` has it."""
    st.session_state.update({LOOK_KEY: OF_DATASET, "classes": []})
    go_to(_INSPECT, query, image=image_id)


def inspect_mask(image_id: str, source: str, threshold: float) -> NoReturn:
    """Open an image on Inspect with the mask that a source makes of it.

    Args:
        source: a key of `sources.map_names`.
        threshold: of the source, in [0, 1].
    """
    st.session_state.update({"mask": source, "threshold": threshold})
    if source in RULES:
        inspect_image(image_id)
    shown = dict.fromkeys([*st.session_state.get("beside", []), source])
    st.session_state["beside"] = list(shown)
    # A choice of several, set from code, does not write itself; in an address it goes by its labels.
    inspect_image(image_id, {"beside": [label_of(key) for key in shown]})


def open_first_page() -> NoReturn:
    """Where a link names the first page by its own name: open it where it lies, with the link's query."""
    query = {name: st.query_params.get_all(name) for name in st.query_params}
    st.switch_page(f"pages/{_INSPECT}", query_params=query)
