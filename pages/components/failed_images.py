"""Images that a step passed over, each with the reason."""

from collections.abc import Mapping

import streamlit as st

__all__ = ["show_failed"]


def show_failed(reasons: Mapping[str, str]) -> None:
    """A warning and the list; nothing where all went well.

    Args:
        reasons: by image id.
    """
    if reasons:
        st.warning(f"{len(reasons):,} images failed.", icon=":material/broken_image:")
        st.dataframe(
            {"Image": list(reasons), "Why": list(reasons.values())}, hide_index=True,
            alt="Images that failed, and why",
        )  # fmt: skip
