"""The Inspect page's setting: which class, which map the mask comes from, at which threshold."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from orandnet_core.fusion import RULES
from pages.components.viewer_scene import Source
from pages.components.viewer_setting import Control, Group, SettingState, panes_control

ALL_CLASSES = "All classes"
DEFAULT_RULE = "and"
DEFAULT_THRESHOLD = 77 / 256

# Photo, both networks, their fusions, what the mask is made of, and what is right and wrong in it.
USUAL_PANES = ("photo", "cnn", "vit", "or", "and", "fused", "mask", "truth", "errors")

_CONTROLS = (
    Control(
        name="class", address="show", kind="choice", label="Class", default=0, kept_as_text=True,
        buttons=True, options=((0, ALL_CLASSES),),
    ),
    Control(name="rule", address="mask", kind="choice", label="Pseudo-mask from", default=DEFAULT_RULE),
    Control(
        name="t", address="threshold", kind="slider", label="Background threshold",
        default=DEFAULT_THRESHOLD, help="A pixel is foreground where its best map is greater.",
    ),
    Control(
        name="outlined", address="outlined", kind="toggle", label="Outline", default=True,
        help="Draw on every map the line where it exceeds the threshold.",
    ),
    panes_control("panes"),
)  # fmt: skip


def view_setting(
    key: str,
    class_ids: np.ndarray,
    class_names: Sequence[str],
    sources: Sequence[Source],
    address: str = "",
    hidden: Collection[str] = (),
) -> SettingState:
    """The setting of the viewer `key` for an image.

    Args:
        key: of the viewer.
        class_ids: (K,) the classes to choose from.
        class_names: the data set's.
        sources: a mask can come from any of them; and from the fusion rules, where both networks are there.
        address: goes before the names in the address; viewers with the same share their setting.
        hidden: names of controls that are not drawn.
    """
    classes = [(0, ALL_CLASSES), *((int(class_id), class_names[class_id - 1]) for class_id in class_ids)]
    keys = {source.key for source in sources}
    rules = {name: rule.label for name, rule in RULES.items() if {"cnn", "vit"} <= keys}
    masks_from = [
        *rules.items(),
        *((source.key, source.title) for source in sources if source.key not in rules),
    ]
    first = DEFAULT_RULE if rules or not masks_from else masks_from[-1][0]
    controls = [
        replace(
            each,
            address=address + each.address,
            default=first if each.name == "rule" else each.default,
            drawn=each.name not in hidden,
        )
        for each in _CONTROLS
    ]
    state = SettingState(key, [Group(controls)])
    return state.with_options("class", classes).with_options("rule", masks_from)
