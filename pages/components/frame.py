"""What surrounds every page: tab title, logo, and how much of the window a page takes."""

from pathlib import Path

import streamlit as st

_ASSETS = Path(__file__).resolve().parents[2] / "assets"
_SIDEBAR_PX = 250
# Pictures want the width that Streamlit leaves empty at the sides, and themes cannot set it.
_STYLE = """<style>
.stMainBlockContainer { padding-inline: 2rem }
</style>"""


def draw() -> None:
    """Draw it; before anything else of a page."""
    st.set_page_config(
        page_title="ORANDNet",
        page_icon=str(_ASSETS / "icon.svg"),
        layout="wide",
        initial_sidebar_state=_SIDEBAR_PX,
    )
    st.logo(str(_ASSETS / "logo.svg"), size="medium", icon_image=str(_ASSETS / "icon.svg"))
    st.html(_STYLE)
