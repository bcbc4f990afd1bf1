"""Go to another page from code."""

from typing import NoReturn

import streamlit as st

__all__ = ["go_to", "open_first_page"]


def go_to(page: str, **set_there: str) -> NoReturn:
    """Run another page, named by its file below `pages/`, with all bound controls as they are.

    Without `query_params`, Streamlit refuses where controls are bound to the address; with an empty
    one it clears the address, and the controls write themselves into it again.

    Args:
        set_there: values of controls that are bound on that page and not on this one.
    """
    st.session_state.update(set_there)  # the address alone does not move a control that was there before
    st.switch_page(f"pages/{page}", query_params=set_there)


def open_first_page() -> NoReturn:
    """Where a link names the first page by its own name: open it where it lies, with the link's query."""
    query = {name: st.query_params.get_all(name) for name in st.query_params}
    st.switch_page("pages/analysis/inspect_page.py", query_params=query)
