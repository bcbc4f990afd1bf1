"""The Inspect page under a person's hands: what is seen is what was computed."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from orandnet_core.datasets import Dataset, scenes
from orandnet_core.store import CamStore
from tests.browser.in_viewer import (
    PATIENCE_MS,
    canvas,
    changed,
    panes,
    pixels,
    pointed,
    ready,
    shown,
    value,
    viewer,
    zoom_of,
)

pytestmark = pytest.mark.browser

SIZE = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def dataset(served_workspace: Path) -> Dataset:
    return scenes(served_workspace / "data" / "scenes")


@pytest.fixture
def page(browser, app_url):
    """The first screen, and at the end: nothing was asked from elsewhere, nothing failed in the page."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    hosts, errors = set(), []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(app_url)
    ready(page)
    yield page
    context.close()
    assert errors == []
    assert hosts - {"", urlsplit(app_url).netloc} == set()


def test_first_screen_shows_both_networks_over_the_photo(page, dataset):
    assert panes(page) == ["photo", "cnn", "vit", "or", "and", "mask", "truth", "errors"]
    photo = pixels(page, "photo")
    source = Image.fromarray(dataset.image(dataset.image_ids("train")[0])).resize(photo.shape[1::-1])
    assert np.abs(photo.astype(int) - np.asarray(source)).mean() < 8
    for pane in ("cnn", "vit", "or", "and", "mask", "truth", "errors"):
        assert (pixels(page, pane) != photo).any(), pane
    for pane in page.locator("canvas[data-pane]").all():
        assert pane.get_attribute("role") == "img"
        assert pane.get_attribute("aria-label")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_arrow_keys_step_through_the_images_and_the_address_follows(page, dataset):
    ids = dataset.image_ids("train")
    before = shown(page)
    page.keyboard.press("ArrowRight")
    second = changed(page, before)
    expect(page).to_have_url(re.compile(f"image={ids[1]}"))
    page.keyboard.press("ArrowRight")
    third = changed(page, second)
    page.keyboard.press("ArrowLeft")
    assert changed(page, third) == second
    page.reload()
    ready(page)
    expect(page.get_by_label("Image", exact=True)).to_have_value(ids[1])


def test_the_slider_moves_the_mask_and_not_the_image(page, dataset):
    mask = pixels(page, "mask")
    slider = page.get_by_role("slider", name="Background threshold")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    assert (pixels(page, "mask") != mask).any()
    expect(page).to_have_url(re.compile("threshold="))
    expect(page.get_by_label("Image", exact=True)).to_have_value(dataset.image_ids("train")[0])


def test_wheel_and_drag_move_all_panes_together_without_a_rerun(page):
    before, at_rest = shown(page), pixels(page, "truth")
    box = canvas(page, "cnn").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.6 * box["height"])
    for _ in range(4):
        page.mouse.wheel(0, -200)
    expect(viewer(page)).to_have_attribute("data-view", re.compile(r"^[2-9]"))
    assert (pixels(page, "truth") != at_rest).any(), "the other panes follow"
    view = viewer(page).get_attribute("data-view")
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
    page.mouse.up()
    expect(viewer(page)).not_to_have_attribute("data-view", view)
    assert shown(page) == before, "no rerun, no pick: it was a drag"
    page.get_by_role("button", name="Show the whole photo").click()
    expect(viewer(page)).to_have_attribute("data-view", re.compile(r"^1\.000"))
    assert (pixels(page, "truth") == at_rest).all()


def test_zoom_stays_while_a_slider_moves_and_ends_with_the_image(page):
    canvas(page, "photo").focus()
    for _ in range(4):
        page.keyboard.press("+")
    expect(viewer(page)).to_have_attribute("data-view", re.compile(r"^2\."))
    before = shown(page)
    page.get_by_role("slider", name="Background threshold").focus()
    page.keyboard.press("PageUp")
    expect(page).to_have_url(re.compile("threshold="))
    assert zoom_of(page) > 2
    page.get_by_role("button", name=re.compile("^Next")).click()
    changed(page, before)
    assert zoom_of(page) == 1


def test_enlarged_pixels_are_squares_of_the_photo(page, dataset):
    image_id = dataset.image_ids("train")[0]
    canvas(page, "truth").focus()
    page.keyboard.press("f")
    for _ in range(20):
        page.keyboard.press("+")
    expect(viewer(page)).not_to_have_attribute("data-view", re.compile(r"^1\.000"))
    page.locator('[data-part="opacity"]').fill("0")
    expect(viewer(page)).to_have_attribute("data-view", re.compile(r" 0(\.0+)?$"))
    zoom, centre_x, centre_y, _ = map(float, viewer(page).get_attribute("data-view").split())
    seen = pixels(page, "truth")
    height, width = seen.shape[:2]
    photo = dataset.image(image_id)
    scale = zoom * width / photo.shape[1]
    assert scale > 20
    # The colour in the middle of every photo pixel that is wholly seen.
    x, y = int(centre_x), int(centre_y)
    column, row = width / 2 + (x + 0.5 - centre_x) * scale, height / 2 + (y + 0.5 - centre_y) * scale
    square = seen[
        int(row - 0.4 * scale) : int(row + 0.4 * scale), int(column - 0.4 * scale) : int(column + 0.4 * scale)
    ]
    assert (square == square[0, 0]).all(), "one colour from edge to edge"
    assert np.abs(square[0, 0].astype(int) - photo[y, x]).max() < 40, "and it is that pixel's (but for JPEG)"


