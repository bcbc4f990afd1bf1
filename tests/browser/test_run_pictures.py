"""The viewer on Runs: opened by a click, stepped through, also where there is nothing to fuse."""

import json
import re
import shutil
from collections.abc import Iterator

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
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An app with two runs: `sample`, and `lone` with pseudo-masks and predictions alone."""
    root = tmp_path_factory.mktemp("pictures")
    make_workspace(root)
    lone = root / "runs" / "lone"
    lone.mkdir()
    (lone / "config.json").write_text(json.dumps(to_dict(recipe("scenes"))))
    make_outputs(lone, scenes(root / "data" / "scenes"))
    shutil.rmtree(lone / "cams-walk")
    with served(root) as app:
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
