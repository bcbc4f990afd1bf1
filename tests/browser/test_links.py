"""Addresses of pages, as they are sent to others or kept open over a restart of the server."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import served

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_link_to_a_page_may_be_a_server_s_first_visit(browser: Browser, served_workspace: Path):
    with served(served_workspace) as url:
        page = browser.new_page()
        page.goto(f"{url}/data")
        expect(page.get_by_text("What is there")).to_be_visible(timeout=60_000)
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert page.url.startswith(f"{url}/data")
        page.close()
