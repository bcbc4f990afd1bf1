"""The viewer: several panes of one photo in step, computed and drawn in the browser by assets/viewer.

Two kinds of panes. *Fixed* ones (`Pane`) show values as Python gives them. *Live* ones come from
a `Scene`, the maps of an image, sent once: fusion, masks, errors and figures are computed in the
browser as a slider moves, to the same pixels as `orandnet_core` gives, and a setting that is let
go comes back through `on_setting`. See viewer_packet.py for the bytes.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from orandnet_core.errors import ShapeError
from orandnet_core.render import colour_map, label_colours, quantised
from pages.components.viewer_packet import Blobs
from pages.components.viewer_scene import Scene, scene_header

SCRIPT_DIR = Path(__file__).resolve().parents[2] / "assets" / "viewer"

# In the order in which they go into one module; `main.js` exports.
SCRIPTS = (
    "fusion.js", "masks.js", "metrics.js", "packet.js", "paint.js", "scene.js", "dom.js", "viewport.js",
    "layout.js", "pane.js", "captions.js", "controls.js", "region.js", "pair.js", "panes_menu.js",
    "readings.js", "gestures.js", "keys.js", "memory.js", "main.js",
)  # fmt: skip


def script() -> str:
    """All of the viewer's JavaScript as one module."""
    return "\n".join(_asset(name) for name in SCRIPTS)


def _asset(name: str) -> str:
    return (SCRIPT_DIR / name).read_text(encoding="utf-8")


_component = st.components.v2.component(
    "orandnet_viewer", html=_asset("viewer.html"), css=_asset("viewer.css"), js=script()
)


@dataclass(frozen=True, eq=False)
class Pane:
    """A fixed picture of the viewer; made by `photo_pane`, `heat_pane` and `label_pane`.

    Attributes:
        key: stable name of the pane, unique in a viewer.
        title: what it shows, in a word or two.
        subtitle: how it came about, beside the title.
        caption: one line below the picture, after the legend of a label pane.
        kind: `photo`, `scores` or `label`.
        values: (H, W) uint8: a score in 255ths, or a label. None for the photo.
        colours: (256, 4) uint8 RGBA by value. None for the photo.
        names: label -> name, for label panes.
        legend: label -> short name of what is explained below the picture, for label panes.
        contour: draw a line around what exceeds this score in 255ths, for score panes.
    """

    key: str
    title: str
    kind: str
    subtitle: str = ""
    caption: str = ""
    values: np.ndarray | None = None
    colours: np.ndarray | None = None
    names: Mapping[int, str] | None = None
    legend: Mapping[int, str] | None = None
    contour: int | None = None


def photo_pane(title: str = "Photo", *, subtitle: str = "", caption: str = "") -> Pane:
    """The photo alone."""
    return Pane("photo", title, "photo", subtitle, caption)


def heat_pane(
    key: str,
    title: str,
    cam: np.ndarray,
    *,
    subtitle: str = "",
    caption: str = "",
    colours: str = "inferno",
    contour: float | None = None,
) -> Pane:
    """A score map over the photo.

    Args:
        key, title, subtitle, caption: see `Pane`.
        cam: (H, W) in [0, 1].
        colours: one of `render.COLOUR_MAPS`.
        contour: a threshold in [0, 1] to outline.
    """
    level = None if contour is None else int(contour * 255)
    values, table = quantised(cam), colour_map(colours)
    return Pane(key, title, "scores", subtitle, caption, values, table, contour=level)


def label_pane(
    key: str,
    title: str,
    labels: np.ndarray,
    names: Mapping[int, str],
    *,
    subtitle: str = "",
    caption: str = "",
    colours: np.ndarray | None = None,
    legend: Mapping[int, str] | None = None,
) -> Pane:
    """Labels over the photo.

    Args:
        key, title, subtitle, caption: see `Pane`.
        labels: (H, W) uint8.
        names: what each label is called under the pointer.
        colours: (256, 4) uint8 RGBA, the VOC palette by default.
        legend: what is explained below the picture, by label; by default what the picture
            shows in a colour, by `names`.
    """
    table = label_colours() if colours is None else colours
    if legend is None:
        present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist()
        legend = {label: names[label] for label in present if label in names and table[label, 3]}
    return Pane(key, title, "label", subtitle, caption, labels, table, dict(names), dict(legend))


