"""What is not there is skipped with a reason, and fails where nothing may be left out."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

FIXTURES = ("shared_dir", "weights_dir", "voc", "browser")


def _run_probes(tmp_path, require_real: str) -> str:
    """Run one test a fixture on a machine that has none of what they stand for."""
    probes = tmp_path / "test_probes.py"
    lines = [f"def test_{name}({name}): assert {name}" for name in FIXTURES]
    lines += ["import pytest", "@pytest.mark.gpu", "def test_gpu(): pytest.skip('no GPU')"]
    probes.write_text("\n".join(lines))
    nothing = {"ORANDNET_SHARED": "/nowhere", "ORANDNET_CHROMIUM": "", "PATH": "/nowhere"}
    command = ["-m", "pytest", "-c", "pyproject.toml", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, *command, str(probes)],
        cwd=ROOT, env={**os.environ, **nothing, "ORANDNET_REQUIRE_REAL": require_real},
        capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


def test_absent_is_skipped_with_a_reason(tmp_path):
    output = _run_probes(tmp_path, require_real="0")
    assert "5 skipped" in output
    assert "/nowhere not there, real-data tests skipped (set ORANDNET_SHARED)" in output
    assert "no Chromium found, browser tests skipped" in output


def test_absent_fails_where_nothing_may_be_left_out(tmp_path):
    output = _run_probes(tmp_path, require_real="1")
    assert "1 skipped, 4 errors" in output
    assert output.count("ORANDNET_REQUIRE_REAL=1 forbids the skip") >= len(FIXTURES)


def test_voc_has_the_three_splits(voc):
    assert {"train", "val", "train_aug"} <= set(voc.splits)
    assert voc.num_classes == 21


@pytest.mark.browser
def test_browser_shows_a_page(browser):
    page = browser.new_page()
    try:
        page.set_content("<title>there</title>")
        assert page.title() == "there"
    finally:
        page.close()
