"""The workbench: which pages there are, and the sidebar that they share.

`python app.py` serves it, and takes the options of `streamlit run`.
"""

import sys

import streamlit as st

from pages.components import frame, going, sidebar

if __name__ == "__main__" and not st.runtime.exists():
    from streamlit.runtime.pages_manager import PagesManager
    from streamlit.web import cli

    # The folder's name would make Streamlit list its files as pages until the first visit has declared ours,
    # and tell a visitor who comes by a link to /fuse that there is no such page.
    PagesManager.uses_pages_directory = False
    sys.exit(cli.main(["run", __file__, *sys.argv[1:]]))

BY_NAME = "inspect"  # where a link to the first page may look for it

frame.draw()
ROW = [
    st.Page(
        "pages/analysis/inspect_page.py",
        title="Inspect",
        icon=":material/visibility:",
        default=True,
        help="One image: both networks' CAMs, their fusion, the pseudo-mask and its errors.",
    ),
    # The first page lies at `/`, whatever it is called.
    st.Page(going.open_first_page, title="Inspect", url_path=BY_NAME, visibility="hidden"),
    st.Page(
        "pages/analysis/fuse.py",
        title="Fuse",
        icon=":material/join_full:",
        help="Fusion rule and thresholds, and what they do to an image and to the data set.",
    ),
    st.Page(
        "pages/analysis/compare.py",
        title="Compare",
        icon=":material/query_stats:",
        help="All sources side by side: precision, recall and mIoU with confidence intervals.",
    ),
    st.Page(
        "pages/analysis/errors.py",
        title="Errors",
        icon=":material/troubleshoot:",
        help="What went wrong and where: slices of errors by what mending each would give back.",
    ),
    st.Page(
        "pages/analysis/data.py",
        title="Data",
        icon=":material/database:",
        help="What a data set holds, what is wrong with it, and how to add one.",
    ),
    st.Page(
        "pages/training/launch.py",
        title="Launch",
        icon=":material/rocket_launch:",
        help="Start a recipe: the networks, their CAMs, and all that follows.",
    ),
    st.Page(
        "pages/training/runs.py",
        title="Runs",
        icon=":material/checklist:",
        help="Every run, its stages, curves and log.",
    ),
]
# One row on a screen of 1280 pixels: what is wanted less often waits in a menu.
MENU = [
    st.Page(
        "pages/analysis/complement.py",
        title="Complement",
        icon=":material/compare_arrows:",
        help="Who is right where two sources differ, and what a rule for each class would gain.",
    ),
    st.Page(
        "pages/analysis/scales.py",
        title="Scales",
        icon=":material/photo_size_select_small:",
        help="What small images do to pseudo-masks: precision and recall after each scale.",
    ),
    st.Page(
        "pages/analysis/thesis.py",
        title="Thesis",
        icon=":material/scatter_plot:",
        help="What pseudo-masks are worth against the network that they train, over all runs.",
    ),
    st.Page(
        "pages/analysis/exchange.py",
        title="Import and export",
        icon=":material/swap_horiz:",
        help="Other systems' CAMs in; masks and CAMs out, for VOC, COCO, Hugging Face and IRN.",
    ),
]
page = st.navigation({"": ROW, "More": MENU}, position="top")
st.set_page_config(page_title=f"{page.title} · ORANDNet")  # tabs of a browser are told apart
if page.url_path != BY_NAME:  # it hands the address on, which nothing may be bound to yet
    sidebar.draw()
if page in MENU:  # the row of pages marks its own
    st.subheader(page.title, anchor=False)
page.run()
