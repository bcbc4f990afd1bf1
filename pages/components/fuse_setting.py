"""The Fuse page's setting: a rule, its thresholds and knobs, as controls of the viewer.

Every control is in the address, so the address is the setting: to share it, send the link.
"""

from collections.abc import Mapping

from orandnet_core.fusion import REFERENCE_VIT_OFFSET, RULES, Fusion
from pages.components.viewer_setting import Control, Group, SettingState, panes_control
from train.settings import FusionSetting

VIEWER_KEY = "fuse_viewer"
USUAL_PANES = ("cnn-mask", "vit-mask", "fused", "mask", "truth", "errors")

_NETWORKS = {"cnn": "CNN", "vit": "ViT"}
_KNOBS = {"offset": (0.0, -0.5, 0.5, 0.01), "gamma": (1.0, 0.1, 4.0, 0.05), "weight": (1.0, 0.0, 3.0, 0.05)}
_KNOB_HELP = {
    "offset": "Added to the map: lifts or sinks every pixel.",
    "gamma": "Exponent of the map: below 1 widens, above 1 sharpens.",
    "weight": "Factor of the map; in Noisy OR, how many witnesses the network counts for.",
}
# What decides a mask, and so what a CRF made of one belongs to.
_DECIDING = ("rule", "t", "trimap", "t_or", "t_and", "reference")


def _control(name: str, kind: str, label: str, default: object, help: str = "", **more: object) -> Control:
    return Control(
        name=name, address=f"fuse_{name}", kind=kind, label=label, default=default, help=help, **more
    )


def _threshold(name: str, label: str, default: float, help: str = "", **more: object) -> Control:
    return _control(name, "slider", label, default, help, **more)


_TRIMAP_ONLY = ("trimap", (True,))
_MAIN = Group(
    (
        _control(
            "rule", "choice", "Rule", "and", options=tuple((name, rule.label) for name, rule in RULES.items())
        ),
        _threshold("t", "Threshold", 0.3125, "A pixel is foreground where the fused map exceeds it."),
        _control(
            "crf", "toggle", "Dense CRF", False,
            "Moves the borders of this image's mask to edges of the photo (IRN's parameters for labels) when "
            "you let go of a slider. It takes seconds and changes this image only: the data set's figures "
            "are without it.",
        ),
        _control(
            "class", "choice", "Show", 0, "Show one class alone.", options=((0, "All classes"),),
            kept_as_text=True,
        ),
        _control("outlined", "toggle", "Outline", True, "Draw the line where a map exceeds the threshold."),
        panes_control("fuse_panes"),
    )
)  # fmt: skip
_TRIMAP = Group(
    (
        _control(
            "trimap", "toggle", "Leave pixels undecided", False,
            "Foreground where AND passes its threshold, background where OR does not pass its own, "
            "undecided in between.",
        ),
        _threshold(
            "t_or", "OR threshold", 0.3, "Background where the OR map does not exceed it.", needs=_TRIMAP_ONLY
        ),
        _threshold(
            "t_and", "AND threshold", 0.4, "Foreground where the AND map exceeds it.", needs=_TRIMAP_ONLY
        ),
    ),
    title="Trimap",
)  # fmt: skip
_SINGLE = Group(
    (_threshold("t_cnn", "CNN threshold", 0.4), _threshold("t_vit", "ViT threshold", 0.4)),
    title="Single networks",
)
_SHAPE = Group(
    (
        _control(
            "reference", "toggle", "Reference offset", False,
            f"As in the published code: +{REFERENCE_VIT_OFFSET} on the ViT's map, not clipped. It makes OR "
            "fall where the CNN rises; it is here to reproduce numbers.",
            needs=("rule", ("or", "and")),
        ),
        *(
            _control(
                f"{knob}_{network}", "slider", f"{label} {knob}", default, _KNOB_HELP[knob],
                low=low, high=high, step=step,
            )
            for knob, (default, low, high, step) in _KNOBS.items()
            for network, label in _NETWORKS.items()
        ),
    ),
    title="Shape the maps",
    reset=True,
)  # fmt: skip

STATE = SettingState(VIEWER_KEY, (_MAIN, _TRIMAP, _SINGLE, _SHAPE))


def current_setting(name: str = "") -> FusionSetting:
    """The setting that the controls make; its name is the rule's label where none is given."""
    values = STATE.values()
    reference = values["reference"] and values["rule"] in ("or", "and")
    knobs = {knob: values[knob] for knob in _knob_names()}
    if reference:
        knobs["offset_cnn"], knobs["offset_vit"] = 0.0, REFERENCE_VIT_OFFSET
    return FusionSetting(
        name=name or RULES[values["rule"]].label,
        fusion=Fusion(rule=values["rule"], clip=not reference, **knobs),
        background_threshold=values["t"],
        cnn_threshold=values["t_cnn"],
        vit_threshold=values["t_vit"],
        or_threshold=values["t_or"],
        and_threshold=values["t_and"],
        trimap=values["trimap"],
    )


def set_controls(**values: object) -> None:
    """Set controls by name; for callbacks, which run before the viewer is drawn."""
    STATE.set(**values)


def show_setting(setting: FusionSetting) -> None:
    """Set all controls to a saved setting; for callbacks."""
    fusion = setting.fusion
    controls = STATE.controls
    knobs = {knob: getattr(fusion, knob) if fusion.clip else controls[knob].default for knob in _knob_names()}
    set_controls(
        rule=fusion.rule,
        t=setting.background_threshold,
        trimap=setting.trimap,
        t_or=setting.or_threshold,
        t_and=setting.and_threshold,
        t_cnn=setting.cnn_threshold,
        t_vit=setting.vit_threshold,
        reference=not fusion.clip,
        **knobs,
    )


def deciding(values: Mapping[str, object]) -> dict[str, object]:
    """What of a setting's values decides the mask."""
    return {name: values[name] for name in (*_DECIDING, *_knob_names())}


def _knob_names() -> list[str]:
    return [f"{knob}_{network}" for knob in _KNOBS for network in _NETWORKS]
