"""The viewer by itself, in a shadow root as on a page, with a server that is played: what hands do to it."""

from base64 import b64encode
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from pages.components.view_controls import USUAL_PANES, view_setting
from pages.components.viewer import SCRIPT_DIR, Live, packet, script
from pages.components.viewer_scene import Scene, Source
from tests.browser.in_viewer import canvas, caption, control, painted, panes, setting

pytestmark = pytest.mark.browser

SIZE_HW = (90, 120)
NAMES = ("cat", "dog")
_MOUNT = """async ({ html, css }) => {
  window.component?.close()
  sessionStorage.clear()
  document.body.replaceChildren()
  const host = document.body.appendChild(document.createElement("div"))
  const parentElement = host.attachShadow({ mode: "open" })
  parentElement.innerHTML = `<style>${css}</style>${html}`
  const sent = []
  let close = () => {}
  const receive = text => {
    const shown = parentElement.querySelector(".viewer").dataset
    delete shown.shown
    close = mount({
      parentElement, data: Uint8Array.from(atob(text), c => c.charCodeAt(0)),
      setTriggerValue: (_, setting) => sent.push(setting),
    })
    return new Promise(done => {
      const look = () => (shown.shown ? done() : setTimeout(look, 5))
      look()
    })
  }
  window.component = { sent, receive, close: () => close() }
}"""

rng = np.random.default_rng(5)
PHOTO = rng.integers(0, 256, (*SIZE_HW, 3), np.uint8)
CNN, VIT = rng.random((2, 1, *SIZE_HW), np.float32)
LABELS = rng.choice(np.array([0, 1], np.uint8), SIZE_HW)
SCENE = Scene(
    np.array([1]),
    NAMES,
    [Source("cnn", "CNN CAM", CNN), Source("vit", "ViT CAM", VIT), Source("masks", "Masks", labels=LABELS)],
    LABELS,
)


@pytest.fixture(scope="module")
def bare_page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto("http://viewer.test/")
    module = script().replace("export default function", "window.mount = function")
    page.add_script_tag(content=module, type="module")
    yield page
    context.close()


@pytest.fixture
def page(bare_page: Page) -> Iterator[Page]:
    """A page with an empty viewer; at the end no script of it has failed."""
    errors: list[str] = []
    bare_page.on("pageerror", lambda error: errors.append(str(error)))
    html, css = ((SCRIPT_DIR / name).read_text() for name in ("viewer.html", "viewer.css"))
    bare_page.evaluate(_MOUNT, {"html": html, "css": css})
    yield bare_page
    assert errors == []


def receive(page: Page, *, drawn: bool = True, **changed: object) -> None:
    """What a server sends: the scene with the defaults but for what is changed.

    Args:
        drawn: with the controls of the setting.
    """
    state = view_setting("alone", SCENE.class_ids, NAMES, SCENE.sources)
    controls = state.described() if drawn else []
    live = Live(SCENE, state.defaults() | changed, controls, USUAL_PANES)
    content = b64encode(packet(PHOTO, key="alone", live=live)).decode()
    page.evaluate("content => component.receive(content)", content)
    painted(page)


def test_a_mask_source_has_no_fused_map_and_all_else_is_drawn(page: Page):
    receive(page, rule="masks", panes="photo,fused,mask")
    assert panes(page) == ["photo", "mask"]
    assert caption(page, "mask") == "P 100.0 · R 100.0 · IoU 100.0"
    canvas(page, "mask").click()
    expect(page.locator('[data-part="reading"]')).to_contain_text("Pseudo-mask")
    receive(page, rule="and", panes="photo,fused,mask")
    assert panes(page) == ["photo", "fused", "mask"]


@pytest.mark.parametrize("beside_px", [0, 200])
def test_a_slider_dragged_away_and_back_follows_the_server_again(page: Page, beside_px: int):
    receive(page)
    before = setting(page)["t"]
    slider = control(page, "t")
    box = slider.bounding_box()
    x, y = box["x"] + 8 + before * (box["width"] - 16), box["y"] + box["height"] / 2  # 16 px: the thumb
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y, steps=3)
    held = setting(page)["t"]
    assert held > before
    receive(page, t=0.75)
    assert setting(page)["t"] == held, "what is in the hand stays there"
    page.mouse.move(x, y + beside_px, steps=3)
    assert setting(page)["t"] == before
    page.mouse.up()
    assert page.evaluate("component.sent") == []
    receive(page, t=0.5)
    assert setting(page)["t"] == 0.5


def test_a_slider_that_goes_while_it_is_held_is_let_go(page: Page):
    receive(page)
    control(page, "t").evaluate("slider => { slider.value = 0.9; slider.dispatchEvent(new Event('input')) }")
    receive(page, drawn=False)
    receive(page, t=0.5)
    assert setting(page)["t"] == 0.5


def test_the_menu_of_panes_opens_and_closes_by_keys_and_by_a_click_beside_it(page: Page):
    receive(page)
    menu, summary = page.locator("details.menu"), page.locator("details.menu summary")
    canvas(page, "vit").focus()
    page.keyboard.press("m")
    expect(menu).to_have_attribute("open", "")
    expect(summary).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    summary.click()
    expect(menu).to_have_attribute("open", "")
    page.get_by_role("checkbox", name="Disagreement").check()
    expect(menu).to_have_attribute("open", "")
    page.locator(".body > .hint").click()
    expect(menu).not_to_have_attribute("open", "")


def test_escape_closes_the_menu_before_it_lets_go_of_anything(page: Page):
    receive(page)
    canvas(page, "cnn").click()
    reading = page.locator('[data-part="reading"]')
    expect(reading).to_contain_text("CNN CAM")
    page.keyboard.press("m")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Escape")
    expect(page.locator("details.menu")).not_to_have_attribute("open", "")
    expect(reading).to_contain_text("CNN CAM")
    page.keyboard.press("Escape")
    expect(reading).not_to_contain_text("CNN CAM")


def test_f_goes_back_from_the_large_picture_wherever_the_focus_is(page: Page):
    receive(page)
    canvas(page, "vit").focus()
    page.keyboard.press("f")
    expect(canvas(page, "photo")).to_be_hidden()
    page.locator('[data-part="in"]').focus()
    page.keyboard.press("f")
    expect(canvas(page, "photo")).to_be_visible()
    expect(canvas(page, "vit")).to_be_visible()
