"""The way in: another system's CAMs, recognised and shown with three images before anything is written."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError
from orandnet_core.interchange import CHOICES, MapImport, Question, Recognised
from orandnet_core.interchange.recognising import FORMAT_SEEN
from pages.components import import_view
from pages.components.failed_images import show_failed
from pages.components.import_files import choose_folder
from pages.components.import_view import Target
from pages.components.selection import DatasetRef, Selection, current_selection
from pages.components.tasks import result_or_progress, task_board

__all__ = ["show_way_in"]

_HEADINGS = {
    "format": "File format",
    "order": "Class order",
    "values": "Values",
    "fit": "Position on the photo",
    "nan": "Values that are no numbers",
    "missing": "Classes without a map",
}


def show_recognised(maps: MapImport, found: Recognised) -> None:
    """What was found, and what was not: facts, coverage, files that cannot be read."""
    listing = maps.listing
    what = FORMAT_SEEN[found.reading.format]
    st.success(
        f"{what[0].upper()}{what[1:]} · {len(listing.paths):,} images · `{listing.root}`",
        icon=":material/check_circle:",
        title="Recognised",
    )
    left, right = st.columns([0.6, 0.4], gap="large")
    left.markdown("\n".join(f"- {fact}" for fact in found.evidence))
    right.table(import_view.coverage_table(maps), border="horizontal", hide_index=True)
    if listing.passed_over:
        st.caption(
            f"{listing.passed_over:,} files belong to no image, or are a second one of it: "
            f"{', '.join(f'`{name}`' for name in listing.examples)}"
        )
    if found.failed:
        image_id, reason = next(iter(found.failed.items()))
        st.warning(
            f"**{image_id}**: {reason}",
            title=f"{len(found.failed)} of the files that were looked at cannot be read",
            icon=":material/broken_image:",
        )


def ask(questions: Sequence[Question]) -> dict[str, str]:
    """Draw what is doubtful; returns what was decided."""
    chosen: dict[str, str] = {}
    for question in questions:
        st.warning(question.why, title="To be decided", icon=":material/help:")
        answer = choice_of(question.about, question.answers, "Choose", f"import_asked_{question.about}")
        if answer:
            chosen[question.about] = answer
    return chosen


def read_otherwise(found: Recognised) -> dict[str, str]:
    """Draw, folded, what was recognised beyond doubt, to be overruled."""
    chosen: dict[str, str] = {}
    asked = {question.about for question in found.questions}
    with st.expander("Read it otherwise", icon=":material/tune:"):
        if len(found.fields) > 1:
            field = st.selectbox(
                "Stack of maps", found.fields, key="import_field", help="The finest is taken by default."
            )
            if field != found.fields[0]:
                chosen["field"] = field
        for about in (name for name in CHOICES if name not in asked):
            recognised = f"as recognised: {getattr(found.reading, about)}"
            answer = choice_of(about, list(CHOICES[about]), recognised, f"import_other_{about}")
            if answer:
                chosen[about] = answer
    return chosen


def choice_of(about: str, options: Sequence[str], placeholder: str, key: str) -> str | None:
    return st.selectbox(
        _HEADINGS[about],
        options,
        index=None,
        placeholder=placeholder,
        format_func=lambda choice: f"{choice} · {CHOICES[about][choice]}",
        key=key,
    )


def show_images(maps: MapImport, found: Recognised) -> None:
    """Three images with a map for each class: a wrong class order is seen at once."""
    st.subheader("Three images as they would be read", anchor=False)
    for image_id, pictures, problem in import_view.pictures_of(maps, found):
        if problem:
            st.warning(problem, title=image_id, icon=":material/broken_image:")
        else:
            with st.container(horizontal=True, gap="small"):
                for name, picture in pictures:
                    st.image(picture, name, width=230)


def choose_target(dataset: Dataset) -> Target | None:
    """Which run, under which name."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        runs = import_view.runs_to_import_into(current_selection().dataset)
        run = st.selectbox(
            "Into the run", runs, index=0 if runs else None, accept_new_options=True, key="import_run",
            placeholder="Name of a new run", width=260,
        )  # fmt: skip
        source = st.text_input(
            "Source name", key="import_source", placeholder="amn", width=200,
            help="`cnn` and `vit` stand for the two networks, so that they are fused.",
        )  # fmt: skip
        anew = st.checkbox("Replace what it holds", key="import_anew")
    if not run or not source.strip():
        st.caption("Name the run and the source to import into.")
        return None
    try:
        return import_view.target(run, source.strip(), dataset, anew)
    except OrandnetError as error:
        st.warning(str(error), title="Not a name for it", icon=":material/edit:")
        return None


def show_result(result: import_view.Imported) -> None:
    """How many came in, and why the others did not."""
    st.success(
        f"{result.written:,} images of **{result.target.source}** are in the run **{result.target.run}**. "
        "Choose it under *Sources* in the sidebar, or score it in a shell:",
        title="Imported",
        icon=":material/check_circle:",
    )
    st.code(result.command, language="shell")
    show_failed(result.reasons)


def recognise(ref: DatasetRef, folder: Path) -> tuple[MapImport, Recognised]:
    """Recognise, ask, and recognise again with the answers; the page ends here where nothing can be read."""

    def look(answers: dict[str, str]) -> tuple[MapImport, Recognised]:
        try:
            return import_view.recognised(ref, folder, tuple(sorted(answers.items())))
        except OrandnetError as error:
            st.error(str(error), title="Not recognised", icon=":material/error:")
            st.stop()

    maps, found = look({})
    shown, questions, overruled = st.container(), st.container(), st.container()
    with questions:
        answers = ask(found.questions)
    with overruled:
        answers |= read_otherwise(found)
    asked = {question.about for question in found.questions}
    if answers:
        maps, found = look(answers)
        if further := [question for question in found.questions if question.about not in asked]:
            with questions:
                answers |= ask(further)
            maps, found = look(answers)
    with shown:
        show_recognised(maps, found)
    return maps, found


def show_import(maps: MapImport, found: Recognised, dataset: Dataset) -> None:
    """The three images, where they go, and the import."""
    show_images(maps, found)
    to = choose_target(dataset)
    if found.questions:
        st.info("Decide what is open above; then it can be imported.", icon=":material/help:")
    elif to is not None:
        images = f"{len(maps.listing.paths):,} images"
        key = import_view.task_of(maps, to)
        done = result_or_progress(
            key,
            f"Importing {images}",
            partial(import_view.run_import, maps, to),
            ask=f"Import {images}",
            is_there=lambda imported: imported.is_there,
        )
        if done is not None:
            show_result(done)
            if to.anew:
                st.button(
                    "Import again", icon=":material/refresh:", type="tertiary", on_click=task_board().forget,
                    args=(key,), help="For files that were replaced by others of the same name.",
                )  # fmt: skip


def show_way_in(selection: Selection, dataset: Dataset) -> None:
    """Draw it all, from the choice of a folder to the result."""
    st.caption(
        "CAMs of IRN, ORANDNet, AMN, MCTformer, CLIP-ES, a CRF, or whatever writes `.npy`, `.npz`, "
        "safetensors or PNG maps, become a source like any other. Nothing in a file is executed, and nothing "
        "is written before you have seen it."
    )
    folder = choose_folder()
    if folder is not None:
        show_import(*recognise(selection.dataset, folder), dataset)
