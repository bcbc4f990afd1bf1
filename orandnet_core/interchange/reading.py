"""How a foreign file is read: every question that its numbers leave open, with its answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from orandnet_core.errors import ConfigError, DataError
from orandnet_core.interchange.raw import BACKGROUND_NAME, FORMATS, Key, RawMaps

__all__ = ["CHOICES", "OPTIONS", "OVERSHOOT", "Reading", "classes_of", "fits_photo", "maps_of_labels"]

OVERSHOOT = 1e-2  # by which half precision and interpolation leave [0, 1]

# What each question can be answered with, in the words of the command line and of the page.
CHOICES: Mapping[str, Mapping[str, str]] = {
    "format": FORMATS,
    "order": {
        "0": "numbers count classes from 0: key 0 is the first class",
        "1": "numbers count classes from 1, as masks do: key 0 is background",
        "names": "keys are class names",
        "all": "a channel for each class of the data set",
        "all+background": "background first, then a channel for each class of the data set",
        "present": "a channel for each class that the image's labels name",
        "present+background": "background first, then a channel for each class of the image's labels",
    },
    "values": {
        "as-is": "scores in [0, 1]",
        "byte": "scores in 0..255, divided by 255",
        "max": "each map divided by its own maximum, negative values as 0",
        "minmax": "each map from its lowest value to its highest",
        "sigmoid": "logits, through the logistic function",
    },
    "fit": {
        "exact": "maps have the photo's proportions",
        "stretch": "maps cover the whole photo, squeezed into other proportions",
        "transpose": "rows and columns are swapped",
    },
    "nan": {"refuse": "an image with values that are no numbers fails", "zero": "they count as 0"},
    "missing": {
        "refuse": "an image without a map of a class that its labels name fails",
        "zero": "a class without a map counts as 0 everywhere",
    },
}
# The command's option for each question.
OPTIONS = {
    "format": "--format", "order": "--class-order", "values": "--values", "fit": "--fit",
    "nan": "--nan", "missing": "--missing",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The answers; see `CHOICES`.

    Attributes:
        format: which family of files.
        order: what keys or channels mean.
        field: the stack of maps in a dict that has several; empty takes the finest.
        values: how values become scores in [0, 1].
        fit: how maps lie on the photo.
        nan, missing: what happens to an image with such a fault.
    """

    format: str
    order: str
    field: str = ""
    values: str = "as-is"
    fit: str = "exact"
    nan: str = "refuse"
    missing: str = "refuse"

    def __post_init__(self):
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(f"{OPTIONS[name]} {value!r}: choose one of {', '.join(choices)}")


def class_of_key(key: Key, order: str, class_names: tuple[str, ...]) -> int | None:
    """The class (1..C) that a key stands for, 0 for background, None where it is no class."""
    if isinstance(key, str):
        if key.lower() == BACKGROUND_NAME:
            return 0
        number = {name.lower(): at for at, name in enumerate(class_names, 1)}.get(key.lower())
        return number if order == "names" else None
    class_id = key + 1 if order == "0" else key
    return class_id if order in "01" and 0 <= class_id <= len(class_names) else None


def classes_of(
    raw: RawMaps, order: str, labels: np.ndarray, class_names: tuple[str, ...]
) -> list[int | None] | None:
    """What each map of an image is of: a class, 0 for background, None for neither; None if it cannot be.

    Args:
        order: a choice of `CHOICES["order"]`.
        labels: (K,) the classes that the image's labels name, ascending.
        class_names: of the data set.
    """
    if raw.keys is not None:
        found = [class_of_key(key, order, class_names) for key in raw.keys]
        return None if order in ("all", "all+background", "present", "present+background") else found
    channels = {
        "all": range(1, len(class_names) + 1),
        "all+background": range(len(class_names) + 1),
        "present": labels.tolist(),
        "present+background": [0, *labels.tolist()],
    }.get(order)
    return None if channels is None or len(channels) != len(raw.maps) else list(channels)