@dataclass(frozen=True)
class Live:
    """What makes a viewer live: an image's maps, and a setting that its own controls move.

    Attributes:
        scene: the maps.
        setting: by control; see assets/viewer/scene.js for the names.
        controls: groups of controls as `viewer_setting.described` gives them; none are drawn
            without.
        usual: keys of the panes that are shown unless the person chose others.
        turn: of the newest setting that came from the browser, as it came with it.
        layout: controls at the `side` of the pictures or at their `top`.
    """

    scene: Scene
    setting: Mapping[str, object]
    controls: Sequence[Mapping[str, object]]
    usual: Sequence[str]
    turn: int = 0
    layout: str = "top"


def viewer(
    photo: np.ndarray,
    panes: Sequence[Pane] = (),
    *,
    key: str,
    live: Live | None = None,
    on_setting: Callable[[Mapping[str, object]], None] | None = None,
    opacity: float = 0.6,
) -> None:
    """Show panes of one photo in step.

    Args:
        photo: (H, W, 3) uint8 RGB.
        panes: fixed ones, each with values of the photo's size; they come after the live ones.
        key: of the component; overlay and enlarged pane are remembered by it.
        live: maps and setting of the live panes.
        on_setting: called with the setting, and its `turn`, that the person let go, before the
            script reruns.
        opacity: of the layers at first, in [0, 1].

    Raises:
        ShapeError: values are not of the photo's size; the message names them.
    """

    def let_go() -> None:
        setting = st.session_state[key].setting
        if setting is not None and on_setting is not None:
            on_setting(setting)

    _component(
        key=key, data=packet(photo, panes, key=key, live=live, opacity=opacity), on_setting_change=let_go
    )


def packet(
    photo: np.ndarray, panes: Sequence[Pane] = (), *, key: str, live: Live | None = None, opacity: float = 0.6
) -> bytes:
    """What the browser gets; see `viewer` and viewer_packet.py."""
    height, width = photo.shape[:2]
    blobs = Blobs()
    header: dict[str, object] = {
        "key": key,
        "width": width,
        "height": height,
        "opacity": round(100 * opacity),
        "photo": blobs.add_photo(photo),
        "panes": [_pane_header(pane, blobs, (height, width)) for pane in panes],
        "scene": None if live is None else scene_header(live.scene, blobs, (height, width)),
        "controls": [] if live is None else list(live.controls),
        "usual": [] if live is None else list(live.usual),
        "layout": "top" if live is None else live.layout,
    }
    header["content"] = hashlib.sha256(json.dumps(header).encode()).hexdigest()[:12]
    header["setting"] = {} if live is None else dict(live.setting)
    header["turn"] = 0 if live is None else live.turn
    return blobs.packet(header)


def _pane_header(pane: Pane, blobs: Blobs, size_hw: tuple[int, int]) -> dict[str, object]:
    header: dict[str, object] = {
        "key": pane.key, "title": pane.title, "kind": pane.kind,
        "subtitle": pane.subtitle, "caption": pane.caption,
    }  # fmt: skip
    if pane.values is not None:
        if pane.values.shape != size_hw:
            raise ShapeError(f"pane {pane.key!r} is {pane.values.shape}, the photo {size_hw}")
        header["layer"] = blobs.add_bytes(pane.values, smooth=pane.kind == "scores")
        header["colours"] = blobs.add(pane.colours.tobytes())
    if pane.names is not None:
        header["names"] = {str(label): name for label, name in pane.names.items()}
        header["legend"] = list(pane.legend.items())
    if pane.contour is not None:
        header["contour"] = pane.contour
    return header
