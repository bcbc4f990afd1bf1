"""Every requirement is used, every import is required, and there is one OpenCV."""

import ast
import re
import sys
from importlib.metadata import distributions
from pathlib import Path

from tests.conftest import ROOT

IMPORT_NAMES = {
    "grad-cam": "pytorch_grad_cam",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pydensecrf2": "pydensecrf",
    "scikit-learn": "sklearn",
}
OWN_PARTS = ("orandnet_core", "train", "pages", "benchmarks", "docs", "tests")


def _required(path: Path) -> set[str]:
    """Import names of a requirements file."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    names = (re.split(r"[=<>~!\[ ]", line)[0].lower() for line in lines if line)
    return {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}


def _imported(*parts: str) -> set[str]:
    """Third-party import names under the parts, app.py among them, wherever in a file they stand."""
    files = [path for part in parts for path in sorted((ROOT / part).rglob("*.py"))]
    files += sorted(ROOT.glob("*.py"))
    roots = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            if isinstance(node, ast.Import):
                roots.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                roots.add(node.module.split(".")[0])
    return roots - set(sys.stdlib_module_names) - set(OWN_PARTS) - {"app"}


def test_the_app_needs_what_it_requires_and_requires_what_it_needs():
    assert _imported("orandnet_core", "train", "pages") == _required(ROOT / "requirements.txt")


def test_every_import_of_tests_benchmarks_and_the_tour_is_required():
    required = _required(ROOT / "requirements.txt") | _required(ROOT / "tests" / "requirements.txt")
    assert _imported("tests", "benchmarks", "docs") - required == set()


def test_one_opencv():
    installed = {(found.metadata["Name"] or "").lower() for found in distributions()}
    assert {name for name in installed if name.startswith("opencv")} == {"opencv-python-headless"}
