"""Views kept by name: saved as their address, opened as a link, deleted."""

from html import escape

import streamlit as st

from orandnet_core.errors import OrandnetError
from pages.components.selection import current_selection
from train.named_files import MAX_NAME
from train.views import SavedView, delete_view, save_view, saved_views

__all__ = ["draw_views"]


def draw_views(page: str) -> None:
    """Draw the buttons.

    Args:
        page: the page's path in the address.
    """
    saved = saved_views(page)
    with st.container(horizontal=True, gap="small", width="content"):
        with st.popover("Save view", icon=":material/bookmark_add:"):
            name = st.text_input(
                "Name", key="view_name", max_chars=MAX_NAME, placeholder="cats that OR loses"
            )
            st.button(
                "Save this view", type="primary", on_click=_save, args=(page,), disabled=not name.strip(),
                key="view_save",
            )  # fmt: skip
            st.caption(
                "Sources, rule, filter and charts, as this page's address has them: send it to share them."
            )
        if saved:
            with st.popover("Views", icon=":material/bookmarks:", key="views"):
                for each in saved.values():
                    with st.container(horizontal=True, vertical_alignment="center"):
                        # A link, as anybody would open it: nothing of the present view is left over.
                        href, label = escape(each.address), escape(each.name)
                        st.html(f'<a href="{href}" target="_self" style="color: inherit">{label}</a>')
                        st.button(
                            "Delete", icon=":material/delete:", type="tertiary",
                            key=f"view_delete {each.name}", on_click=delete_view, args=(each.name,),
                        )  # fmt: skip


def _save(page: str) -> None:
    name = st.session_state["view_name"].strip()
    selection = current_selection()
    # What the sidebar has at first is not in the address, and may be another thing tomorrow.
    of_sidebar = {"dataset": selection.dataset.name, "split": selection.split, "run": selection.run or ""}
    query = {key: (value,) for key, value in of_sidebar.items() if value}
    query |= {key: tuple(st.query_params.get_all(key)) for key in st.query_params}
    try:
        save_view(SavedView(name=name, page=page, query=query))
    except OrandnetError as error:
        st.toast(str(error), icon=":material/error:")
    else:
        st.toast(f"Saved “{name}”", icon=":material/bookmark_added:")
