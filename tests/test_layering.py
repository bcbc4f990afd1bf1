"""Imports go one way, `app, pages -> train -> orandnet_core`; what needs no network does without torch."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# What each part must not import. `pages` stands for the screen: it may import everything but the tests.
FORBIDDEN = {
    "orandnet_core": {"streamlit", "train", "pages", "app", "benchmarks", "tests"},
    "train": {"streamlit", "pages", "app", "benchmarks", "tests"},
    "pages": {"app", "benchmarks", "tests"},
    "benchmarks": {"app", "tests"},
}

# The modules that may import torch, each with all below it. Every other module of the core and the
# trainer is imported below with torch blocked, so a new module is numpy-only until it is named here.
TORCH_MODULES = (
    "orandnet_core.backbones",
    "orandnet_core.cams",
    "orandnet_core.irn",
    "orandnet_core.segmentation",
    "orandnet_core.segmentation_loss",
    "orandnet_core.refiner",
    "orandnet_core.weights",
    "train.adopt",
    "train.cams",
    "train.checkpoints",
    "train.classify",
    "train.irn",
    "train.loop",
    "train.pairs",
    "train.map_crops",
    "train.photos",
    "train.refine",
    "train.teacher",
    "train.determinism",
    "train.evaluate",
    "train.together",
    "train.training",
    "train.rehearsal",
    "train.release",
    "train.run",
    "train.run_cli",
    "train.segment",
    "train.study",
    "train.score",
    "train.walk",
)


def _files_of(part: str) -> list[Path]:
    return sorted((ROOT / part).rglob("*.py"))


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported_roots(path: Path) -> set[str]:
    roots = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            roots.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            roots.add(node.module.split(".")[0])
    return roots


def _may_import_torch(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in TORCH_MODULES)


@pytest.mark.parametrize("part", FORBIDDEN)
def test_imports_go_one_way(part):
    files = _files_of(part)
    assert files, f"{part}/ holds no module: the layout changed and this test with it"
    crossings = {
        str(path.relative_to(ROOT)): sorted(wrong)
        for path in files
        if (wrong := _imported_roots(path) & FORBIDDEN[part])
    }
    assert crossings == {}


def test_only_named_modules_need_torch():
    modules = [_module_name(path) for part in ("orandnet_core", "train") for path in _files_of(part)]
    numpy_only = [module for module in modules if not _may_import_torch(module)]
    script = (
        "import importlib, sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'torchvision', 'timm', 'accelerate']))\n"
        "failed = []\n"
        "for name in sys.argv[1:]:\n"
        "    try: importlib.import_module(name)\n"
        "    except ImportError as error: failed.append(f'{name}: {error}')\n"
        "print('\\n'.join(failed))\n"
        "print('streamlit' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *numpy_only],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split("\n")[:-1] == ["", "False"], done.stdout


def test_torch_modules_are_there():
    """A name that no longer exists would quietly widen what may import torch."""
    existing = {_module_name(path) for part in ("orandnet_core", "train") for path in _files_of(part)}
    assert set(TORCH_MODULES) - existing == set()


def test_pages_lie_one_folder_below_pages():
    """Streamlit runs a file directly in `pages/` without `app.py` when a deep link opens it."""
    assert sorted(path.name for path in (ROOT / "pages").glob("*.py")) == []
