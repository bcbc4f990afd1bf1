"""The filter of linked selection: kept in the session and in the address, shown as chips.

Charts add conditions by a brush or a click, chips take them away; `Linked` says what they come to.
"""

from collections.abc import Iterable, Mapping, Sequence

import streamlit as st

from orandnet_core.image_filter import (
    Condition,
    Shows,
    address_of,
    conditions_of,
    passing,
    with_condition,
)
from pages.components.linked_images import Linked

__all__ = ["add", "current_filter", "draw_filter", "follow", "set_classes", "to_address"]

_ADDRESS = "filter"
_STATE_KEY, _PROBLEMS_KEY = "linked_filter", "linked_filter_problems"


def current_filter() -> tuple[Condition, ...]:
    """The conditions; at first, those of the address. What is none there is left out, and said."""
    if _STATE_KEY not in st.session_state:
        conditions, problems = conditions_of(st.query_params.get_all(_ADDRESS))
        st.session_state[_STATE_KEY], st.session_state[_PROBLEMS_KEY] = conditions, problems
    return st.session_state[_STATE_KEY]


def add(condition: Condition) -> None:
    """Filter by one more condition, in place of one of its kind; for callbacks."""
    _keep(with_condition(current_filter(), condition))


def set_classes(class_names: Sequence[str]) -> None:
    """Filter by these classes alone, or by none; for callbacks."""
    if class_names:
        add(Shows(tuple(class_names)))
    else:
        _keep(each for each in current_filter() if not isinstance(each, Shows))


def to_address(conditions: Sequence[Condition]) -> None:
    """Have the address say what filters."""
    texts = [address_of(condition) for condition in conditions]
    if st.query_params.get_all(_ADDRESS) == texts:
        return
    if texts:
        st.query_params[_ADDRESS] = texts
    else:
        del st.query_params[_ADDRESS]


def follow(drawn: Sequence[Condition]) -> None:
    """In a fragment: run the whole page if the filter is another than it was drawn with."""
    if tuple(drawn) != current_filter():
        st.rerun()


def draw_filter(linked: Linked) -> None:
    """How many images pass, a chip for every condition, and what to do where none passes."""
    for problem in st.session_state.get(_PROBLEMS_KEY, ()):
        st.caption(f":material/filter_alt_off: Left out of the address: {problem}")
    images, left = len(linked.facts.image_ids), len(linked.image_ids)
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key="linked_chips", wrap=True
    ):
        if not linked.chosen:
            st.caption(
                f":material/filter_alt: All **{images:,}** images. Drag over a chart, or click a bar, and "
                "the whole page follows.",
                width="content",
            )
            return
        st.markdown(f":material/filter_alt: **{left:,}** of {images:,} images", width="content")
        for place, condition in enumerate(linked.chosen):
            _chip(condition, place, linked.labels, idle=condition in linked.idle)
        st.button("Clear all", type="tertiary", key="linked_clear", on_click=_keep, args=((),))
    if linked.idle:
        st.caption(
            ":material/info: Crossed out: not applied, as the source is not compared here or the data set "
            "has no such class."
        )
    if not left:
        st.info(_how_to_widen(linked), title="No image passes all of this", icon=":material/filter_alt_off:")
    elif linked.conditions:
        told = "Numbers below are of these images alone, at thresholds chosen on all of them."
        if any(not isinstance(each, Shows) for each in linked.conditions):
            told += " A source by whose own score images are chosen is favoured or punished by the choice."
        st.caption(told)


def _how_to_widen(linked: Linked) -> str:
    """What taking away each of the conditions would leave."""
    lines = ["Drag a wider range in a chart below, or take a condition away:"]
    for condition in linked.conditions:
        others = [other for other in linked.conditions if other != condition]
        left = int(passing(others, linked.facts).sum())
        lines.append(f"- without *{condition.sentence(linked.labels)}*: {left:,} images")
    return "\n".join(lines)


def _chip(condition: Condition, place: int, labels: Mapping[str, str], idle: bool) -> None:
    sentence = condition.sentence(labels)
    st.button(
        f"~~{sentence}~~" if idle else sentence,
        icon=":material/close:",
        icon_position="right",
        key=f"linked_chip_{place}",
        help="Take this condition away",
        on_click=_drop,
        args=(condition,),
    )


def _drop(condition: Condition) -> None:
    _keep(each for each in current_filter() if each != condition)


def _keep(conditions: Iterable[Condition]) -> None:
    st.session_state[_STATE_KEY], st.session_state[_PROBLEMS_KEY] = tuple(conditions), ()
