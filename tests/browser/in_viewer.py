"""What tests do with the viewer in a page: wait for it, look at its panes, move its controls."""

import json
import re
from base64 import b64decode
from io import BytesIO

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.on_page import READY

PATIENCE_MS = 60_000


def viewer(page: Page) -> Locator:
    return page.locator(".viewer")


def ready(page: Page) -> None:
    page.wait_for_selector(READY)
    page.wait_for_selector(".viewer[data-shown]")
    painted(page)


def painted(page: Page) -> None:
    """What is asked for by now is drawn."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def canvas(page: Page, pane: str) -> Locator:
    return page.locator(f'canvas[data-pane="{pane}"]')


def panes(page: Page) -> list[str]:
    """Keys of the panes, in their order."""
    return [each.get_attribute("data-pane") for each in page.locator("canvas[data-pane]").all()]


def pixels(page: Page, pane: str) -> np.ndarray:
    """(H, W, 3) uint8 of what a pane shows, in its own pixels."""
    painted(page)
    address = canvas(page, pane).evaluate("canvas => canvas.toDataURL('image/png')")
    image = Image.open(BytesIO(b64decode(address.split(",")[1])))
    assert image.getextrema()[-1] == (255, 255), "drawn to the edges"
    return np.asarray(image.convert("RGB"))


def shown(page: Page) -> str:
    """Changes with what the server sends, and with no setting."""
    return viewer(page).get_attribute("data-shown")


def changed(page: Page, before: str) -> str:
    """Wait until the server has sent something else, and until it is drawn."""
    expect(viewer(page)).not_to_have_attribute("data-shown", before, timeout=PATIENCE_MS)
    painted(page)
    return shown(page)


def setting(page: Page) -> dict:
    """What the panes show now."""
    painted(page)
    return json.loads(viewer(page).get_attribute("data-setting"))


def control(page: Page, name: str) -> Locator:
    return page.locator(f'input[type="range"][data-control="{name}"], select[data-control="{name}"]')


def drag_to(page: Page, name: str, value: float) -> None:
    """Move a slider without letting it go."""
    control(page, name).evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', {bubbles: true})) }",
        value,
    )
    painted(page)


def let_go(page: Page, name: str) -> None:
    """Let a slider go and wait until the server has heard of it."""
    before = int(viewer(page).get_attribute("data-turn"))
    control(page, name).dispatch_event("change")
    expect(viewer(page)).to_have_attribute("data-turn", re.compile(rf"^(?!{before}$)"), timeout=PATIENCE_MS)
    page.wait_for_selector(READY)
    painted(page)


def caption(page: Page, pane: str) -> str:
    painted(page)
    return page.locator(f'[data-caption="{pane}"]').inner_text()


def zoom_of(page: Page) -> float:
    return float(viewer(page).get_attribute("data-view").split()[0])


def at(page: Page, pane: str, share_xy: tuple[float, float]) -> tuple[float, float]:
    """A place in a pane, in shares of its size, as a point of the window."""
    canvas(page, pane).scroll_into_view_if_needed()
    box = canvas(page, pane).bounding_box()
    return box["x"] + share_xy[0] * box["width"], box["y"] + share_xy[1] * box["height"]


def pointed(page: Page, pane: str, share_xy: tuple[float, float]) -> tuple[int, int]:
    """Move the pointer to a place in a pane; returns (x, y) of the photo as the viewer reads it."""
    page.mouse.move(*at(page, pane, share_xy))
    expect(page.locator('[data-part="position"]')).not_to_have_text("")
    painted(page)
    x, y = page.locator('[data-part="position"]').inner_text().split(", ")
    return int(x), int(y)


def value(page: Page, pane: str) -> str:
    return page.locator(f'[data-value="{pane}"]').inner_text()
