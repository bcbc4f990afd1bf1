"""The table of stages, and a stage's code version."""

import ast
import dataclasses
import importlib
import inspect
from collections.abc import Iterable
from pathlib import Path

import pytest

from orandnet_core.errors import ConfigError
from train import stages
from train.config import DataConfig, override
from train.recipes import RECIPES, recipe
from train.stages import STAGES, code_version, run_order, stage, stage_of
from train.workspace import ROOT


@pytest.mark.parametrize("name", STAGES)
def test_an_entry_names_what_there_is(name):
    each = STAGES[name]
    module, _, function = each.function.partition(":")
    parameters = list(inspect.signature(getattr(importlib.import_module(module), function)).parameters)
    expected = ["recipe", *(["source"] if each.arguments else []), "dataset", "run_dir"]
    assert parameters[: len(expected)] == expected
    assert module in each.modules
    assert all(len(code) == 12 for code in each.code().values())
    made = recipe("scenes")
    for path in (*each.parts(made), *((f"{each.training}.epochs",) if each.training else ())):
        value = made
        for field in path.split("."):
            value = getattr(value, field)
    if each.training:
        assert getattr(made, each.training).batch_size > 0


@pytest.mark.parametrize("made", RECIPES)
def test_a_stage_reads_only_what_comes_before_it(made):
    order = [each.name for each in run_order(recipe(made))]
    assert order == list(STAGES)
    for each in STAGES.values():
        assert all(order.index(name) < order.index(each.name) for name in each.reads(recipe(made)))


def test_a_stage_comes_after_the_source_that_it_is_told_to_read():
    order = [each.name for each in run_order(override(recipe("scenes"), {"crf.source": "walk"}))]
    assert order.index("crf") == order.index("walk") + 1
    assert sorted(order) == sorted(STAGES)


def test_stages_that_read_each_other_are_refused():
    circle = override(recipe("scenes"), {"ir_labels.source": "walk"})
    with pytest.raises(ConfigError, match="ir-labels, irn, walk, masks.*change a source"):
        run_order(circle)


SOURCES = {"crf": "crf", "ir-labels": "ir_labels", "walk": "walk", "masks": "masks"}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    ("source", "reads"),
    [("refine", {"refine"}), ("vit", {"cams-vit"}), ("and", {"cams-cnn", "cams-vit"}), ("imported", set())],
)
def test_what_a_stage_reads_is_what_its_source_is_made_of(name, source, reads):
    made = override(recipe("scenes"), {f"{SOURCES[name]}.source": source})
    others = {"irn"} if name == "walk" else set()
    assert set(STAGES[name].reads(made)) == reads | others
    assert ("fusion.rule" in STAGES[name].config(made)) == (source == "and")


def test_the_knobs_of_the_fusion_do_not_reach_plain_and_and_or():
    trimap = override(recipe("scenes"), {"ir_labels.source": "trimap"})
    assert STAGES["ir-labels"].reads(trimap) == ("cams-cnn", "cams-vit")
    assert "fusion.gamma_cnn" not in STAGES["ir-labels"].config(trimap)


def test_the_masks_threshold_may_be_the_fusions():
    own, fusions = (
        STAGES["masks"].config(override(recipe("scenes"), {"masks.background_threshold": value}))
        for value in (0.3, None)
    )
    assert "fusion.background_threshold" not in own
    assert "fusion.background_threshold" in fusions


def test_what_changes_the_speed_alone_makes_nothing_anew():
    base = recipe("scenes")
    more = override(base, {"masks.workers": 7, "crf.workers": 7, "ir_labels.workers": 7})
    assert [each.config(more) for each in STAGES.values()] == [each.config(base) for each in STAGES.values()]


@pytest.mark.parametrize("made", RECIPES)
def test_every_field_of_a_recipe_decides_some_stage(made):
    """A field that no stage's key knows could be changed without anything being run again."""
    config = override(recipe(made), {"masks.source": "fusion", "masks.background_threshold": None})
    decides = set().union(*(each.config(config) for each in STAGES.values()))
    # The images are known by their fingerprints, the name decides nothing, and eval_split only scores.
    known = {"name", "seed"} | {f"data.{field.name}" for field in dataclasses.fields(DataConfig)}
    left = {path for path in stages.flat(config) if path.rpartition(".")[2] not in stages.IDLE_FIELDS}
    assert left - decides - known == set()


