"""The live viewer on Inspect and Fuse: what moves without the server, what goes to it, what comes back."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from orandnet_core.datasets import Dataset, scenes
from orandnet_core.disagreement import AGREEMENT_NAMES, disagreement_map
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.metrics import confusion, metrics_of
from orandnet_core.pseudo_mask import pseudo_mask, trimap
from orandnet_core.store import CamStore
from pages.components.viewer_packet import dequantised, levels_of
from tests.browser.in_viewer import (
    PATIENCE_MS,
    READY,
    at,
    canvas,
    caption,
    control,
    drag_to,
    let_go,
    painted,
    panes,
    pixels,
    pointed,
    ready,
    setting,
    shown,
    value,
    viewer,
)
from tests.browser.on_page import at_rest

pytestmark = pytest.mark.browser

USUAL = ["photo", "cnn", "vit", "or", "and", "mask", "truth", "errors"]


@pytest.fixture(scope="module")
def dataset(served_workspace: Path) -> Dataset:
    return scenes(served_workspace / "data" / "scenes")


@pytest.fixture(scope="module")
def image(served_workspace: Path, dataset: Dataset) -> dict:
    """The first image's maps as the browser has them, its classes and its ground truth."""
    image_id = dataset.image_ids("train")[0]
    run = served_workspace / "runs" / "sample"
    cnn, vit = (CamStore(run / f"cams-{name}").read(image_id) for name in ("cnn", "vit"))
    maps = [dequantised(levels_of(each.full_size())) for each in (cnn, vit)]
    return {"cnn": maps[0], "vit": maps[1], "ids": cnn.class_ids, "truth": dataset.mask(image_id)}


