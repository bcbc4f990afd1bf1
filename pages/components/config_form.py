"""A form for a recipe, made from the dataclasses in `train.config` and their docstrings."""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from orandnet_core.crf import PRESETS
from orandnet_core.fusion import RULES
from orandnet_core.mask_scaling import SCALINGS
from pages.components.launching import as_text
from train import config

# Fields of type str that take one of a few words, by their name or the end of their path.
CHOICES: Mapping[str, Sequence[str]] = {
    "data.kind": config.DATASET_KINDS,
    "refine.architecture": config.REFINERS,
    "refine.loss": config.REFINER_LOSSES,
    "architecture": config.ARCHITECTURES,
    "segment.loss": config.SEGMENT_LOSSES,
    "curriculum.kind": config.CURRICULA,
    "mask_scaling": SCALINGS,
    "schedule": config.SCHEDULES,
    "optimiser": config.OPTIMISERS,
    "precision": config.PRECISIONS,
    "rule": tuple(RULES),
    "normalised_by": config.NORMALISED_BY,
    "crf.preset": tuple(PRESETS),
    "crf": ("", *PRESETS),
}
SECTIONS = {
    "data": "Data",
    "cnn": "CNN",
    "vit": "ViT",
    "cnn_cams": "CNN CAMs",
    "vit_cams": "ViT CAMs",
    "fusion": "Fusion",
    "refine": "Refiner",
    "crf": "CRF",
    "ir_labels": "IR labels",
    "irn": "IRN",
    "walk": "Walk",
    "masks": "Masks",
    "segment": "Segmentation",
    "evaluate": "Evaluation",
}
_KEY_FIELDS = ("model", "epochs", "batch_size", "learning_rate", "augment.crop_px")
_NOT_HERE = ("data.root",)  # the sidebar's data set says it
_COLUMNS = 4


@dataclass(frozen=True)
class Field:
    """One field of a recipe that can be set.

    Attributes:
        path: its place, such as `cnn.augment.crop_px`.
        value: what the recipe has.
        doc: what it means, from the docstring of its dataclass; empty where there is none.
        choices: the words that it takes; empty where it takes anything of its type.
    """

    path: str
    value: Any
    doc: str
    choices: tuple[str, ...]

    @property
    def label(self) -> str:
        return self.path.partition(".")[2].replace("_", " ").replace(".", ": ") or self.path


def fields_of(part: Any, path: str) -> list[Field]:
    """The fields of a part of a recipe, those of nested parts among them, in their order.

    Fields that are no plain values (pairs of options) are left out: they are set from the shell.
    """
    docs = attribute_docs(type(part))
    hints = typing.get_type_hints(type(part))
    found = []
    for spec in dataclasses.fields(part):
        value, place = getattr(part, spec.name), f"{path}.{spec.name}"
        if dataclasses.is_dataclass(value):
            found += fields_of(value, place)
        elif _is_plain(hints[spec.name]):
            found.append(Field(place, value, docs.get(spec.name, ""), _choices(place)))
    return found


def attribute_docs(kind: type) -> dict[str, str]:
    """What the `Attributes:` of a docstring say of each name; names may share a line."""
    _, _, attributes = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    docs: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \S)", attributes.rstrip()):
        names, colon, text = entry.strip().partition(": ")
        if colon:
            docs |= dict.fromkeys(re.split(r",\s*", names), re.sub(r"\s+", " ", text))
    return docs


def draw_form(recipe: config.Recipe, name: str, preset: Mapping[str, str]) -> dict[str, str]:
    """Draw the fields that people change, and the others folded; return what differs, as text by path.

    Args:
        recipe: what the fields start from.
        name: of the recipe; every recipe has fields of its own.
        preset: what some fields start from instead.
    """
    parts = {section: fields_of(getattr(recipe, section), section) for section in SECTIONS}
    texts: dict[Field, str] = {}
    for section in ("cnn", "vit"):
        columns = st.columns(len(_KEY_FIELDS))
        found = {field.path.partition(".")[2]: field for field in parts[section]}
        for column, key in zip(columns, _KEY_FIELDS, strict=True):
            with column:
                texts[found[key]] = _draw(found[key], name, preset, SECTIONS[section])
    with st.expander("All fields", icon=":material/tune:"):
        for tab, section in zip(st.tabs(list(SECTIONS.values())), SECTIONS, strict=True):
            with tab:
                rest = [
                    field for field in parts[section] if field not in texts and field.path not in _NOT_HERE
                ]
                for start in range(0, len(rest), _COLUMNS):
                    row = st.columns(_COLUMNS, vertical_alignment="bottom")
                    for column, field in zip(row, rest[start : start + _COLUMNS], strict=False):
                        with column:
                            texts[field] = _draw(field, name, preset)
    return {field.path: text for field, text in texts.items() if text != as_text(field.value)}


def _draw(field: Field, recipe: str, preset: Mapping[str, str], section: str = "") -> str:
    start = preset.get(field.path, as_text(field.value))
    label = f"{section} {field.label}".strip()
    # A preset that changes (another data set, a setting handed over) makes the field anew.
    shared = {"key": f"launch {recipe} {field.path} {start}", "help": field.doc or None}
    if field.choices:
        options = list(dict.fromkeys([*field.choices, start]))
        return st.selectbox(label, options, options.index(start), **shared)
    if isinstance(field.value, bool):
        return str(st.toggle(label, start == "True", **shared))
    if isinstance(field.value, int):
        return str(st.number_input(label, value=int(start), step=1, **shared))
    return st.text_input(label, start, **shared).strip()


def _choices(path: str) -> tuple[str, ...]:
    return next((tuple(words) for end, words in CHOICES.items() if f".{path}".endswith(f".{end}")), ())


def _is_plain(hint: Any) -> bool:
    """Whether a text can be read back as this type: a value, an optional one, or a tuple of them."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType) or origin is tuple:
        return all(part in (type(None), Ellipsis) or _is_plain(part) for part in parts)
    return hint in (int, float, str, bool)
