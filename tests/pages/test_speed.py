"""From a setting let go to the browser's packet, in processor seconds: load elsewhere does not count."""

import json
import statistics
import time

import numpy as np
import pytest
from PIL import Image

from orandnet_core.render import mask_png_bytes
from orandnet_core.store import CamStore
from pages.components import catalog
from pages.components.selection import DatasetRef
from tests.pages.opening import address

SIZE_HW = (375, 500)
CLASS_IDS = np.array([1, 3])
IMAGES = 400


@pytest.fixture
def large(workspace):
    """A data set of photos of VOC's size with two classes each, and CAMs of the first few."""
    root, run = workspace / "large", workspace / "runs" / "large"
    rng = np.random.default_rng(0)
    ids = [f"photo_{index:04d}" for index in range(IMAGES)]
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("\n".join(ids))
    np.save(root / "cls_labels.npy", dict.fromkeys(ids, np.eye(20)[[0, 2]].sum(0)), allow_pickle=True)
    stores = [CamStore(run / f"cams-{source}") for source in ("cnn", "vit")]
    for store in stores:
        store.write_card({"source": store.root.name})
    for image_id in ids[:4]:
        photo = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize(SIZE_HW[::-1])
        photo.save(root / "JPEGImages" / f"{image_id}.jpg")
        mask = np.kron(rng.choice(np.array([0, 1, 3], np.uint8), (3, 4)), np.ones((125, 125), np.uint8))
        (root / "SegmentationClass" / f"{image_id}.png").write_bytes(mask_png_bytes(mask))
        for store in stores:
            rough = Image.fromarray(rng.random((9, 12), np.float32)).resize((125, 94))
            cam = np.stack([np.asarray(rough).clip(0, 1)] * 2)
            store.write(image_id, cam, CLASS_IDS, SIZE_HW)
    config = json.loads((workspace / "runs" / "sample" / "config.json").read_text())
    config["data"] |= {"kind": "voc12", "root": str(root)}
    (run / "config.json").write_text(json.dumps(config))
    catalog.add_dataset(DatasetRef("large", "voc12", root))


def processor_s(action) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


def test_slider_and_next_image_answer_within_bounds(app, large):
    app.query_params["dataset"] = "large"
    app.run()
    assert not app.exception, app.exception

    def let_go(value: float) -> None:
        app.session_state["threshold"] = value
        app.run()

    moves = [processor_s(lambda value=value: let_go(value)) for value in (0.25, 0.5, 0.75, 0.4, 0.6)]
    assert address(app)["threshold"] == "0.6"
    assert not app.exception
    assert statistics.median(moves) < 0.3
    steps = [processor_s(lambda: app.button("step_right").click().run()) for _ in range(3)]
    assert not app.exception
    assert app.text_input("image").value == "photo_0003"
    assert statistics.median(steps) < 0.5
