"""The Inspect page's setting: which class, which map the mask comes from, at which threshold."""

from collections.abc import Sequence

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
    key: str, class_ids: np.ndarray, class_names: Sequence[str], sources: Sequence[Source]
) -> SettingState:
    """The setting of the viewer `key` for an image.

    Args:
        key: of the viewer.
        class_ids: (K,) the classes to choose from.
        class_names: the data set's.
        sources: besides the fusion rules, a mask can come from any of them.
    """
    classes = [(0, ALL_CLASSES), *((int(class_id), class_names[class_id - 1]) for class_id in class_ids)]
    rules = {name: rule.label for name, rule in RULES.items()}
    others = [(source.key, source.title) for source in sources if source.key not in rules]
    state = SettingState(key, [Group(_CONTROLS)])
    return state.with_options("class", classes).with_options("rule", [*rules.items(), *others])