def fits_photo(map_hw: tuple[int, int], photo_hw: tuple[int, int]) -> bool:
    """Whether a map is a photo's size at some stride, rounded either way."""
    stride = np.sqrt(photo_hw[0] * photo_hw[1] / (map_hw[0] * map_hw[1]))
    pairs = zip(map_hw, photo_hw, strict=True)
    return all(abs(side - photo_side / stride) <= 1 for side, photo_side in pairs)


def maps_of_labels(
    raw: RawMaps,
    reading: Reading,
    labels: np.ndarray,
    class_names: tuple[str, ...],
    photo_hw: tuple[int, int],
    name: str,
) -> np.ndarray:
    """(K, h, w) float32 in [0, 1]: the maps of the classes that an image's labels name, in their order.

    Maps of other classes and of background are left out.

    Args:
        raw, reading: the file's content and what it means.
        labels: (K,) ascending, from 1.
        class_names: of the data set.
        photo_hw: size of the photo in pixels.
        name: what messages call the file.

    Raises:
        DataError: the content does not fit this reading; the message names the option that decides.
    """
    found = classes_of(raw, reading.order, labels, class_names)
    if found is None:
        what = f"keys {list(raw.keys)[:6]}" if raw.keys is not None else f"{len(raw.maps)} channels"
        raise DataError(
            f"{name}: {what} cannot be read as {CHOICES['order'][reading.order]!r} with "
            f"{len(labels)} classes in its labels and {len(class_names)} in the data set: "
            "choose another --class-order"
        )
    index_of = {class_id: index for index, class_id in enumerate(found) if class_id}
    lacking = [class_names[k - 1] for k in labels.tolist() if k not in index_of]
    if lacking and reading.missing == "refuse":
        raise DataError(f"{name}: no map of {', '.join(lacking)}; --missing zero takes 0 for it")
    maps = np.zeros((len(labels), *raw.maps.shape[1:]), np.float32)
    for at, class_id in enumerate(labels.tolist()):
        if class_id in index_of:
            maps[at] = raw.maps[index_of[class_id]]
    return _on_photo(_scores(maps, reading, name), reading, photo_hw, name)


def _scores(maps: np.ndarray, reading: Reading, name: str) -> np.ndarray:
    wrong = ~np.isfinite(maps)
    if wrong.any():
        if reading.nan == "refuse":
            count = int(wrong.sum())
            raise DataError(f"{name}: {count:,} values are no numbers; --nan zero takes 0 for them")
        maps[wrong] = 0
    low, high = (maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True))
    if reading.values == "byte":
        maps = maps / 255
    elif reading.values == "max":
        maps = np.divide(maps.clip(0), high, out=np.zeros_like(maps), where=high > 0)
    elif reading.values == "minmax":
        maps = np.divide(maps - low, high - low, out=np.zeros_like(maps), where=high > low)
    elif reading.values == "sigmoid":
        maps = 1 / (1 + np.exp(-maps.clip(-80, 80)))
    if maps.size and (maps.min() < -OVERSHOOT or maps.max() > 1 + OVERSHOOT):
        raise DataError(
            f"{name}: values from {maps.min():g} to {maps.max():g}; scores lie in [0, 1]: "
            "choose another --values"
        )
    return maps.clip(0, 1)


def _on_photo(maps: np.ndarray, reading: Reading, photo_hw: tuple[int, int], name: str) -> np.ndarray:
    if reading.fit == "transpose":
        maps = np.ascontiguousarray(maps.transpose(0, 2, 1))
    if reading.fit != "stretch" and not fits_photo(maps.shape[1:], photo_hw):
        raise DataError(
            f"{name}: maps of {maps.shape[1:]} for a photo of {photo_hw} px, which has other proportions: "
            "--fit stretch lays them over the whole photo"
        )
    return maps
