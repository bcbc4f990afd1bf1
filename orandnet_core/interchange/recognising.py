"""Look at some files of a folder and say how they are to be read, and what is doubtful about that."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from orandnet_core.datasets import Dataset, image_size_hw
from orandnet_core.errors import DataError
from orandnet_core.interchange.contents import read_content
from orandnet_core.interchange.families import format_of, read_raw
from orandnet_core.interchange.keyed import fields_of
from orandnet_core.interchange.listing import Listing
from orandnet_core.interchange.raw import RawMaps
from orandnet_core.interchange.reading import CHOICES, OPTIONS, OVERSHOOT, Reading, classes_of, fits_photo

__all__ = ["Question", "Recognised", "Sampled", "recognise_maps"]

SAMPLED = 32
_SURE = 0.9


@dataclass(frozen=True)
class Question:
    """What the files leave open.

    Attributes:
        about: a field of `Reading`.
        why: what was seen, in a sentence.
        answers: the choices that are possible, the likeliest first.
    """

    about: str
    why: str
    answers: tuple[str, ...]

    def __str__(self) -> str:
        option, choices = OPTIONS[self.about], CHOICES[self.about]
        told = "\n".join(f"    {option} {answer}: {choices[answer]}" for answer in self.answers)
        return f"{self.why}. Say which:\n{told}"


@dataclass(frozen=True, eq=False)
class Sampled:
    """One image that was looked at.

    Attributes:
        raw: the maps as they stand in the file.
        labels: (K,) the classes of the image's labels, ascending.
        photo_hw: size of the photo in pixels.
    """

    image_id: str
    raw: RawMaps
    labels: np.ndarray
    photo_hw: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Recognised:
    """What a folder holds.

    Attributes:
        reading: how it is read; where there are questions, with the likeliest answers.
        questions: what has to be decided by whoever knows the files.
        evidence: what speaks for the reading, a sentence a fact.
        sampled: the images that were looked at.
        failed: why others of them could not be read, by image id.
        fields: the stacks to choose from, where files have several.
    """

    reading: Reading
    questions: tuple[Question, ...]
    evidence: tuple[str, ...]
    sampled: tuple[Sampled, ...]
    failed: Mapping[str, str]
    fields: tuple[str, ...] = ()


def recognise_maps(
    listing: Listing, dataset: Dataset, answers: Mapping[str, str] | None = None
) -> Recognised:
    """Recognise the format, class order, values and size of a folder's maps from some of its images.

    Args:
        listing: the folder's files.
        dataset: whose images they belong to.
        answers: fields of `Reading` that are decided already; nothing is asked about those.

    Raises:
        DataError: none of the files that were looked at can be read.
        ConfigError: an answer that is no choice.
    """
    answers = {name: answer for name, answer in (answers or {}).items() if answer}
    image_ids = _sample(listing, dataset)
    failed: dict[str, str] = {}
    format = answers.get("format") or _format(listing, image_ids, failed)
    Reading(**({"format": format, "order": "0"} | answers))  # every answer is one of the choices
    field = answers.get("field", "")
    sampled = []
    for image_id in image_ids:
        try:
            raw = read_raw(listing.paths[image_id], format, field, len(dataset.class_names), image_id)
            photo_hw = image_size_hw(dataset.image_path_of(image_id))
            sampled.append(Sampled(image_id, raw, dataset.class_ids(image_id), photo_hw))
        except DataError as error:
            failed[image_id] = str(error)
    if not sampled:
        first = next(iter(failed.values()))
        raise DataError(f"{listing.root}: none of {len(failed)} files can be read; the first: {first}")
    questions, evidence = [], [sampled[0].raw.shows]
    reading = Reading(format=format, order=answers.get("order", "0"), field=field)
    for decide in (_order, _values, _fit, _nan):
        about, answer, fact, question = decide(sampled, dataset, reading)
        if about in answers:
            answer, question = answers[about], None
        reading = replace(reading, **{about: answer})
        evidence += [fact] * bool(fact)
        questions += [question] * (question is not None)
    reading = replace(reading, missing=answers.get("missing", reading.missing))
    fields = _fields(listing.paths[sampled[0].image_id], format)
    return Recognised(reading, tuple(questions), tuple(evidence), tuple(sampled), failed, fields)


FORMAT_SEEN = {
    "keys": "a dict with `keys` and a stack of maps",
    "classes": "a map by class",
    "channels": "a stack of channels",
    "png": "PNGs by class",
}

Decision = tuple[str, str, str, Question | None]


def _sample(listing: Listing, dataset: Dataset) -> list[str]:
    """Some images with labels, evenly over the folder."""
    image_ids = list(listing.paths)
    candidates = image_ids[:: max(1, len(image_ids) // (2 * SAMPLED))]
    labelled = [image_id for image_id in candidates if image_id in dataset.image_labels_by_id]
    if not labelled:
        raise DataError(
            f"{listing.root}: none of {len(candidates)} images with maps has image-level labels, which say "
            "of which classes maps are wanted"
        )
    return labelled[:: max(1, len(labelled) // SAMPLED)][:SAMPLED]


def _format(listing: Listing, image_ids: list[str], failed: dict[str, str]) -> str:
    """The family of most of some files."""
    found: Counter[str] = Counter()
    for image_id in image_ids[:8]:
        try:
            found[format_of(listing.paths[image_id])] += 1
        except DataError as error:
            failed[image_id] = str(error)
    if not found:
        raise DataError(next(iter(failed.values())))
    failed.clear()  # they are read once more, and fail once more
    return found.most_common(1)[0][0]


def _fields(paths: Mapping[str, Path], format: str) -> tuple[str, ...]:
    return fields_of(read_content(next(iter(paths.values())))) if format == "keys" else ()


def _order(sampled: list[Sampled], dataset: Dataset, _: Reading) -> Decision:
    """The order under which files have the maps of the classes that labels name."""
    shares = {order: _share(sampled, order, dataset.class_names) for order in CHOICES["order"]}
    possible = {order: share for order, share in shares.items() if share is not None}
    if not possible:
        raise DataError(
            f"{sampled[0].image_id}: {sampled[0].raw.shows}, keys {_shown_keys(sampled[0].raw)}: neither "
            f"classes of {dataset.name} (C = {len(dataset.class_names)}) nor of the image's labels"
        )
    ranked = sorted(possible, key=lambda order: -possible[order])
    best = ranked[0]
    # One image that lacks a map of its label under an order, and not under the best, tells them apart.
    rivals = [
        order
        for order in ranked[1:]
        if possible[order] >= max(_SURE, possible[best]) and _differ(sampled, best, order, dataset)
    ]
    told = "; ".join(f"{order}: {possible[order]:.0%}" for order in ranked)
    images = f"{len(sampled)} images"
    fact = f"{CHOICES['order'][best]}; so {possible[best]:.0%} of {images} have maps of all their labels"
    if possible[best] < _SURE:
        why = f"No class order fits the image-level labels; share of {images} that each explains: {told}"
        return "order", best, fact, Question("order", why, tuple(ranked))
    if rivals:
        why = f"The class order cannot be told from {images}; share that each explains: {told}"
        return "order", best, fact, Question("order", why, (best, *rivals))
    return "order", best, fact, None


def _share(sampled: list[Sampled], order: str, class_names: tuple[str, ...]) -> float | None:
    """The share of images that have all maps of their labels in this order; None where it cannot be."""
    explained = 0
    with_background = 0
    for each in sampled:
        found = classes_of(each.raw, order, each.labels, class_names)
        if found is None or None in found:
            return None
        with_background += 0 in found
        explained += set(each.labels.tolist()) <= set(found)
    # Key 0 in some files and not in others is a class like any other, no background; and so it is where
    # it is the first of as many as there are classes.
    complete = all(each.raw.keys == tuple(range(len(class_names))) for each in sampled)
    if order == "1" and (0 < with_background < len(sampled) or complete):
        return None
    return explained / len(sampled)


def _differ(sampled: list[Sampled], one: str, other: str, dataset: Dataset) -> bool:
    """Whether two orders take other maps for the labels of any image."""
    return any(
        classes_of(each.raw, one, each.labels, dataset.class_names)
        != classes_of(each.raw, other, each.labels, dataset.class_names)
        for each in sampled
    )


def _shown_keys(raw: RawMaps) -> str:
    return "none" if raw.keys is None else ", ".join(map(str, raw.keys[:6]))


def _values(sampled: list[Sampled], dataset: Dataset, reading: Reading) -> Decision:
    """How values become scores, from the lowest and the highest among the maps of labels."""
    low, high = np.inf, -np.inf
    for each in sampled:
        numbers = _wanted(each, reading, dataset)
        numbers = numbers[np.isfinite(numbers)]
        if numbers.size:
            low, high = min(low, float(numbers.min())), max(high, float(numbers.max()))
    if not np.isfinite(low):
        low = high = 0.0
    fact = f"values from {low:.3g} to {high:.3g}"
    if sampled[0].raw.maps.dtype == np.uint8 and high > 1:
        return "values", "byte", f"{fact}, of 8 bits", None
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        return "values", "as-is", fact, None
    answers = ("max", "minmax", "sigmoid") if low < -OVERSHOOT else ("max", "minmax")
    if low >= 0 and high > 100:
        answers = ("byte", *answers)
    why = f"Values go from {low:.3g} to {high:.3g}, and scores lie in [0, 1]"
    return "values", answers[0], fact, Question("values", why, answers)


def _wanted(each: Sampled, reading: Reading, dataset: Dataset) -> np.ndarray:
    """(n, h, w): the maps of an image that its labels name, as they stand in the file."""
    found = classes_of(each.raw, reading.order, each.labels, dataset.class_names) or []
    return each.raw.maps[[index for index, class_id in enumerate(found) if class_id in each.labels.tolist()]]


def _fit(sampled: list[Sampled], _: Dataset, __: Reading) -> Decision:
    """How the maps lie on their photos, by their sizes."""
    sizes = [(each.raw.maps.shape[1:], each.photo_hw) for each in sampled]
    straight = sum(fits_photo(map_hw, photo_hw) for map_hw, photo_hw in sizes)
    (map_hw, photo_hw) = next((pair for pair in sizes if not fits_photo(*pair)), sizes[0])
    fact = f"maps of {sizes[0][0]} for photos of {sizes[0][1]} px"
    if straight >= _SURE * len(sizes):  # the others fail, each with its sizes
        return "fit", "exact", fact, None
    turned = sum(fits_photo(map_hw[::-1], photo_hw) for map_hw, photo_hw in sizes)
    why = (
        f"{len(sizes) - straight} of {len(sizes)} images have other proportions than their maps, "
        f"such as {photo_hw} px and {map_hw}"
    )
    likely = "transpose" if turned == len(sizes) else "stretch"
    answers = (likely, "stretch" if likely == "transpose" else "exact")
    return "fit", likely, fact, Question("fit", why, answers)


def _nan(sampled: list[Sampled], dataset: Dataset, reading: Reading) -> Decision:
    """Whether any map has values that are no numbers."""
    faulty = [each.image_id for each in sampled if not np.isfinite(_wanted(each, reading, dataset)).all()]
    if not faulty:
        return "nan", "refuse", "", None
    why = f"{len(faulty)} of {len(sampled)} images have values that are no numbers, such as {faulty[0]}"
    return "nan", "refuse", why, Question("nan", why, ("zero", "refuse"))
