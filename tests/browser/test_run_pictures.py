"""Runs in a browser: one is chosen by a click; the viewer opens, steps, and does with nothing to fuse."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.app_server import served
from orandnet_core.datasets import scenes
from tests.browser.in_viewer import PATIENCE_MS, READY, caption, changed, panes, pixels, ready, shown, viewer
from tests.pages.workspace import make_outputs, make_workspace
from train.config import to_dict
from train.recipes import recipe

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs: `sample`, and `lone`, which was made later, with pseudo-masks and predictions alone."""
    root = tmp_path_factory.mktemp("pictures")
    make_workspace(root)
    lone = root / "runs" / "lone"
    lone.mkdir()
    (lone / "config.json").write_text(json.dumps(to_dict(recipe("scenes"))))
    make_outputs(lone, scenes(root / "data" / "scenes"))
    shutil.rmtree(lone / "cams-walk")
    return root


@pytest.fixture(scope="module")
def url(workspace: Path) -> Iterator[str]:
    """An app on the workspace."""
    with served(workspace) as app:
        yield app.url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def test_a_run_stays_chosen_when_a_newer_one_comes_above_it(page: Page, url: str, workspace: Path):
    page.goto(f"{url}/runs")
    page.wait_for_selector(READY)
    shown = page.locator('[data-testid="stMarkdown"] strong', has_text=re.compile("^(sample|lone|newest)$"))
    expect(shown).to_have_text("lone")
    box = page.locator(".stDataFrame canvas").first.bounding_box()
    page.mouse.click(box["x"] + 15, box["y"] + 35 * 2.5)  # the box to tick in the second row
    expect(shown).to_have_text("sample")
    shutil.copytree(workspace / "runs" / "sample", workspace / "runs" / "newest")
    page.locator("body").press("r")
    page.wait_for_timeout(500)
    page.wait_for_selector(READY)
    page.get_by_role("combobox", name=re.compile("Compare sample with")).click()
    expect(page.get_by_role("option", name="newest")).to_be_visible()
    expect(shown).to_have_text("sample")
    shutil.rmtree(workspace / "runs" / "newest")


def test_pictures_open_by_a_click_and_step(page: Page, url: str):
    page.goto(f"{url}/runs?shown=sample")
    page.wait_for_selector(READY)
    expect(viewer(page)).to_have_count(0)
    page.get_by_text("Pictures", exact=True).click()
    ready(page)
    assert panes(page) == ["photo", "cnn", "vit", "truth"]
    assert (pixels(page, "cnn") != pixels(page, "photo")).any()
    before = shown(page)
    page.get_by_role("button", name=re.compile("^Next")).click()
    changed(page, before)
    expect(page).to_have_url(re.compile("runs_pictures=true"))


def test_masks_alone_are_shown_and_scored(page: Page, url: str):
    page.goto(f"{url}/runs?shown=lone&runs_pictures=true")
    ready(page)
    assert panes(page) == ["photo", "masks", "truth"]
    assert (pixels(page, "masks") != pixels(page, "photo")).any()
    assert "IoU" in caption(page, "masks")
    page.get_by_role("radio", name="val").click()
    expect(page.locator('canvas[data-pane="segment"]')).to_be_visible(timeout=PATIENCE_MS)