@pytest.fixture
def opened(browser: Browser, app_url: str) -> Iterator:
    """Opens addresses of the app; at the end nothing has failed in a page."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []

    def open_page(address: str) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(app_url + address)
        ready(page)
        return page

    yield open_page
    context.close()
    assert errors == []


def figures(truth: np.ndarray, mask: np.ndarray, inside: np.ndarray | None = None) -> list[float]:
    """Precision, recall and mIoU in percent, by way of the core alone."""
    scored = np.where((mask == 255) | (False if inside is None else ~inside), 255, truth)
    metrics = metrics_of(confusion(scored, np.where(mask == 255, 0, mask), 21))
    return [100 * float(metrics.mean(name)) for name in ("precision", "recall", "iou")]


def said(text: str) -> list[float]:
    """The figures of a caption `P 71.2 · R 80.0 · IoU 60.1`."""
    return [float(number) for number in re.match(r"P (\S+) · R (\S+) · IoU (\d+\.\d)", text).groups()]


def query(page: Page) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_a_moving_slider_asks_nothing_of_the_server_and_figures_follow(opened, image):
    page = opened("/")
    sent: list[object] = []
    page.on("request", lambda request: sent.append(request.url))
    turn = viewer(page).get_attribute("data-turn")
    for threshold in (0.125, 0.75, 0.5):
        drag_to(page, "t", threshold)
        mask = pseudo_mask(fuse(image["cnn"], image["vit"], Fusion("and")), image["ids"], threshold)
        assert said(caption(page, "mask")) == pytest.approx(figures(image["truth"], mask), abs=0.051)
        single = pseudo_mask(image["cnn"], image["ids"], threshold)
        assert said(caption(page, "cnn")) == pytest.approx(figures(image["truth"], single), abs=0.051)
    assert viewer(page).get_attribute("data-turn") == turn
    assert "threshold" not in query(page)
    assert sent == []
    let_go(page, "t")
    assert query(page)["threshold"] == "0.5"
    page.reload()
    ready(page)
    assert setting(page)["t"] == 0.5


def test_what_is_shown_is_the_servers_mask_pixel_for_pixel(opened, image):
    page = opened("/fuse?fuse_rule=Noisy+OR&fuse_weight_cnn=1.5&fuse_gamma_vit=0.7&fuse_t=0.45")
    fusion = Fusion("noisy_or", weight_cnn=1.5, gamma_vit=0.7)
    expected = pseudo_mask(fuse(image["cnn"], image["vit"], fusion), image["ids"], 0.45)
    assert np.array_equal(mask_of(page, expected.shape), expected)
    drag_to(page, "gamma_vit", 2.0)
    drag_to(page, "offset_cnn", -0.1)
    fusion = Fusion("noisy_or", weight_cnn=1.5, gamma_vit=2.0, offset_cnn=-0.1)
    expected = pseudo_mask(fuse(image["cnn"], image["vit"], fusion), image["ids"], 0.45)
    assert np.array_equal(mask_of(page, expected.shape), expected)


def mask_of(page: Page, size_hw: tuple[int, int]) -> np.ndarray:
    painted(page)
    labels = viewer(page).evaluate("root => Array.from(root.viewer.maskShown())")
    return np.reshape(labels, size_hw)


def test_letting_go_moves_the_data_sets_figures(opened):
    page = opened("/fuse")
    line = page.get_by_text(re.compile(r"threshold 0\.312 · fixed"))
    line.first.wait_for()
    drag_to(page, "t", 0.5)
    assert line.count() == 1
    let_go(page, "t")
    expect(page.get_by_text(re.compile(r"threshold 0\.500 · fixed")).first).to_be_visible()
    assert query(page)["fuse_t"] == "0.5"


def test_a_trimap_says_how_much_it_decides(opened, image):
    page = opened("/fuse?fuse_trimap=true&fuse_t_or=0.25&fuse_t_and=0.5")
    maps = [fuse(image["cnn"], image["vit"], Fusion(rule)) for rule in ("or", "and")]
    expected = trimap(*maps, image["ids"], 0.25, 0.5)
    assert np.array_equal(mask_of(page, expected.shape), expected)
    text = caption(page, "mask")
    assert said(text) == pytest.approx(figures(image["truth"], expected), abs=0.051)
    decided = np.mean(expected[image["truth"] != 255] != 255)
    assert float(re.search(r"([\d.]+)% decided", text)[1]) == pytest.approx(100 * decided, abs=0.051)


def test_a_saved_setting_comes_back_into_the_viewer(opened):
    page = opened("/fuse?fuse_rule=Maximum&fuse_t=0.625&fuse_gamma_cnn=2")
    at_rest(page)
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Name", exact=True).fill("kept")
    page.get_by_label("Name", exact=True).press("Tab")
    page.get_by_role("button", name="Save setting").click()
    page.get_by_role("button", name="Load", exact=True).wait_for()
    page.keyboard.press("Escape")
    control(page, "rule").select_option("or")
    drag_to(page, "t", 0.25)
    let_go(page, "t")
    assert query(page)["fuse_rule"] == "OR"
    page.get_by_role("button", name="Load", exact=True).click()
    page.get_by_text("kept", exact=True).last.click()
    expect(control(page, "rule")).to_have_value("max")
    assert setting(page)["t"] == 0.625
    assert setting(page)["gamma_cnn"] == 2
    assert query(page)["fuse_rule"] == "Maximum"


def test_rules_that_change_faster_than_they_are_scored_leave_the_page_whole(opened):
    page = opened("/fuse?fuse_gamma_vit=1.7")
    for rule in ("or", "and", "max", "min", "mean", "geometric_mean") * 2:
        control(page, "rule").select_option(rule)
        page.wait_for_timeout(250)  # a new pass over the images begins, or is under way
    at_rest(page)
    assert query(page)["fuse_rule"] == "Geometric mean"
    expect(page.get_by_test_id("stPlotlyChart").first).to_be_visible()


def test_panes_are_chosen_and_ordered_and_a_link_has_them(opened):
    page = opened("/")
    canvas(page, "photo").focus()
    page.keyboard.press("m")
    page.get_by_role("checkbox", name="Disagreement").check()
    page.get_by_role("checkbox", name="Photo").uncheck()
    page.get_by_role("button", name="Move Errors earlier").click()
    painted(page)
    expected = ["cnn", "vit", "or", "and", "mask", "errors", "truth", "disagreement"]
    assert panes(page) == expected
    expect(page).to_have_url(re.compile("panes=.*errors(%2C|,)truth"))
    again = opened(page.url[page.url.index("/", 8) :])
    assert panes(again) == expected
    page.get_by_role("button", name="Show the usual panes").click()
    painted(page)
    assert panes(page) == USUAL
    expect(page).not_to_have_url(re.compile("panes="))


def test_disagreement_names_who_is_right(opened, image):
    page = opened("/?panes=disagreement,cnn-mask&threshold=0.4")
    masks = [pseudo_mask(image[name], image["ids"], 0.4) for name in ("cnn", "vit")]
    expected = disagreement_map(*masks, image["truth"])
    height, width = expected.shape
    seen = set()
    for label in np.unique(expected[expected != 255]):
        rows, columns = np.nonzero(expected == label)
        middle = len(rows) // 2
        share_xy = (columns[middle] + 0.5) / width, (rows[middle] + 0.5) / height
        x, y = pointed(page, "disagreement", share_xy)
        assert value(page, "disagreement") == AGREEMENT_NAMES[int(expected[y, x])]
        seen.add(int(expected[y, x]))
    assert len(seen) > 2
    share = 100 * np.mean(expected[expected != 255] == 1)
    legend = page.locator("figure", has=canvas(page, "disagreement")).locator(".legend").inner_text()
    assert float(re.search(r"both, right ([\d.]+)%", legend)[1]) == pytest.approx(share, abs=0.051)


def test_one_class_alone_keeps_the_competition_as_it_was(opened, dataset, served_workspace):
    image_id = next(each for each in dataset.image_ids("train") if len(dataset.class_ids(each)) > 1)
    run = served_workspace / "runs" / "sample"
    cnn, vit = (CamStore(run / f"cams-{name}").read(image_id) for name in ("cnn", "vit"))
    class_id = int(cnn.class_ids[-1])
    page = opened(f"/?image={image_id}&threshold=0.4")
    canvas(page, "photo").focus()
    for _ in cnn.class_ids:
        page.keyboard.press("c")
    assert setting(page)["class"] == class_id
    maps = [dequantised(levels_of(each.full_size())) for each in (cnn, vit)]
    mask, truth = pseudo_mask(fuse(*maps, Fusion("and")), cnn.class_ids, 0.4), dataset.mask(image_id)
    metrics = metrics_of(confusion(truth, mask, dataset.num_classes))
    expected = [100 * getattr(metrics, name)[class_id] for name in ("precision", "recall", "iou")]
    assert said(caption(page, "errors")) == pytest.approx(expected, abs=0.051)
    x, y = pointed(page, "cnn", (0.5, 0.6))
    assert float(value(page, "cnn")) == pytest.approx(maps[0][-1][y, x], abs=0.006)
    expect(page).to_have_url(re.compile(f"show={dataset.class_names[class_id - 1]}"))


def test_a_swipe_shows_one_to_the_left_and_the_other_to_the_right(opened):
    page = opened("/")
    canvas(page, "mask").focus()
    page.keyboard.press("f")
    mask = pixels(page, "mask")
    page.keyboard.press("s")
    page.get_by_label("Picture to compare with").select_option("truth")
    page.mouse.move(5, 5)
    both, middle = pixels(page, "mask"), mask.shape[1] // 2
    assert (both[:, : middle - 2] == mask[:, : middle - 2]).all()
    assert (both[:, middle + 2 :] != mask[:, middle + 2 :]).any()
    divider = page.get_by_role("slider", name=re.compile("^Swipe"))
    divider.focus()
    page.keyboard.press("Home")
    truth = pixels(page, "mask")
    assert (truth[:, middle + 2 :] == both[:, middle + 2 :]).all()
    page.keyboard.press("End")
    assert (pixels(page, "mask") == mask).all()


def test_blink_shows_one_after_the_other(opened):
    page = opened("/")
    canvas(page, "mask").focus()
    page.keyboard.press("b")
    title = page.locator("figure:not([hidden]) .title")
    for name in ("Photo", "Pseudo-mask", "Photo"):
        expect(title).to_have_text(name)
    page.keyboard.press("b")
    expect(title).to_have_text("Pseudo-mask")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(canvas(page, "cnn")).to_be_visible()


@pytest.mark.parametrize("how", ["pointer", "keys", "lasso"])
def test_figures_inside_an_outline(opened, image, how: str):
    page = opened("/?threshold=0.4")
    height, width = image["truth"].shape
    inside = np.zeros((height, width), bool)
    if how == "pointer":
        first, last = pointed(page, "mask", (0.2, 0.3)), pointed(page, "mask", (0.7, 0.8))
        page.mouse.move(*at(page, "mask", (0.2, 0.3)))
        page.keyboard.down("Shift")
        page.mouse.down()
        page.mouse.move(*at(page, "mask", (0.7, 0.8)), steps=4)
        page.mouse.up()
        page.keyboard.up("Shift")
    elif how == "keys":
        first = pointed(page, "mask", (0.3, 0.3))
        canvas(page, "mask").focus()
        page.keyboard.press("x")
        last = pointed(page, "mask", (0.6, 0.9))
        page.keyboard.press("x")
    else:
        page.get_by_role("button", name="Lasso").click()
        page.mouse.move(*at(page, "mask", (0.5, 0.2)))
        page.mouse.down()
        for place in ((0.8, 0.8), (0.2, 0.8), (0.5, 0.2)):
            page.mouse.move(*at(page, "mask", place), steps=3)
        page.mouse.up()
        heading = page.get_by_text(re.compile("Inside the outline: "))
        count = int(heading.inner_text().split(": ")[1].split(" pixels")[0].replace(",", ""))
        assert count == pytest.approx(0.5 * 0.6 * 0.6 * height * width, rel=0.03)
        return
    inside[first[1] : last[1] + 1, first[0] : last[0] + 1] = True
    mask = pseudo_mask(fuse(image["cnn"], image["vit"], Fusion("and")), image["ids"], 0.4)
    expect(page.get_by_text(f"Inside the outline: {inside.sum():,} pixels")).to_be_visible()
    row = page.get_by_role("row", name=re.compile("^Pseudo-mask")).inner_text().split()
    expected = figures(image["truth"], mask, inside)
    assert [float(cell) for cell in row[1:]] == pytest.approx(expected, abs=0.051)
    page.get_by_role("button", name="Remove the outline").click()
    expect(page.get_by_text("Inside the outline")).to_have_count(0)


def test_a_picked_pixel_lists_every_source_and_class(opened, image):
    page = opened("/?mask=Disagreement+(XOR)")
    x, y = pointed(page, "or", (0.4, 0.6))
    canvas(page, "or").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Scores at pixel ({x}, {y})")).to_be_visible()
    expected = {"CNN CAM": image["cnn"], "ViT CAM": image["vit"]}
    expected |= {
        title: fuse(image["cnn"], image["vit"], Fusion(rule))
        for title, rule in (("OR", "or"), ("AND", "and"), ("Disagreement (XOR) map", "xor"))
    }
    for title, maps in expected.items():
        row = page.get_by_role("row", name=re.compile(f"^{re.escape(title)}")).get_by_role("cell")
        assert [float(text) for text in row.all_inner_texts()] == pytest.approx(maps[:, y, x], abs=0.00051)


def test_other_colours_are_the_tabs_own_and_outlive_a_reload(opened):
    page = opened("/?panes=cnn,mask")
    before, names = pixels(page, "cnn"), pixels(page, "mask")
    page.locator("summary", has_text="Panes").click()
    page.get_by_label("Colours of scores").select_option("viridis")
    assert (pixels(page, "cnn") != before).any()
    page.get_by_label("Colours of labels").select_option("VOC palette")
    after = pixels(page, "mask")
    assert (after != names).any()
    page.reload()
    ready(page)
    assert (pixels(page, "mask") == after).all()


def test_keys_move_the_threshold_and_the_sheet_names_them(opened):
    page = opened("/")
    canvas(page, "cnn").focus()
    before = setting(page)["t"]
    page.keyboard.press(".")
    assert setting(page)["t"] == pytest.approx(before + 1 / 256)
    page.keyboard.press("<")
    assert setting(page)["t"] == pytest.approx(before - 15 / 256)
    expect(page).to_have_url(re.compile("threshold="))
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys of the viewer")
    expect(sheet).to_contain_text("swipe between two pictures")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    image = page.get_by_label("Image", exact=True).input_value()
    control(page, "t").focus()
    page.keyboard.press("ArrowRight")
    assert setting(page)["t"] == pytest.approx(before - 14 / 256)
    page.wait_for_selector(READY)
    assert page.get_by_label("Image", exact=True).input_value() == image


def test_the_crf_comes_after_a_setting_is_let_go(opened, image):
    pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    page = opened("/fuse")
    before = mask_of(page, image["truth"].shape)
    page.get_by_role("checkbox", name="Dense CRF").check()
    title = page.locator("figcaption .title", has_text="Pseudo-mask")
    expect(title).to_have_text("Pseudo-mask, after CRF", timeout=PATIENCE_MS)
    assert (mask_of(page, image["truth"].shape) != before).any()
    drag_to(page, "t", 0.4)
    expect(title).to_have_text("Pseudo-mask")
    assert shown(page)


def test_the_same_choice_for_dark_and_for_little_room(opened):
    page = opened("/fuse")
    page.set_viewport_size({"width": 700, "height": 800})
    page.emulate_media(color_scheme="dark")
    painted(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert (pixels(page, "mask") != pixels(page, "fused")).any()
