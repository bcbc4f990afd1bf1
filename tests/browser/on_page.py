"""What browser tests do on any page: wait, read the address, click and drag in charts, choose in boxes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.conftest import until

READY = '[data-testid="stApp"][data-test-script-state="notRunning"]'


@contextmanager
def watched_page(browser: Browser, url: str, *, patience_ms: int, height_px: int = 1000) -> Iterator[Page]:
    """A page of a session of its own, 1280 wide; at the end no script of it has failed."""
    context = browser.new_context(viewport={"width": 1280, "height": height_px})
    context.set_default_timeout(patience_ms)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    yield page
    context.close()
    assert errors == []


def ready(page: Page) -> None:
    """Wait until nothing runs; no error is on the page."""
    page.wait_for_selector(READY)
    expect(page.locator('[data-testid="stException"]')).to_have_count(0)


def at_rest(page: Page) -> None:
    """Wait until no work is under way either, after which the page would run again by itself."""
    expect(page.get_by_test_id("stProgress")).to_have_count(0, timeout=120_000)
    ready(page)


def go(page: Page, name: str) -> None:
    """Open a page by its link."""
    follow(page, page.get_by_role("link", name=name, exact=True), name.lower())
    ready(page)


def follow(page: Page, way: Locator, there: str) -> None:
    """Click what leads to a page; a click that a rerun of the page before swallows is made again."""
    address = re.compile(rf"/{there}(\?|$)")

    def is_open() -> bool:
        if not address.search(page.url):
            way.click()
        try:
            page.wait_for_url(address, timeout=10_000)
        except PlaywrightTimeout:
            return False
        return True

    until(is_open, within_s=120)


def query(page: Page) -> dict[str, str]:
    """The address' values; of several, the last."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(page.url).query).items()}


def plot(page: Page, key: str) -> Locator:
    """The area inside a chart's axes."""
    return page.locator(f".st-key-{key} .nsewdrag").first


def click_plot(page: Page, key: str, across: float, up: float) -> None:
    """Click a place of a chart, in shares of its plot from the left and from below."""
    area = plot(page, key)
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    x, y = box["x"] + across * box["width"], box["y"] + (1 - up) * box["height"]
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    page.wait_for_timeout(300)  # Plotly finds what is under the pointer at its own pace
    page.mouse.click(x, y)


def brush(page: Page, key: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over a chart, from and to (across, up) in shares of its plot."""
    area = plot(page, key)
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + (1 - y) * box["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=8)
    page.mouse.up()


def choose(page: Page, label: str, option: str | re.Pattern) -> None:
    """Choose in a select box by its label; a rerun in between closes it, and it is opened again."""
    box = page.get_by_role("combobox", name=re.compile(rf"^(Selected .*)?{label}")).first
    wanted = page.get_by_role("option", name=option, exact=True)

    def chosen() -> bool:
        try:
            if not wanted.is_visible():
                box.click(timeout=5000)
            wanted.click(timeout=5000)
        except PlaywrightTimeout:
            return False
        return True

    until(chosen, within_s=120)
    ready(page)