@pytest.mark.parametrize(
    ("name", "stage_name"),
    [
        ("refine", "refine"),
        ("cams-refine", "refine"),
        ("cams-cnn", "cams-cnn"),
        ("evaluate-val-single", "evaluate"),
        ("ir-labels", "ir-labels"),
        ("irn", "irn"),
    ],
)
def test_who_reports(name, stage_name):
    assert stage_of(name).name == stage_name
    assert stage_of("something") is None


def test_an_unknown_stage_is_named():
    with pytest.raises(ConfigError, match="no stage 'classify': choose one of classify-cnn, classify-vit"):
        stage("classify")


def test_the_splits_of_a_stage_are_each_named_once():
    both = override(recipe("scenes"), {"data.cam_splits": ("val", "train", "val")})
    assert STAGES["cams-cnn"].splits(both) == ("val", "train")


@pytest.fixture
def version_of(tmp_path, monkeypatch):
    """The version of a module with this source, and of a package with these."""
    monkeypatch.setattr(stages, "ROOT", tmp_path)

    def version(*sources: str) -> str:
        code_version.cache_clear()
        if len(sources) == 1:
            (tmp_path / "module.py").write_text(sources[0])
            return code_version("module")
        (tmp_path / "package").mkdir(exist_ok=True)
        for number, source in enumerate(sources):
            (tmp_path / "package" / f"part_{number}.py").write_text(source)
        return code_version("package")

    yield version
    code_version.cache_clear()


def test_only_what_code_does_makes_its_version(version_of):
    first = version_of('"""Doc."""\ndef f(x):\n    """Doc."""\n    return x + 1  # why\n')
    assert version_of("def f(x):\n\n    return (x +\n        1)\n") == first
    assert version_of("def f(x):\n    return x + 2\n") != first
    assert version_of('def f(x):\n    """Only a docstring."""\n') == version_of("def f(x):\n    pass\n")
    assert version_of('NAME = "a"\n') != version_of('NAME = "b"\n')


def test_a_package_is_all_its_modules(version_of):
    first = version_of("A = 1", "B = 1")
    assert version_of("A = 1", "B = 2") != first
    assert version_of("A = 1", "B = 1") == first
    assert version_of("B = 1", "A = 1") != first


# --- The modules of a stage: all code that decides what it makes. ---

# Carry values and files about, tell what happens, share the work: what a stage makes does not depend on them.
# The recipe and the data have their own place in a stage's key.
NEUTRAL = (
    "orandnet_core.array_files", "orandnet_core.datasets.problems", "orandnet_core.errors",
    "orandnet_core.labels", "orandnet_core.mask_store", "orandnet_core.pickled_tensors",
    "orandnet_core.protocol", "orandnet_core.render", "orandnet_core.restricted_pickle",
    "train.claim", "train.config", "train.image_stage", "train.interruption", "train.kept_command",
    "train.learning", "train.loading", "train.open_run", "train.per_image", "train.pool", "train.progress",
    "train.provenance",
    "train.results", "train.results_page", "train.together", "train.voc_submission", "train.workspace",
)  # fmt: skip
# What a stage takes nothing decisive from: where another's network lies, how errors are counted.
ASIDE = {
    "cams-cnn": ("train.classify",),
    "cams-vit": ("train.classify",),
    "irn": ("train.classify", "orandnet_core.metrics"),
    "walk": ("train.irn",),
    "segment": ("train.classify", "orandnet_core.metrics"),
    "evaluate": ("train.segment", "orandnet_core.pseudo_mask"),
}


def source_of(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def imported_by(module: str) -> set[str]:
    """Modules of the project that a module takes something from, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source_of(module).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("train", "orandnet_core"):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if source_of(name) else handed_on(node.module, alias.name))
    return found


def handed_on(module: str, name: str) -> str:
    """The module that a name comes from which a package's `__init__` imports; else the module itself."""
    source = source_of(module)
    if source.name == "__init__.py":
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
                return handed_on(node.module, name)
    return module


def within(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("name", STAGES)
def test_all_code_that_decides_a_stage_is_its_code(name):
    """A new import of a stage either belongs to `modules`, or is known here to decide nothing."""
    each = STAGES[name]
    aside = (*NEUTRAL, *ASIDE.get(name, ()))
    reached, left = set(), [each.function.partition(":")[0]]
    while left:
        module = left.pop()
        if module not in reached and not within(module, aside):
            reached.add(module)
            left += imported_by(module)
    assert {module for module in reached if not within(module, each.modules)} == set()
    assert {module for module in each.modules if not any(within(one, [module]) for one in reached)} == set()
