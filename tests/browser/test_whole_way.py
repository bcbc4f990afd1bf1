"""The whole way of a person: tune, set by a click, save, share, launch, see it finish, cancel another."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from benchmarks.app_server import served
from tests.browser.on_page import at_rest, choose, click_plot, follow, go, plot, query, ready, watched_page
from tests.conftest import until
from tests.pages.workspace import make_workspace
from train import jobs, locks
from train.settings import saved_settings

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)
# One epoch of nine images and the CAMs of three: networks that know nothing, but every stage has run.
SHORTEST = {"CNN epochs": "1", "ViT epochs": "1", "Run name": "short"}
SHORTEST_IN_TABS = {
    "Data": ("cam splits", "val"),
    "CNN CAMs": ("scales", "0.5"),
    "ViT CAMs": ("scales", "0.5"),
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One that runs are started in; what still lives at the end is killed."""
    root = tmp_path_factory.mktemp("whole-way")
    make_workspace(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORANDNET_WORKSPACE", str(root))
        yield root
    for folder in (root / "runs").iterdir():
        if locks.is_held(folder / "lock"):
            jobs.cancel(folder, at_once=True)
            until(lambda folder=folder: not locks.is_held(folder / "lock"))


@pytest.fixture(scope="module")
def url(workspace: Path) -> Iterator[str]:
    with served(workspace) as app:
        yield app.url


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    with watched_page(browser, url, patience_ms=PATIENCE_MS) as page:
        ready(page)
        yield page


def job_card(page: Page, run: str) -> Locator:
    return page.get_by_test_id("stSidebar").locator('[data-testid="stVerticalBlock"]', has_text=run).last


def test_thresholds_are_set_by_a_click_and_the_link_shares_them(page: Page, browser: Browser):
    go(page, "Fuse")
    page.get_by_role("radio", name="CNN × ViT").click()
    plot(page, "fuse_surface_or").wait_for()
    click_plot(page, "fuse_surface_or", across=0.75, up=0.25)
    page.wait_for_url(re.compile("fuse_t_vit="))
    chosen = query(page)
    assert float(chosen["fuse_t_vit"]) == pytest.approx(0.75, abs=0.04)
    assert float(chosen["fuse_t_cnn"]) == pytest.approx(0.25, abs=0.04)
    assert float(chosen["fuse_t_cnn"]) * 64 == round(float(chosen["fuse_t_cnn"]) * 64)

    other = browser.new_page()
    other.goto(page.url)
    ready(other)
    title = f"ViT > {float(chosen['fuse_t_vit']):.2f}"
    expect(other.get_by_text(title)).to_be_visible(timeout=PATIENCE_MS)
    other.close()


def test_a_saved_setting_goes_into_a_recipe_and_is_trained(page: Page, workspace: Path):
    go(page, "Fuse")
    page.get_by_label("Rule", exact=True).select_option("Geometric mean")
    page.wait_for_url(re.compile("fuse_rule="))
    at_rest(page)
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Name", exact=True).fill("precise")
    page.get_by_label("Name", exact=True).press("Tab")
    page.get_by_role("button", name="Save setting").click()
    until(lambda: "precise" in saved_settings())
    assert saved_settings()["precise"].fusion.rule == "geometric_mean"
    page.keyboard.press("Escape")

    follow(page, page.get_by_role("button", name="Use in a recipe"), "launch")
    page.get_by_role("button", name="Start training").wait_for()
    assert urlsplit(page.url).path == "/launch"
    expect(page.get_by_text("fusion.background_threshold").first).to_be_visible()
    for label, value in SHORTEST.items():
        fill(page.get_by_label(label, exact=True), value)
    page.get_by_text("All fields").click()
    for tab, (label, value) in SHORTEST_IN_TABS.items():
        page.get_by_role("tab", name=tab, exact=True).click()
        fill(page.get_by_role("tabpanel", name=tab, exact=True).get_by_label(label, exact=True), value)
    expect(page.get_by_text("data.cam_splits=val")).to_be_visible()
    expect(page.get_by_text("vit_cams.scales=0.5")).to_be_visible()
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(re.compile("/runs"))
    until(lambda: jobs.has_job(workspace / "runs" / "short"))

    # The tab is closed while it trains, and opened again.
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    ready(page)
    expect(job_card(page, "short")).to_contain_text("succeeded", timeout=300_000)
    config = json.loads((workspace / "runs" / "short" / "config.json").read_text())
    assert config["cnn"]["epochs"] == 1
    assert (config["fusion"]["rule"], config["fusion"]["background_threshold"]) == ("geometric_mean", 0.3125)

    # What it made is there to look at, in the same tab.
    go(page, "Compare")
    choose(page, "Split", re.compile("^val"))
    choose(page, "Run", "short")
    expect(page.get_by_text("scenes val · 3 images")).to_be_visible()
    go(page, "Runs")
    expect(page.get_by_text("mAP").first).to_be_visible()


def test_another_is_cancelled_and_can_be_resumed(page: Page, workspace: Path):
    page.get_by_test_id("stSidebar").get_by_role("button", name="Start").click()
    until(lambda: (workspace / "runs" / "scenes" / "job.json").is_file())
    until(lambda: jobs.status(workspace / "runs" / "scenes").state == "running")
    card = job_card(page, "scenes")
    expect(card).to_contain_text(re.compile("running|queued"))
    card.get_by_role("button", name="Cancel").click()
    expect(job_card(page, "scenes")).to_contain_text("cancelled", timeout=PATIENCE_MS)
    expect(job_card(page, "scenes").get_by_role("button", name="Resume")).to_be_visible()
    assert jobs.status(workspace / "runs" / "scenes").state == "cancelled"


def test_a_point_of_the_scatter_opens_its_image(page: Page):
    go(page, "Compare")
    choose(page, "Split", re.compile("^train"))
    choose(page, "Run", "sample")
    points = page.locator(".st-key-compare_images .scatterlayer .point")
    points.first.wait_for()
    points.last.scroll_into_view_if_needed()
    box = points.last.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 - 2, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(300)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator(".viewer[data-shown]").wait_for()
    assert urlsplit(page.url).path in ("/", "/inspect")
    assert re.fullmatch(r"scene_\d{4}", page.get_by_label("Image", exact=True).input_value())


def fill(field: Locator, value: str) -> None:
    """Type a value and have it taken."""
    field.fill(value)
    field.press("Enter")
    ready(field.page)
