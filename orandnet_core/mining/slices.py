"""Slices of a source's errors, ranked by what mending each would give back.

What a slice gives back is exact: the data set's confusion matrix is made anew as if every pixel of
the slice were right, and scored. A slice is known by the values that its pixels share, such as
`kind=1.owner=19.background=3`.

Shapes: S slices, C classes with background.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orandnet_core.errors import ConfigError
from orandnet_core.labels import class_name
from orandnet_core.metrics import Metrics
from orandnet_core.mining.counts import MANY_CLASSES, SIZES, ErrorCounts
from orandnet_core.mining.kinds import CONFUSION, CONFUSION_BOUNDARY, FALSE_POSITIVE, KINDS, RIGHT
from orandnet_core.mining.miner import Mined

__all__ = ["FACETS", "Facet", "Slice", "images_of", "key_of", "ranked", "slice_label", "where_of"]

Array = np.ndarray

GAINS = ("iou", "precision", "recall")
_COLUMNS = ("kind", "target", "predicted", "size", "background", "owner", "shown")
_SPAN = 256  # of a column's values


@dataclass(frozen=True, kw_only=True)
class Facet:
    """A way to cut errors into slices.

    Attributes:
        name: in files and addresses.
        label: on screen.
        columns: what the pixels of a slice share.
        kinds: the kinds that are cut; all where empty.
    """

    name: str
    label: str
    columns: tuple[str, ...]
    kinds: tuple[int, ...] = ()


FACETS: dict[str, Facet] = {
    facet.name: facet
    for facet in (
        Facet(name="kind", label="Kind", columns=("kind",)),
        Facet(name="class", label="Class", columns=("kind", "owner")),
        Facet(
            name="background", label="Background", columns=("kind", "owner", "background"),
            kinds=(FALSE_POSITIVE,),
        ),
        Facet(
            name="pair", label="Class pair", columns=("kind", "target", "predicted"),
            kinds=(CONFUSION, CONFUSION_BOUNDARY),
        ),
        Facet(name="size", label="Object size", columns=("kind", "size")),
        Facet(name="shown", label="Classes in the image", columns=("kind", "shown")),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Slice:
    """Wrong pixels that have something in common.

    Attributes:
        where: the values they share, by column of `ErrorCounts`.
        pixels: how many.
        images: in how many images.
        gains: what mending them all adds to the means "iou", "precision" and "recall"; fractions.
        lift: of a slice of a background, how much more of it lies in images that show the class than
            in all images; 1 is no more. NaN for other slices.
    """

    where: Mapping[str, int]
    pixels: int
    images: int
    gains: Mapping[str, float]
    lift: float = np.nan

    @property
    def key(self) -> str:
        """`kind=1.owner=19`: for addresses and files."""
        return key_of(self.where)


@dataclass(frozen=True)
class _Cut:
    """A facet's slices in no order, as they are kept: arrays (S,) of what `Slice` has."""

    keys: tuple[str, ...]
    pixels: Array
    images: Array
    iou: Array
    precision: Array
    recall: Array
    lift: Array


@dataclass(frozen=True)
class _ImagesOf:
    """A slice's images, those with most of its pixels first, as they are kept."""

    image_ids: tuple[str, ...]
    pixels: Array


def ranked(
    mined: Mined, facet: Facet, by: str = "iou", within: Mapping[str, int] | None = None
) -> list[Slice]:
    """The slices of a facet, the one whose mending gives back most first; cut once and kept.

    Args:
        by: "iou", "precision" or "recall", the mean that counts.
        within: cut only the pixels that have these values, such as one owner; slices then have them too.

    Raises:
        ConfigError: another mean.
    """
    if by not in GAINS:
        raise ConfigError(f"by is {by!r}; it must be one of {', '.join(GAINS)}")
    within = within or {}
    name = f"slices-{facet.name}-{key_of(within) or 'all'}"
    cut = mined.kept(name, _Cut, lambda: _cut(mined, facet, within))
    gains = zip(cut.iou.tolist(), cut.precision.tolist(), cut.recall.tolist(), strict=True)
    columns = (cut.keys, cut.pixels.tolist(), cut.images.tolist(), gains, cut.lift.tolist())
    found = [
        Slice(
            where_of(key),
            pixels,
            images,
            dict(zip(GAINS, gained, strict=True)),
            np.nan if np.isnan(lift) else lift,  # the one that equals itself in comparisons of slices
        )
        for key, pixels, images, gained, lift in zip(*columns, strict=True)
    ]
    return sorted(found, key=lambda each: (-each.gains[by], -each.pixels, each.key))


def _cut(mined: Mined, facet: Facet, within: Mapping[str, int]) -> _Cut:
    """The slices, from one block of images at a time."""
    pixels: dict[int, dict[tuple[int, int], int]] = {}
    images: dict[int, int] = {}
    for block in mined.blocks():
        _add_block(block, facet, within, pixels, images)
    wheres = [_decoded(code, facet) | dict(within) for code in pixels]
    gains = _gains(mined.confusion(), list(pixels.values()))
    lift = np.full(len(wheres), np.nan)
    if "background" in facet.columns and wheres:
        lifts = _lifts(mined)
        lift = np.array([lifts[where["owner"], where["background"]] for where in wheres])
    return _Cut(
        keys=tuple(map(key_of, wheres)),
        pixels=np.array([sum(each.values()) for each in pixels.values()], np.int64),
        images=np.array([images[code] for code in pixels], np.int64),
        lift=lift,
        **gains,
    )


