"""The viewer's setting on the server: from address to session and back, in any order."""

import pytest
import streamlit as st

from pages.components.viewer_setting import Control, Group, SettingState, panes_control

CONTROLS = (
    Control(name="t", address="x_t", kind="slider", label="T", default=0.25),
    Control(
        name="rule", address="x_rule", kind="choice", label="Rule", default="and",
        options=(("and", "AND"), ("or", "OR")),
    ),
    Control(name="trimap", address="x_trimap", kind="toggle", label="Trimap", default=False),
    Control(
        name="class", address="x_class", kind="choice", label="Class", default=0, kept_as_text=True,
        options=((0, "All"), (7, "cat")),
    ),
    panes_control("x_panes"),
)  # fmt: skip


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> SettingState:
    """A setting, and a session and an address that are plain dictionaries."""
    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(st, "query_params", {})
    return SettingState("x", [Group(CONTROLS)])


def test_without_anything_it_is_the_defaults(state):
    expected = {"t": 0.25, "rule": "and", "trimap": False, "class": 0, "panes": ""}
    assert state.values() == state.defaults() == expected
    state.to_address()
    assert st.query_params == {}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("x_t", "0.5", 0.5), ("x_t", "7", 1.0), ("x_t", "nan", 0.25), ("x_t", "much", 0.25),
        ("x_rule", "OR", "or"), ("x_rule", "or", "or"), ("x_rule", "nor", "and"),
        ("x_trimap", "true", True), ("x_trimap", "no", False),
        ("x_class", "cat", 7), ("x_class", "dog", 0), ("x_panes", "photo,cnn", "photo,cnn"),
    ],
)  # fmt: skip
def test_an_address_is_read_and_what_makes_no_sense_is_the_default(state, name, text, value):
    st.query_params[name] = text
    assert state.values()[name.removeprefix("x_")] == value


def test_what_the_browser_sends_is_in_the_session_and_in_the_address(state):
    sent = {"t": 77 / 256, "rule": "or", "trimap": True, "class": 7, "panes": "photo", "turn": 3, "other": 1}
    state.take(sent)
    assert {**state.values(), "turn": state.turn, "other": 1} == sent
    state.to_address()
    assert st.query_params == {
        "x_t": "0.30078125", "x_rule": "OR", "x_trimap": "true", "x_class": "cat", "x_panes": "photo",
    }  # fmt: skip
    fresh = dict(st.session_state)
    st.session_state.clear()
    assert state.values() == {name: sent[name] for name in state.controls}
    st.session_state.update(fresh)
    state.take({**state.defaults(), "turn": 4})
    state.to_address()
    assert st.query_params == {}


def test_the_session_goes_before_the_address(state):
    st.query_params["x_t"] = "0.5"
    state.set(t=0.75)
    assert state.value("t") == 0.75


def test_a_class_that_an_image_lacks_is_all_classes(state):
    state.set(**{"class": 7})
    other = state.with_options("class", [(0, "All"), (9, "dog")])
    assert other.value("class") == 0
    renumbered = state.with_options("class", [(0, "All"), (2, "cat")])
    assert renumbered.value("class") == 2


def test_what_an_image_does_not_offer_is_wished_for_until_one_does(state):
    st.query_params |= {"x_class": "cat", "x_rule": "walk", "x_t": "much"}
    poor = state.with_options("class", [(0, "All"), (9, "dog")])
    rich = state.with_options("rule", [("and", "AND"), ("walk", "Random walk")])
    poor.to_address()
    assert poor.values() == state.defaults()
    assert st.query_params == {"x_class": "cat", "x_rule": "walk"}
    poor.take({**poor.values(), "t": 0.5, "turn": 1})  # with what was drawn, as the browser has it
    st.query_params.clear()  # as on the way to another page
    poor.to_address()
    assert st.query_params == {"x_class": "cat", "x_rule": "walk", "x_t": "0.5"}
    rich.to_address()
    assert {**rich.values(), "panes": ""} == {**state.defaults(), "class": 7, "rule": "walk", "t": 0.5}
    assert st.query_params["x_rule"] == "Random walk"
    poor.take({**poor.values(), "class": 9, "rule": "or", "turn": 2})
    poor.to_address()
    assert st.query_params == {"x_class": "dog", "x_rule": "OR", "x_t": "0.5"}


def test_hidden_controls_are_not_drawn(state):
    (group,) = state.described()
    assert [control["name"] for control in group["controls"]] == ["t", "rule", "trimap", "class"]
    assert group["controls"][1]["options"] == (("and", "AND"), ("or", "OR"))
