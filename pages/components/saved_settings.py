"""Fusion settings kept by name: save, load, delete, and hand the present one to a recipe."""

import streamlit as st

from orandnet_core.errors import OrandnetError
from pages.components.export_steps import export_button
from pages.components.fuse_setting import current_setting, show_setting
from pages.components.going import go_to
from train.named_files import MAX_NAME
from train.settings import delete_setting, save_setting, saved_settings

HANDED_KEY = "handed_setting"  # in session state: the setting that the launch forms start from


def draw_saved() -> None:
    """Draw the buttons."""
    saved = saved_settings()
    with st.container(horizontal=True, gap="small", width="content"):
        with st.popover("Save", icon=":material/bookmark_add:"):
            name = st.text_input("Name", key="fuse_name", max_chars=MAX_NAME, placeholder="precise AND")
            st.button("Save setting", type="primary", on_click=_save, disabled=not name.strip())
            st.caption("The address of this page holds the whole setting, too: share the link.")
        if saved:
            st.menu_button("Load", list(saved), icon=":material/bookmarks:", key="fuse_load", on_click=_load)
            with st.popover("Delete", icon=":material/delete:", type="tertiary"):
                gone = st.selectbox("Setting to delete", list(saved), key="fuse_delete")
                st.button("Delete setting", on_click=delete_setting, args=(gone,))
        if st.button(
            "Use in a recipe",
            icon=":material/rocket_launch:",
            disabled=not current_setting().fusion.clip,
            help="Opens Launch with it filled in; recipes do not offer the reference offset.",
        ):
            st.session_state[HANDED_KEY] = current_setting()
            go_to("training/launch.py")
        export_button()


def _load() -> None:
    setting = saved_settings().get(st.session_state["fuse_load"])
    if setting is None:
        return  # deleted in another tab
    show_setting(setting)
    st.toast(f"Loaded “{setting.name}”", icon=":material/bookmarks:")


def _save() -> None:
    name = st.session_state["fuse_name"].strip()
    try:
        save_setting(current_setting(name))
    except OrandnetError as error:
        st.toast(str(error), icon=":material/error:")
    else:
        st.toast(f"Saved “{name}”", icon=":material/bookmark_added:")