def images_of(mined: Mined, where: Mapping[str, int], most: int | None = None) -> list[tuple[str, int]]:
    """The images that have pixels of a slice, with how many, the most first; found once and kept.

    Args:
        most: how many images; all by default.
    """
    found = mined.kept(f"images-{key_of(where)}", _ImagesOf, lambda: _images_of(mined, where))
    return list(zip(found.image_ids[:most], found.pixels[:most].tolist(), strict=True))


def _images_of(mined: Mined, where: Mapping[str, int]) -> _ImagesOf:
    found: list[tuple[str, int]] = []
    for block in mined.blocks():
        mine = _matching(block, where)
        pixels = np.bincount(block.image[mine], block.pixels[mine], minlength=len(block.image_ids))
        found += [(block.image_ids[index], int(pixels[index])) for index in np.flatnonzero(pixels)]
    found.sort(key=lambda item: (-item[1], item[0]))
    return _ImagesOf(
        tuple(image_id for image_id, _ in found), np.array([pixels for _, pixels in found], np.int64)
    )


def key_of(where: Mapping[str, int]) -> str:
    """The inverse of `where_of`."""
    return ".".join(f"{column}={value}" for column, value in where.items())


def where_of(key: str) -> dict[str, int]:
    """`kind=1.owner=19` as columns and values.

    Raises:
        ConfigError: not such a text.
    """
    where = {}
    for part in key.split("."):
        column, _, value = part.partition("=")
        if column not in _COLUMNS or not value.isdecimal():
            raise ConfigError(
                f"slice {key!r}: expected COLUMN=NUMBER with dots between, of {', '.join(_COLUMNS)}"
            )
        where[column] = int(value)
    return where


def slice_label(where: Mapping[str, int], class_names: Sequence[str], backgrounds: Sequence[str]) -> str:
    """A slice in words: `train: on background: grey, horizontal lines, low`."""

    def name(label: int) -> str:
        return class_name(tuple(class_names), label)

    parts = [KINDS[where["kind"]].label] if "kind" in where else ["Any error"]
    if "owner" in where:
        parts.insert(0, name(where["owner"]))
    if "target" in where and "predicted" in where:
        parts = [f"{name(where['target'])} taken for {name(where['predicted'])}"]
        if where.get("kind") == CONFUSION_BOUNDARY:
            parts.append("at their border")
    if "background" in where:
        parts[-1:] = [backgrounds[where["background"]]]
    if "size" in where:
        parts.append(f"object: {SIZES[where['size']]}")
    if "shown" in where:
        more = " or more" if where["shown"] == MANY_CLASSES else ""
        plural = "" if where["shown"] == 1 else "es"
        parts.append(f"{where['shown']}{more} class{plural} in the image")
    return " · ".join(parts)


def _add_block(
    block: ErrorCounts,
    facet: Facet,
    within: Mapping[str, int],
    pixels: dict[int, dict[tuple[int, int], int]],
    images: dict[int, int],
) -> None:
    """Add a block's rows to the pixels of each slice by (target, predicted), and to its images."""
    rows = _matching(block, within)
    if facet.kinds:
        rows &= np.isin(block.kind, facet.kinds)
    code = np.zeros(int(rows.sum()), np.int64)
    for column in facet.columns:
        code = code * _SPAN + block.column(column)[rows]
    pair = block.column("target")[rows] * _SPAN + block.column("predicted")[rows]
    groups, group = np.unique(np.stack([code, pair]), axis=1, return_inverse=True)
    sums = np.bincount(group.ravel(), block.pixels[rows], minlength=groups.shape[1])
    for (each, both), count in zip(groups.T.tolist(), sums, strict=True):
        held = pixels.setdefault(each, {})
        where = divmod(both, _SPAN)
        held[where] = held.get(where, 0) + int(count)
    of_images = np.unique(np.stack([code, block.image[rows].astype(np.int64)]), axis=1)[0]
    for each, count in zip(*np.unique(of_images, return_counts=True), strict=True):
        images[int(each)] = images.get(int(each), 0) + int(count)


def _gains(confusion: Array, slices: Sequence[Mapping[tuple[int, int], int]]) -> dict[str, Array]:
    """(S,) what every slice adds to each mean once its pixels are right."""
    right = np.diagonal(confusion)[:, None].repeat(len(slices), axis=1)
    predicted = confusion.sum(axis=0)[:, None].repeat(len(slices), axis=1)
    for index, pixels in enumerate(slices):
        for (target, claimed), count in pixels.items():
            right[target, index] += count
            predicted[target, index] += count
            predicted[claimed, index] -= count
    target = confusion.sum(axis=1)[:, None]
    mended = Metrics(right, predicted, target)
    before = Metrics(np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1))
    return {name: mended.mean(name) - before.mean(name) for name in GAINS}


def _lifts(mined: Mined) -> Array:
    """(C, B) the share of each background in images that show a class, over its share in all images."""
    of_class = np.zeros((mined.num_classes, len(mined.backgrounds.centres)))
    of_all = np.zeros(of_class.shape[1])
    for block in mined.blocks():
        shown = np.zeros((len(block.image_ids), mined.num_classes), bool)
        shown[block.image, block.target] = True
        of_class += shown.T.astype(float) @ block.background_pixels
        of_all += block.background_pixels.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (of_class / of_class.sum(axis=1, keepdims=True)) / (of_all / of_all.sum())


def _matching(block: ErrorCounts, where: Mapping[str, int]) -> Array:
    rows = block.kind != RIGHT
    for column, value in where.items():
        rows = rows & (block.column(column) == value)
    return rows


def _decoded(code: int, facet: Facet) -> dict[str, int]:
    values = []
    for _ in facet.columns:
        code, value = divmod(code, _SPAN)
        values.append(value)
    return dict(zip(facet.columns, reversed(values), strict=True))
