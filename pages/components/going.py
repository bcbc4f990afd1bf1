"""Go to another page from code."""

from typing import NoReturn

import streamlit as st

__all__ = ["go_to"]


def go_to(page: str) -> NoReturn:
    """Run another page, named by its file below `pages/`, with all bound controls as they are.

    Without `query_params`, Streamlit refuses where controls are bound to the address; with an empty
    one it clears the address, and the controls write themselves into it again.
    """
    st.switch_page(f"pages/{page}", query_params={})
