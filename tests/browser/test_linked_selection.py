"""Linked selection with the mouse: brush, see the page follow, share the address, save the view."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.on_page import brush, plot, query, ready, watched_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)
# A button with a help text is there twice, once hidden for touch.
CHIPS = "[class*='st-key-linked_chip_'] button:visible"
PICTURES = "[class*='st-key-gallery-'] button:visible"
KEPT = re.compile(r"(\d+) of 9 images")


@pytest.fixture
def page(browser: Browser, app_url: str) -> Iterator[Page]:
    with watched_page(browser, f"{app_url}/compare", patience_ms=PATIENCE_MS) as page:
        drawn(page)
        yield page


def drawn(page: Page) -> None:
    """Wait for the last of the charts, and until none is drawn anew."""
    ready(page)
    page.locator(".st-key-compare_images .scatterlayer .point").first.wait_for()
    page.wait_for_timeout(2000)
    ready(page)


def address_is(page: Page, pattern: str) -> None:
    expect(page).to_have_url(re.compile(pattern))


def kept(page: Page) -> int:
    """How many images pass, as the page says."""
    text = page.locator(".st-key-linked_chips")
    expect(text).to_contain_text(KEPT)
    return int(KEPT.search(text.inner_text())[1])


def test_a_brush_filters_the_page_and_the_address_shares_it(page: Page, browser: Browser):
    # The histogram reaches from 0 to 1; its lower half is not all of nine images at most.
    brush(page, "compare_hist", (0.02, 0.3), (0.8, 0.7))
    address_is(page, "filter=")
    drawn(page)
    some = kept(page)
    kind, source, low, high = query(page)["filter"].split("~")
    assert (kind, source) == ("miou", "cnn")
    assert float(low) == pytest.approx(0.01, abs=0.02)
    assert float(high) == pytest.approx(0.8, abs=0.02)
    expect(page.get_by_text(f"scenes train · {some} images (only mIoU of CNN").first).to_be_visible()
    expect(page.locator(PICTURES)).to_have_count(some)

    # A second brush, in the scatter: both hold.
    page.get_by_role("radio", name="drag keeps").click()
    address_is(page, "compare_mouse=")
    drawn(page)
    brush(page, "compare_images", (0.02, 0.02), (0.98, 0.98))
    address_is(page, "filter=.*filter=")
    drawn(page)
    assert kept(page) == some
    expect(page.locator(CHIPS)).to_have_count(2)

    other = browser.new_page()
    other.set_default_timeout(PATIENCE_MS)
    other.goto(page.url)
    drawn(other)
    assert kept(other) == some
    expect(other.locator(CHIPS)).to_have_count(2)
    other.close()

    page.locator(CHIPS).first.click()
    address_is(page, "^(?!.*filter=.*filter=)")
    drawn(page)
    assert query(page)["filter"].startswith("both~cnn~")
    page.locator(".st-key-linked_clear button").click()
    address_is(page, "^(?!.*filter=)")
    expect(page.get_by_text(re.compile("All 9 images"))).to_be_visible(timeout=PATIENCE_MS)


def test_thresholds_are_brushed_and_classes_clicked(page: Page):
    brush(page, "compare_miou", (0.02, 0.5), (0.98, 0.6))
    address_is(page, "filter=best~cnn~")
    drawn(page)
    bar = page.locator(".st-key-compare_classes .barlayer .point").nth(1)
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 2, y)
    page.mouse.move(x, y)
    page.wait_for_timeout(300)
    page.mouse.click(x, y)
    address_is(page, "filter=class~")
    drawn(page)
    name = query(page)["filter"].removeprefix("class~")
    expect(page.get_by_role("button", name=re.compile(f"^showing {name}"))).to_be_visible()
    assert 0 < kept(page) <= 9


def test_a_view_is_saved_by_name_and_opened_as_it_was(page: Page):
    brush(page, "compare_hist", (0.02, 0.3), (0.8, 0.7))
    address_is(page, "filter=")
    page.get_by_role("radio", name="Oracle").click()
    address_is(page, "compare_rule=Oracle")
    drawn(page)
    some, was = kept(page), query(page)
    page.get_by_role("button", name="Save view").click()
    page.get_by_label("Name", exact=True).fill("losers & co")
    page.get_by_label("Name", exact=True).press("Tab")
    page.get_by_role("button", name="Save this view").click()
    page.get_by_role("button", name="Views", exact=True).wait_for()
    page.keyboard.press("Escape")
    page.locator(".st-key-linked_clear button").click()
    address_is(page, "^(?!.*filter=)")
    drawn(page)

    page.get_by_role("button", name="Views", exact=True).click()
    page.get_by_role("link", name="losers & co").click()
    address_is(page, "filter=")
    drawn(page)
    assert kept(page) == some
    assert was.items() <= query(page).items()
    page.get_by_role("button", name="Views", exact=True).click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Views", exact=True)).to_have_count(0)


def test_an_address_that_is_no_filter_is_said_and_left_out(page: Page, app_url: str):
    page.goto(f"{app_url}/compare?filter=miou~cnn~2~3&filter=class~no+such+class")
    expect(page.get_by_text("is no range within 0 to 1")).to_be_visible(timeout=PATIENCE_MS)
    drawn(page)
    expect(page.get_by_text("not applied")).to_be_visible()
    assert plot(page, "compare_hist").is_visible()