def test_the_pointer_reads_every_panes_value_at_its_pixel(page, dataset, served_workspace):
    image_id = dataset.image_ids("train")[0]
    stores = {
        name: CamStore(served_workspace / "runs" / "sample" / f"cams-{name}") for name in ("cnn", "vit")
    }
    maps = {name: store.read(image_id).full_size().max(0) for name, store in stores.items()}
    mask = dataset.mask(image_id)
    names = {0: "background", 255: "ignored"} | dict(enumerate(dataset.class_names, start=1))
    for share_xy in ((0.2, 0.3), (0.5, 0.7), (0.8, 0.55)):
        x, y = pointed(page, "or", share_xy)
        assert abs(x - share_xy[0] * mask.shape[1]) < 2
        assert abs(y - share_xy[1] * mask.shape[0]) < 2
        for name, cam in maps.items():
            assert float(value(page, name)) == pytest.approx(cam[y, x], abs=0.008)
        assert value(page, "truth") == names[int(mask[y, x])]
        assert value(page, "photo") == ""
    page.mouse.move(5, 5)
    expect(page.locator('[data-value="cnn"]')).to_have_text("")


def test_opacity_is_the_browsers_affair_and_outlives_reload(page):
    before, half = shown(page), pixels(page, "cnn")
    page.locator('[data-part="opacity"]').fill("0")
    expect(viewer(page)).to_have_attribute("data-view", re.compile(" 0$"))
    assert (pixels(page, "cnn") == pixels(page, "photo")).all()
    assert shown(page) == before
    canvas(page, "cnn").focus()
    page.keyboard.press("o")
    assert (pixels(page, "cnn") == half).all()
    page.locator('[data-part="opacity"]').fill("25")
    page.reload()
    ready(page)
    assert page.locator('[data-part="opacity"]').input_value() == "25"


def test_a_pane_is_enlarged_and_put_back(page):
    narrow = canvas(page, "mask").bounding_box()["width"]
    canvas(page, "mask").dblclick()
    expect(canvas(page, "cnn")).to_be_hidden()
    assert canvas(page, "mask").bounding_box()["width"] > 1.5 * narrow
    page.get_by_role("button", name="Enlarge Pseudo-mask").click()
    expect(canvas(page, "cnn")).to_be_visible()


def test_a_click_lists_all_scores_of_the_pixel(page, dataset):
    box = canvas(page, "vit").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_text(re.compile(r"Scores at pixel \(\d+, \d+\)"))).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("table")).to_contain_text("CNN")


def test_pixels_are_read_aloud_by_the_keyboard(page):
    canvas(page, "cnn").focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator('[data-part="spoken"]')).to_have_text(
        re.compile(r"^Pixel \d+, \d+: CNN CAM \d\.\d\d; ViT CAM")
    )
    page.keyboard.press("Escape")
    expect(page.locator('[data-part="position"]')).to_have_text("")


@pytest.mark.slow
def test_ones_own_photo_beside_a_file_that_is_none(page, tmp_path):
    page.get_by_text("Your photos").click()
    good, bad = tmp_path / "mine.jpg", tmp_path / "letter.jpg"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(good)
    bad.write_text("This is a letter.")
    page.locator('input[type="file"]').set_input_files([good, bad])
    expect(page.get_by_text("letter.jpg: not an image", exact=False)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("mine.jpg · 64 × 48")).to_be_visible(timeout=5 * PATIENCE_MS)
    assert (pixels(page, "cnn") != pixels(page, "photo")).any()


def test_two_fingers_zoom_all_panes(page):
    before = shown(page)
    box = canvas(page, "or").bounding_box()
    middle_x, middle_y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *half_apart: float) -> None:
        points = [
            {"x": middle_x + side * half, "y": middle_y, "id": index}
            for half in half_apart
            for index, side in enumerate((-1, 1))
        ]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 20)
    for half_apart in (30, 45, 60):
        touch("touchMove", half_apart)
    touch("touchEnd")
    expect(viewer(page)).to_have_attribute("data-view", re.compile(r"^(2\.[5-9]|3\.[0-5])"))
    assert shown(page) == before, "a pinch picks nothing"
