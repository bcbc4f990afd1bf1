"""Data: what a data set holds, what is wrong with it and what to do about it, and how to add one."""

from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa
import streamlit as st

from orandnet_core.array_files import file_stamp
from orandnet_core.datasets import Dataset
from orandnet_core.datasets.check import Report, check
from orandnet_core.datasets.check_file import read_report, write_report
from orandnet_core.datasets.opening import dataset_stamp
from orandnet_core.datasets.problems import Problem
from orandnet_core.errors import OrandnetError, StoreError
from pages.components import catalog, charts, loaders
from pages.components.chart_style import CHART_CONFIG, MOST_CLASSES
from pages.components.empty import require_dataset
from pages.components.scores import task_key
from pages.components.selection import DatasetRef, current_selection
from pages.components.tasks import Report as Progress
from pages.components.tasks import ask_for_pass, result_or_progress, task_board
from train.workspace import cache_dir

# Every file is decoded: above this, a page asks first.
LISTED = 20  # findings of a kind at a time
NAMED = 30  # classes in a line
FOUND, ADD = "What is there", "Add a data set"  # the tabs

OWN_DATA = """
```
my_data/
├── images/        a.jpg, pets/b.png, …   any names, sub-folders too
├── labels.csv     image,classes,split    a table, one image a row
│                  a,cat;dog,train        several classes by semicolon
│                  pets/b,cat,val         without `split`, one image in five is val
├── masks/         a.png, …               optional: 0 background, 1…C, 255 ignored
└── classes.txt    cat                    optional: names in the order of the masks' values
                   dog
```
"""


def show_report(report: Report) -> None:
    """Counts a split and class, and every problem with its file and remedy."""
    problems = report.problems
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.metric("Usable images", f"{report.usable:,} of {report.images:,}", width="content")
        st.metric("Errors", f"{problems.error_count:,}", width="content")
        st.metric("Notes", f"{problems.note_count:,}", width="content")
    if report.unlisted:
        st.caption(f"{report.unlisted:,} more images lie in the folder and are in no split.")
    left, right = st.columns([0.32, 0.68], gap="large")
    left.table(
        {
            "Split": [split.name for split in report.splits],
            "Images": [f"{split.images:,}" for split in report.splits],
            "Usable": [f"{split.usable:,}" for split in report.splits],
            "Masks": [f"{split.masks:,}" for split in report.splits],
        },
        border="horizontal",
        hide_index=True,
    )
    left.caption(
        "An image without a mask trains classifiers and gets CAMs; it is passed over when masks are scored, "
        "and the protocol card says how many were."
    )
    counts = {split.name: split.images_by_class for split in report.splits}
    right.plotly_chart(
        charts.class_counts(report.class_names, counts),
        config=CHART_CONFIG,
        key="data_classes",
        alt="Images that show each class, by split",
    )
    if len(report.class_names) > MOST_CLASSES:
        with right.expander(f"All {len(report.class_names):,} classes", icon=":material/list:"):
            st.dataframe(
                pa.table({"Class": list(report.class_names), **counts}),
                hide_index=True,
                alt="Images that show each class, by split",
            )
    show_problems(report)


