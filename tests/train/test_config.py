"""Recipes: frozen, checked, and the same after a round trip through JSON."""

import json

import pytest

from orandnet_core.errors import ConfigError
from train.config import AugmentConfig, ClassifyConfig, Recipe, from_dict, override, to_dict
from train.recipes import RECIPES, recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_json(name):
    config = recipe(name)
    assert config.name == name
    assert from_dict(json.loads(json.dumps(to_dict(config))), Recipe) == config


def test_an_unknown_recipe_names_those_there_are():
    with pytest.raises(ConfigError, match=r"no recipe 'voc'.*voc12_paper"):
        recipe("voc")


@pytest.mark.parametrize(
    ("path", "text", "read", "expected"),
    [
        ("seed", "7", lambda c: c.seed, 7),
        ("cnn.epochs", "3", lambda c: c.cnn.epochs, 3),
        ("cnn.learning_rate", "1e-3", lambda c: c.cnn.learning_rate, 1e-3),
        ("cnn.output_stride", "none", lambda c: c.cnn.output_stride, None),
        ("cnn.output_stride", "16", lambda c: c.cnn.output_stride, 16),
        ("cnn.augment.flip", "false", lambda c: c.cnn.augment.flip, False),
        ("cnn.augment.area", "0.5,1", lambda c: c.cnn.augment.area, (0.5, 1.0)),
        ("data.cam_splits", "val", lambda c: c.data.cam_splits, ("val",)),
        ("vit_cams.scales", "1,1.5", lambda c: c.vit_cams.scales, (1.0, 1.5)),
        (
            "segment.curriculum.phases",
            "0.5:0.5,0.5:1",
            lambda c: c.segment.curriculum.phases,
            ((0.5, 0.5), (0.5, 1.0)),
        ),
        (
            "cnn_cams.options",
            "affinity_steps:4,normalise:minmax,layer:blocks.3,class_attention:true",
            lambda c: c.cnn_cams.options,
            (
                ("affinity_steps", 4),
                ("normalise", "minmax"),
                ("layer", "blocks.3"),
                ("class_attention", True),
            ),
        ),
        ("cnn_cams.options", [["layer", "4"]], lambda c: c.cnn_cams.options, (("layer", "4"),)),
    ],
)
def test_override_reads_what_a_command_line_gives(path, text, read, expected):
    before = recipe("scenes")
    assert read(override(before, {path: text})) == expected
    assert before == recipe("scenes")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sed", 1, "no field 'sed'"),
        ("cnn.epoch", 1, "no field 'cnn.epoch'"),
        ("seed.x", 1, "seed has no parts"),
        ("seed", "one", "seed takes int"),
        ("seed", 1.5, "seed takes int"),
        ("cnn.epochs", 0, "epochs 0: must be positive"),
        ("cnn.augment.flip", "maybe", "takes bool"),
        ("cnn.augment.area", "0.5", "takes 2 values"),
        ("cnn.augment.area", "0.5,2", r"must lie in \(0, 1\]"),
        ("cnn.schedule", "step", "choose one of"),
        ("vit_cams.scales", "", "at least one"),
        ("cnn.accumulate", 5, "must divide batch_size"),
        ("segment.curriculum.phases", "0.5,0.5", "takes 2 values, got '0.5'"),
        ("segment.curriculum.phases", "0.5:0.5,0.4:1", "sum to 1"),
        ("segment.curriculum.kind", "small", "choose one of"),
        ("segment.curriculum.mask_scaling", "mode", "choose one of"),
        ("segment.augment.crop_px", 100, "multiple of 32"),
        ("segment.loss", "dice", "choose one of"),
        ("segment.architecture", "unet", "choose one of"),
        ("segment.label_smoothing", 1.0, r"must lie in \[0, 1\)"),
        ("evaluate.scales", "", "at least one"),
        ("evaluate.splits", "", "at least one split"),
    ],
)
def test_a_wrong_override_says_what_is_wrong(path, value, message):
    with pytest.raises(ConfigError, match=message):
        override(recipe("scenes"), {path: value})


def test_unknown_fields_in_a_file_are_refused():
    values = to_dict(recipe("scenes")) | {"extra": 1}
    with pytest.raises(ConfigError, match="Recipe has no field 'extra'"):
        from_dict(values, Recipe)


def test_missing_fields_in_a_file_are_refused():
    with pytest.raises(ConfigError, match="missing"):
        from_dict({"name": "x"}, Recipe)


def test_configs_are_frozen():
    config = ClassifyConfig(model="resnet18", head="conv")
    with pytest.raises(AttributeError):
        config.epochs = 3
    assert config.augment == AugmentConfig()
