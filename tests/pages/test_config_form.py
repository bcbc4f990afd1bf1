"""The form of a recipe: every field of the dataclasses, as the command line takes it."""

import dataclasses

import pytest

from pages.components.config_form import SECTIONS, attribute_docs, fields_of
from pages.components.launching import as_text
from train.config import (
    CURRICULA,
    DATASET_KINDS,
    SEGMENT_LOSSES,
    CamConfig,
    ClassifyConfig,
    CurriculumConfig,
    DataConfig,
    EvaluateConfig,
    PairAugmentConfig,
    SegmentConfig,
    override,
)
from train.recipes import RECIPES, recipe


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_field_can_be_written_back_as_it_is(name: str):
    config = recipe(name)
    for section in SECTIONS:
        for field in fields_of(getattr(config, section), section):
            assert override(config, {field.path: as_text(field.value)}) == config, field.path


def test_nothing_of_a_recipe_is_missing_but_what_no_text_can_say():
    config = recipe("voc12_cpu")
    paths = {field.path for section in SECTIONS for field in fields_of(getattr(config, section), section)}
    expected = {
        f"{section}.{field.name}"
        for section in SECTIONS
        for field in dataclasses.fields(getattr(config, section))
    }
    nested = {
        path
        for path in expected
        if dataclasses.is_dataclass(getattr(getattr(config, path.split(".")[0]), path.split(".")[1]))
    }
    assert {"cnn.augment", "vit.augment", "segment.curriculum"} <= nested
    assert expected - paths == nested | {"cnn_cams.options", "vit_cams.options"}
    assert {"cnn.augment.crop_px", "vit.augment.flip", "segment.curriculum.phases"} <= paths


def test_words_to_choose_from_follow_the_place_of_a_field():
    fields = {
        field.path: field.choices
        for section in ("data", "segment")
        for field in fields_of(getattr(recipe("voc12_cpu"), section), section)
    }
    assert fields["data.kind"] == DATASET_KINDS
    assert fields["segment.curriculum.kind"] == CURRICULA
    assert fields["segment.curriculum.mask_scaling"] == ("nearest", "majority")
    assert fields["segment.loss"] == SEGMENT_LOSSES
    assert fields["segment.encoder"] == ()


@pytest.mark.parametrize(
    "kind",
    [
        DataConfig,
        ClassifyConfig,
        CamConfig,
        SegmentConfig,
        CurriculumConfig,
        PairAugmentConfig,
        EvaluateConfig,
    ],
)
def test_what_a_docstring_says_belongs_to_a_field(kind: type):
    docs = attribute_docs(kind)
    assert docs
    assert set(docs) <= {field.name for field in dataclasses.fields(kind)}


def test_names_that_share_a_line_share_the_text():
    class Kind:
        """A kind.

        Attributes:
            first, second: what both of them
                mean together.
            third: alone.
        """

    assert attribute_docs(Kind) == {
        "first": "what both of them mean together.",
        "second": "what both of them mean together.",
        "third": "alone.",
    }
    assert attribute_docs(int) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        ((), ""),
        ((0.5, 1.0), "0.5,1"),
        (1e-4, "0.0001"),
        (True, "True"),
        (3, "3"),
        (((0.3, 0.5), (0.7, 1.0)), "0.3:0.5,0.7:1"),
    ],
)
def test_values_as_the_command_line_takes_them(value: object, text: str):
    assert as_text(value) == text
