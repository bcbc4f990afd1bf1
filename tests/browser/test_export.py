"""From a setting on Fuse to a zip in the downloads, read back."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from orandnet_core.datasets import scenes, voc12
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.store import CamStore
from tests.browser.in_viewer import READY, ready
from tests.browser.on_page import at_rest, follow

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE_MS = 120_000


def test_masks_of_fuse_are_downloaded_and_read_back(
    browser: Browser, app_url: str, served_workspace: Path, tmp_path: Path
):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{app_url}/fuse?fuse_rule=OR&fuse_t=0.5&fuse_gamma_vit=2")
    ready(page)
    at_rest(page)
    follow(page, page.get_by_role("button", name="Export", exact=True), "exchange")
    expect(page.get_by_text("OR, shaped > 0.500")).to_be_visible(timeout=PATIENCE_MS)
    for part in ("/exchange", "way=Export", "fuse_gamma_vit=2"):
        expect(page).to_have_url(re.compile(part), timeout=PATIENCE_MS)
    page.reload()  # as whoever gets the link would see it
    expect(page.get_by_text("OR, shaped > 0.500")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("stCode")).to_contain_text("--set fusion.gamma_vit=2 --threshold 0.5")
    page.get_by_role("radio", name="A download").click()
    page.get_by_role("button", name="Pack 9 images").click()
    with page.expect_download() as begun:
        page.get_by_role("button", name="Download").click()
    packed = tmp_path / begun.value.suggested_filename
    begun.value.save_as(packed)
    page.wait_for_selector(READY)
    context.close()
    assert errors == []

    with zipfile.ZipFile(packed) as file:
        file.extractall(tmp_path)
    theirs, ours = voc12(tmp_path / packed.stem), scenes(served_workspace / "data" / "scenes")
    assert theirs.image_ids("train") == ours.image_ids("train")
    run = served_workspace / "runs" / "sample"
    stores = [CamStore(run / f"cams-{source}") for source in ("cnn", "vit")]
    for image_id in ours.image_ids("train"):
        cnn, vit = (store.read(image_id) for store in stores)
        cam = fuse(cnn.full_size(), vit.full_size(), Fusion("or", gamma_vit=2))
        np.testing.assert_array_equal(theirs.mask(image_id), pseudo_mask(cam, cnn.class_ids, 0.5))