@st.fragment
def show_problems(report: Report) -> None:
    """The findings by kind, errors first, a page of files at a time."""
    kinds: dict[str, list[Problem]] = {}
    for problem in report.problems:
        kinds.setdefault(problem.kind, []).append(problem)
    if not kinds:
        st.success("Every file is in order.", icon=":material/check_circle:")
        return
    totals = report.problems.counts
    kind = st.selectbox(
        "What was found",
        list(kinds),
        format_func=lambda kind: (
            f"{'Error' if kinds[kind][0].is_error else 'Note'} · {kind} · {totals[kind]:,}"
        ),
        # A browser shows the words that were chosen, count and all, for as long as the key stays.
        key=f"data_kind_{task_key(*map(str, totals.items()))}",
        width=420,
    )
    found = kinds[kind]
    pages = -(-len(found) // LISTED)
    page = st.pagination(pages, key=f"data_page_{kind}") if pages > 1 else 1
    listed = list(islice(found, (page - 1) * LISTED, page * LISTED))
    st.dataframe(
        pa.table(
            {
                "File": [problem.file for problem in listed],
                "Found": [problem.what for problem in listed],
                "Remedy": [problem.remedy for problem in listed],
            }
        ),
        hide_index=True,
        alt=f"Files with the finding: {kind}",
    )
    if totals[kind] > len(found):
        st.caption(
            f"{len(found):,} of {totals[kind]:,} are listed here; `python -m train data check` counts all."
        )


def add_form() -> None:
    """Add a folder by its path; it is opened before it is remembered."""
    st.markdown("**Your own images**, in this layout or as a VOC devkit, wherever they lie on this machine:")
    st.markdown(OWN_DATA)
    with st.form("data_add", border=False):
        columns = st.columns([0.5, 0.25, 0.25], vertical_alignment="bottom")
        columns[0].text_input("Folder", placeholder="/data/my_data", key="data_root")
        columns[1].text_input("Name", placeholder="the folder's", key="data_name")
        columns[2].form_submit_button("Add data set", icon=":material/add:", width="stretch", on_click=_add)
    if refused := st.session_state.pop("data_refused", None):
        st.error(refused, title="Not added", icon=":material/error:")
    st.markdown("VOC 2012 with the masks of SBD (2 GB) comes by a command:")
    st.code("python -m train data download ~/data", language="shell")


def _add() -> None:
    """Add what the form says and choose it; a callback, so that the sidebar is drawn with it."""
    state = st.session_state
    if not state["data_root"].strip():
        return
    root = Path(state["data_root"].strip()).expanduser().resolve()
    ref = DatasetRef(state["data_name"].strip() or root.name, "auto", root)
    try:
        dataset = loaders.open_dataset_cached(ref)
        catalog.add_dataset(ref)
    except OrandnetError as error:
        state["data_refused"] = str(error)
        return
    state.update(dataset=ref.name, data_tab=FOUND, data_root="", data_name="")
    images = sum(map(len, dataset.splits.values()))
    st.toast(f"Added “{ref.name}”: {images:,} images", icon=":material/database:")


def offer_removal(ref: DatasetRef) -> None:
    """A button that takes a data set off the list, where it was added to it."""
    if ref not in catalog.added_datasets():
        return
    runs = len(catalog.runs_on(ref))
    kept = f"{runs:,} run{'s were' if runs > 1 else ' was'} made on it: while there are runs, it stays."
    st.button(
        "Take off the list", icon=":material/playlist_remove:", type="tertiary", disabled=runs > 0,
        help=kept if runs else "Its files stay where they are.", on_click=_remove, args=(ref,),
    )  # fmt: skip


def _remove(ref: DatasetRef) -> None:
    catalog.remove_dataset(ref)
    st.session_state["dataset"] = catalog.SAMPLE
    st.toast(f"“{ref.name}” is off the list; its files stay.", icon=":material/playlist_remove:")


def check_of(ref: DatasetRef, dataset: Dataset) -> Report | None:
    """The report, made once in the background and kept; None while progress is drawn instead.

    It is another data set once labels or splits change, or a file comes or goes in its folders.
    """
    images = sum(map(len, dataset.splits.values()))
    folders = map(file_stamp, (*dataset.image_dirs, *dataset.mask_dirs))
    prints = (dataset.fingerprint(split) for split in dataset.splits)
    key = task_key("check", dataset_stamp(ref.root), *prints, *folders)
    path = cache_dir() / "checks" / f"{key}.json"
    found = result_or_progress(
        key,
        f"Checking every file of {dataset.name}",
        partial(_checked, dataset, path),
        ask=ask_for_pass("Check every file", images),
        look_first=True,
    )
    if found is not None:
        st.button(
            "Check again", icon=":material/refresh:", type="tertiary", on_click=_forget,
            args=(ref, key, path),
            help="For files that were replaced by others of the same name.",
        )  # fmt: skip
    return found


def _checked(dataset: Dataset, path: Path, progress: Progress) -> Report:
    try:
        return read_report(path)
    except StoreError:  # not there yet, or damaged
        report = check(dataset, progress)
        write_report(path, report)
        return report


def _forget(ref: DatasetRef, key: str, path: Path) -> None:
    loaders.forget(ref)
    path.unlink(missing_ok=True)
    task_board().forget(key)


found_tab, add_tab = st.tabs([FOUND, ADD], key="data_tab", on_change="rerun")
with add_tab:
    add_form()
with found_tab:
    selection = current_selection()
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        about = st.container(width="stretch")
        offer_removal(selection.dataset)
    opened = require_dataset(selection)
    more = len(opened.class_names) - NAMED
    about.caption(
        f"`{opened.root}` · {len(opened.class_names):,} classes: {', '.join(opened.class_names[:NAMED])}"
        + (f" and {more:,} more" if more > 0 else "")
    )
    checked = check_of(selection.dataset, opened)
    if checked is not None:
        show_report(checked)
