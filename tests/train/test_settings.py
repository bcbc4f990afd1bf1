"""Named fusion settings: there and back, names that make trouble, and what recipes take."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orandnet_core.errors import ConfigError
from orandnet_core.fusion import RULES, Fusion, reference_fusion
from train.config import override
from train.named_files import MAX_NAME
from train.recipes import recipe
from train.settings import FusionSetting, delete_setting, save_setting, saved_settings


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path))
    return tmp_path


def setting(name: str = "mine", **changes) -> FusionSetting:
    fields = {
        "fusion": Fusion("and", gamma_vit=0.5),
        "background_threshold": 0.25,
        "cnn_threshold": 0.5,
        "vit_threshold": 0.75,
        "or_threshold": 0.125,
        "and_threshold": 1.0,
    }
    return FusionSetting(name=name, **(fields | changes))


@pytest.mark.parametrize(
    "name",
    ["mine", "precise AND, 50%", "a/b", "../../etc/passwd", ".", "con: 1*?", "精度優先", "x" * MAX_NAME],
)
def test_a_setting_comes_back_under_any_name_and_stays_in_its_folder(name: str, workspace: Path):
    path = save_setting(setting(name))
    assert path.parent == workspace / "settings"
    assert saved_settings() == {name: setting(name)}
    delete_setting(name)
    assert saved_settings() == {}
    assert list((workspace / "settings").iterdir()) == []


@pytest.mark.parametrize("name", ["", "   ", "x" * (MAX_NAME + 1), "two\nlines", "nul\0"])
def test_a_name_that_cannot_be_one_is_refused(name: str):
    with pytest.raises(ConfigError, match="cannot name a setting"):
        setting(name)


@pytest.mark.parametrize("field", ["background_threshold", "cnn_threshold", "and_threshold"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_threshold_outside_is_refused_by_name(field: str, value: float):
    with pytest.raises(ConfigError, match=field):
        setting(**{field: value})


def test_the_same_name_replaces_and_names_are_in_order():
    for name in ("beta", "Alpha", "gamma"):
        save_setting(setting(name))
    save_setting(setting("beta", background_threshold=0.5))
    assert list(saved_settings()) == ["Alpha", "beta", "gamma"]
    assert saved_settings()["beta"].background_threshold == 0.5


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"name": "x"}', '"text"', "nul\\u0000"])
def test_files_of_others_are_passed_over(workspace: Path, content: str):
    save_setting(setting())
    (workspace / "settings" / "other.json").write_text(content)
    assert list(saved_settings()) == ["mine"]


def test_what_is_on_disk_is_plain_json(workspace: Path):
    save_setting(setting())
    values = json.loads((workspace / "settings" / "mine.json").read_text())
    assert values["fusion"]["rule"] == "and"
    assert FusionSetting.from_dict(values) == setting()
    with pytest.raises(ConfigError, match="has the fields"):
        FusionSetting.from_dict(values | {"extra": 1})
    with pytest.raises(ConfigError, match="'mine'"):
        FusionSetting.from_dict(values | {"fusion": {"rule": "no such"}})


@given(st.sampled_from(sorted(RULES)), st.floats(0, 1), st.floats(-1, 1), st.floats(0.01, 10))
def test_a_recipe_takes_every_field(rule: str, threshold: float, offset: float, gamma: float):
    chosen = setting(fusion=Fusion(rule, offset_cnn=offset, gamma_cnn=gamma), background_threshold=threshold)
    fusion = override(recipe("scenes"), chosen.as_overrides()).fusion
    assert (fusion.rule, fusion.background_threshold) == (rule, threshold)
    assert (fusion.offset_cnn, fusion.gamma_cnn) == (offset, gamma)


def test_a_trimap_becomes_the_ir_labels_of_a_recipe():
    before = recipe("scenes").ir_labels
    assert override(recipe("scenes"), setting().as_overrides()).ir_labels == before
    chosen = override(recipe("scenes"), setting(trimap=True).as_overrides()).ir_labels
    assert chosen.source == "trimap"
    assert (chosen.foreground_threshold, chosen.background_threshold) == (1.0, 0.125)  # AND, OR


def test_the_reference_offset_is_not_for_recipes():
    with pytest.raises(ConfigError, match="reference offset"):
        setting(fusion=reference_fusion()).as_overrides()
