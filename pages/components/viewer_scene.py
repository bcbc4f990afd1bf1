"""An image as the live viewer gets it: its maps, masks and names, from which the browser makes the panes.

A *source* is anything that gives a score map for each of the image's classes (the two networks, a
refiner, another method) or a mask of its own (a segmentation network). The first two, `cnn` and
`vit`, are fused; any number may follow.

Shapes: K present classes, H x W pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orandnet_core.disagreement import AGREEMENT_NAMES, agreement_colours
from orandnet_core.errors import ShapeError
from orandnet_core.fusion import RULES
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX, class_name
from orandnet_core.render import (
    COLOUR_MAPS,
    CONFUSED,
    ERROR_LEGEND,
    ERROR_NAMES,
    colour_map,
    error_colours,
    label_colours,
)
from pages.components.viewer_packet import Blobs, levels_of

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Source:
    """Score maps, or a mask, that somebody made of the image.

    Attributes:
        key: stable name, unique in a scene, without commas; `cnn` and `vit` are the fused pair.
        title: in a word or two.
        cam: (K, H, W) in [0, 1], in the order of the scene's classes; or None, and then
        labels: (H, W) uint8: 0, class ids, 255.
        subtitle: how it came about.
        short: the title without "CAM" and the like, for its mask; `title` where empty.
    """

    key: str
    title: str
    cam: Array | None = None
    labels: Array | None = None
    subtitle: str = ""
    short: str = ""


@dataclass(frozen=True, eq=False)
class Scene:
    """An image with all that is known of it.

    Attributes:
        class_ids: (K,) ascending.
        class_names: C names, the data set's.
        sources: score maps and masks.
        truth: (H, W) uint8 ground truth, or None.
        cleaned: a setting, and the mask (H, W) that a dense CRF made of it; shown for just that
            setting.
    """

    class_ids: Array
    class_names: tuple[str, ...]
    sources: Sequence[Source]
    truth: Array | None = None
    cleaned: tuple[Mapping[str, object], Array] | None = None


def scene_header(scene: Scene, blobs: Blobs, size_hw: tuple[int, int]) -> dict[str, object]:
    """The scene for the packet's header; its arrays go into `blobs`.

    Raises:
        ShapeError: an array is not of the photo's size, or has not one map a class.
    """
    header: dict[str, object] = {
        "ids": [int(class_id) for class_id in scene.class_ids],
        "names": _names(scene),
        "sources": [_source_header(source, scene, blobs, size_hw) for source in scene.sources],
        "rules": [
            {"name": rule.name, "label": rule.label, "formula": rule.formula} for rule in RULES.values()
        ],
        "tables": {
            name: blobs.add(table.tobytes())
            for name, table in {
                **{name: colour_map(name) for name in COLOUR_MAPS},
                "labels": label_colours(len(scene.class_names)),
                "voc": label_colours(),
                "errors": error_colours(),
                "agreement": agreement_colours(),
            }.items()
        },
        "palettes": {
            "scores": [[name, name] for name in COLOUR_MAPS],
            "labels": [["labels", "told apart by all"], ["voc", "VOC palette"]],
        },
        "errorNames": ERROR_NAMES,
        # The three that are always explained, and what is there only at times.
        "errorLegend": [
            *([label, name, True] for label, name in ERROR_LEGEND.items()),
            [CONFUSED, "wrong class", False],
        ],
        "agreementNames": AGREEMENT_NAMES,
        "truth": None,
        "cleaned": None,
    }
    if scene.truth is not None:
        header["truth"] = blobs.add_bytes(_checked(scene.truth, size_hw, "the ground truth"))
    if scene.cleaned is not None:
        setting, mask = scene.cleaned
        labels = blobs.add_bytes(_checked(mask, size_hw, "the mask after the CRF"))
        header["cleaned"] = {"setting": dict(setting), "labels": labels}
    return header


def _source_header(source: Source, scene: Scene, blobs: Blobs, size_hw: tuple[int, int]) -> dict[str, object]:
    header: dict[str, object] = {
        "key": source.key, "title": source.title, "subtitle": source.subtitle,
        "short": source.short or source.title,
    }  # fmt: skip
    if source.cam is None:
        header["labels"] = blobs.add_bytes(_checked(source.labels, size_hw, f"source {source.key!r}"))
        return header
    wanted = (len(scene.class_ids), *size_hw)
    if source.cam.shape != wanted:
        raise ShapeError(f"source {source.key!r} is {source.cam.shape}; classes and photo make {wanted}")
    header["maps"] = [blobs.add_levels(levels) for levels in levels_of(source.cam)]
    return header


def _checked(labels: Array, size_hw: tuple[int, int], what: str) -> Array:
    if labels.shape != size_hw:
        raise ShapeError(f"{what} is {labels.shape}, the photo {size_hw}")
    return labels


def _names(scene: Scene) -> dict[str, str]:
    """What every label that can be seen is called."""
    masks = [scene.truth, *(source.labels for source in scene.sources)]
    seen = {int(label) for mask in masks if mask is not None for label in np.unique(mask)}
    seen |= {int(class_id) for class_id in scene.class_ids}
    known = [label for label in sorted(seen) if label <= len(scene.class_names)]
    names = {str(label): class_name(scene.class_names, label) for label in known}
    return names | {str(BACKGROUND): "background", str(IGNORE_INDEX): "ignored"}
