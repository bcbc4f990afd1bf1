"""The viewer's setting on the server: what its controls are, and where their values live.

The controls are drawn and moved in the browser. A setting that is let go is kept here in the
session, and in the address wherever it is not the default, so that a link shares it. Both keep what
was asked for, even where an image does not offer it: it is drawn again with the next that does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import streamlit as st

Value = str | float | int | bool


@dataclass(frozen=True, kw_only=True)
class Control:
    """A slider, a choice or a toggle.

    Attributes:
        name: in the setting (see assets/viewer/scene.js).
        address: its key in session state and in the address.
        kind: `slider`, `choice`, `toggle`; or `hidden`, of which the viewer has controls of its own.
        label: on screen.
        default: a number, a value of `options`, or a truth value.
        help: shown under the pointer.
        low, high, step: of a slider.
        options: (value, text) of a choice; the address has the text.
        kept_as_text: the session keeps a choice's text, because values mean other things elsewhere.
        buttons: draw a choice of few options as buttons.
        needs: (name, values): without effect unless that control has one of the values.
        drawn: whether the person sees it.
    """

    name: str
    address: str
    kind: str
    label: str
    default: Value
    help: str = ""
    low: float = 0.0
    high: float = 1.0
    step: float = 1 / 256
    options: tuple[tuple[Value, str], ...] = ()
    kept_as_text: bool = False
    buttons: bool = False
    needs: tuple[str, tuple[Value, ...]] | None = None
    drawn: bool = True

    def described(self) -> dict[str, object]:
        """For the browser."""
        names = ("name", "kind", "label", "default", "help")
        if self.kind == "slider":
            names += ("low", "high", "step")
        elif self.kind == "choice":
            names += ("options", "buttons")
        described = {name: getattr(self, name) for name in names}
        if self.needs is not None:
            described["needs"] = {"name": self.needs[0], "values": self.needs[1]}
        return described

    def accepted(self, value: object) -> Value:
        """A value of this control: the given one, brought into range; the default if it is none."""
        try:
            if self.kind == "slider":
                number = float(value)
                return min(max(number, self.low), self.high) if number == number else self.default
            if self.kind == "toggle":
                return value if isinstance(value, bool) else str(value).lower() in ("true", "1")
            if self.kind == "choice":
                found = (each for each, text in self.options if value in (each, text))
                return next(found, self.default)
        except (TypeError, ValueError):
            return self.default
        return str(value)

    def asked(self, value: object) -> Value:
        """`accepted`, but a choice that is not offered here stays as it is: another image may offer it."""
        offered = self.kind != "choice" or any(value in option for option in self.options)
        return self.accepted(value) if offered else str(value)

    def in_address(self, value: Value) -> str:
        """A value as the address has it; `accepted` reads it back."""
        if self.kind == "slider":
            return f"{value:.8g}"
        if self.kind == "toggle":
            return str(value).lower()
        return dict(self.options).get(value, str(value))


@dataclass(frozen=True)
class Group:
    """Controls under a title that can be folded away, or without a title at the top.

    Attributes:
        controls: in order.
        title: of what is folded away.
        reset: offer to set all of them back.
    """

    controls: Sequence[Control]
    title: str = ""
    reset: bool = False


# Panes that the person chose, by their keys; empty for the page's usual ones.
def panes_control(address: str) -> Control:
    """The choice and order of panes, which the viewer has a menu for."""
    return Control(name="panes", address=address, kind="hidden", label="Panes", default="")


@dataclass(frozen=True)
class SettingState:
    """A page's setting.

    Attributes:
        key: of the viewer.
        groups: its controls.
    """

    key: str
    groups: Sequence[Group]
    controls: Mapping[str, Control] = field(init=False)

    def __post_init__(self):
        every = {control.name: control for group in self.groups for control in group.controls}
        object.__setattr__(self, "controls", every)

    def with_options(self, name: str, options: Sequence[tuple[Value, str]]) -> "SettingState":
        """The same with other options of a choice, as an image gives them."""

        def changed(control: Control) -> Control:
            return replace(control, options=tuple(options)) if control.name == name else control

        groups = [
            replace(group, controls=[changed(each) for each in group.controls]) for group in self.groups
        ]
        return SettingState(self.key, groups)

    def defaults(self) -> dict[str, Value]:
        """The setting before anybody has moved anything."""
        return {name: control.default for name, control in self.controls.items()}

    def values(self) -> dict[str, Value]:
        """The setting: from the session, at first from the address, else the defaults."""
        return {name: self.value(name) for name in self.controls}

    def value(self, name: str) -> Value:
        """One control's value."""
        control = self.controls[name]
        return control.accepted(_kept(control))

    def set(self, **values: Value) -> None:
        """Set controls by name."""
        for name, value in values.items():
            control = self.controls[name]
            value = control.asked(value)
            st.session_state[control.address] = control.in_address(value) if control.kept_as_text else value

    def take(self, setting: Mapping[str, object]) -> None:
        """Keep what the browser moved of the setting that it sends back."""
        drawn = self.values()
        self.set(**{name: setting[name] for name in drawn if setting.get(name, drawn[name]) != drawn[name]})
        st.session_state[self._turn_key] = int(setting.get("turn", 0))

    @property
    def turn(self) -> int:
        """Of the newest setting that came from the browser."""
        return st.session_state.get(self._turn_key, 0)

    def to_address(self) -> None:
        """Have the address say what is not the default, and the session all."""
        for name, control in self.controls.items():
            value = control.asked(_kept(control))
            self.set(**{name: value})
            if value == control.default:
                st.query_params.pop(control.address, None)
            elif st.query_params.get(control.address) != (text := control.in_address(value)):
                st.query_params[control.address] = text

    def described(self) -> list[dict[str, object]]:
        """The groups of controls for the browser."""
        groups = []
        for group in self.groups:
            drawn = (control for control in group.controls if control.drawn and control.kind != "hidden")
            shown = [control.described() for control in drawn]
            groups.append({"title": group.title, "reset": group.reset, "controls": shown})
        return groups

    @property
    def _turn_key(self) -> str:
        return f"{self.key}_turn"


def _kept(control: Control) -> object:
    """As it is in the session, at first in the address; else the default."""
    kept = st.session_state.get(control.address)
    return kept if kept is not None else st.query_params.get(control.address, control.default)
