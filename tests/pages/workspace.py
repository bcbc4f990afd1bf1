"""A small workspace to look at: the built-in sample, drawn small, with CAMs made from its masks."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np

from orandnet_core.datasets import Dataset, scenes
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.mask_store import MaskStore
from orandnet_core.store import CamStore
from pages.components import catalog
from train.config import to_dict
from train.predictions import score_predictions
from train.recipes import recipe

IMAGES = 12


def make_workspace(root: Path) -> None:
    """Draw the sample into `data/scenes` and make the run `sample` with both CAM stores."""
    dataset = scenes(root / "data" / "scenes", images=IMAGES)
    run_dir = root / "runs" / "sample"
    run_dir.mkdir(parents=True)
    (run_dir / "config.json").write_text(json.dumps(to_dict(recipe("scenes"))))
    for source, blur_px in (("cnn", 9), ("vit", 4)):
        _make_store(run_dir / f"cams-{source}", dataset, source, blur_px)


def add_run(workspace: Path, name: str, root: str, kind: str = "voc12", stores: tuple[str, ...] = ()) -> None:
    """Add a run on the data set in `root` (the sample where it is empty) with stores of the sample's run."""
    folder = workspace / "runs" / name
    folder.mkdir(parents=True)
    config = json.loads((workspace / "runs" / "sample" / "config.json").read_text())
    config["data"] |= {"kind": kind, "root": root}
    (folder / "config.json").write_text(json.dumps(config))
    for source in stores:
        shutil.copytree(workspace / "runs" / "sample" / f"cams-{source}", folder / f"cams-{source}")
    catalog.forget()


def make_outputs(run_dir: Path, dataset: Dataset, shift_px: int = 6) -> None:
    """What later stages of a run leave: a random walk's CAMs, pseudo-masks of `train`, predictions of `val`.

    Args:
        shift_px: how far masks and predictions lie beside the truth.
    """
    _make_store(run_dir / "cams-walk", dataset, "walk", 7)
    masks = MaskStore(run_dir / "masks")
    masks.write_card({"maps": "walk", "background_threshold": 0.25, "margin": 0.1, "crf": "",
                      "splits": {"train": dataset.fingerprint("train")}})  # fmt: skip
    predictions = MaskStore(run_dir / "evaluate" / "val")
    predictions.write_card({"rule": "argmax, one scale", "weights_sha256": f"{shift_px:064d}"})
    for store, split in ((masks, "train"), (predictions, "val")):
        for image_id in dataset.image_ids(split):
            mask = np.roll(dataset.mask(image_id), shift_px, axis=1)
            mask[mask == IGNORE_INDEX] = 0
            if store is masks:
                mask[:8] = IGNORE_INDEX
            store.write(image_id, mask)
    scored = score_predictions(
        dataset,
        "val",
        predictions,
        source="segment",
        source_hash=f"{shift_px:012d}",
        rule="argmax, one scale",
    )
    result = {"scores": [scored.row()], "splits": ["val"]}
    (run_dir / "evaluate" / "result.json").write_text(json.dumps(result))


def make_networks(run_dir: Path, class_names: tuple[str, ...]) -> None:
    """Two small untrained networks, where a run keeps its own."""
    from orandnet_core.backbones import Network, build_classifier, save_classifier

    for source, model, head in (("cnn", "resnet10t", "conv"), ("vit", "vit_tiny_patch16_224", "cls+patch")):
        image_px = 64 if source == "vit" else None
        network = Network(model=model, head=head, class_names=class_names, image_px=image_px)
        path = run_dir / f"classify-{source}" / "classifier.safetensors"
        save_classifier(path, build_classifier(network, "none"))


def _make_store(root: Path, dataset: Dataset, source: str, blur_px: int) -> None:
    """CAMs that find most of every object, each network with errors of its own."""
    rng = np.random.default_rng(blur_px)
    store = CamStore(root)
    store.write_card(
        {"source": source, "dataset": dataset.name, "network": {"model": f"net-{source}"}, "method": "cam"}
    )
    for image_id in sorted({image_id for ids in dataset.splits.values() for image_id in ids}):
        mask, class_ids = dataset.mask(image_id), dataset.class_ids(image_id)
        height, width = mask.shape
        cam = np.zeros((len(class_ids), height, width), np.float32)
        for index, class_id in enumerate(class_ids):
            noise = cv2.resize(rng.random((6, 8)).astype(np.float32), (width, height))
            blurred = cv2.GaussianBlur((mask == class_id).astype(np.float32), (0, 0), blur_px)
            cam[index] = blurred * (0.4 + noise) + 0.1 * noise
            cam[index] /= cam[index].max()
        store.write(image_id, cam, class_ids, (height, width))
