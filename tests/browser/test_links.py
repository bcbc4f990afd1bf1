"""Addresses of pages, as they are sent to others or kept open over a restart of the server."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.app_server import served
from orandnet_core.datasets import Dataset, scenes
from tests.browser.in_viewer import ready, setting

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def dataset(served_workspace: Path) -> Dataset:
    return scenes(served_workspace / "data" / "scenes")


def test_a_link_to_a_page_may_be_a_server_s_first_visit(browser: Browser, served_workspace: Path):
    with served(served_workspace) as app:
        url = app.url
        page = browser.new_page()
        page.goto(f"{url}/data")
        expect(page.get_by_text("What is there")).to_be_visible(timeout=60_000)
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert page.url.startswith(f"{url}/data")
        page.close()


def test_the_first_page_has_a_name_too(browser: Browser, app_url: str, dataset: Dataset):
    page = browser.new_page()
    wanted = dataset.image_ids("val")[-1]
    page.goto(f"{app_url}/inspect?image={wanted}&threshold=0.5&split=val")
    ready(page)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_label("Image", exact=True)).to_have_value(wanted)
    assert setting(page)["t"] == 0.5
    assert urlsplit(page.url).path == "/"
    expect(page.get_by_role("link", name="Inspect", exact=True)).to_have_count(1)
    page.close()
