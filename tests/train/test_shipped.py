"""The networks in assets/weights: small enough, for the sample's classes, and at work."""

from dataclasses import dataclass

import numpy as np
import pytest

from orandnet_core.backbones import load_classifier
from orandnet_core.cams import compute_cam, with_output_stride
from orandnet_core.scenes import SCENE_CLASSES, draw_scene
from train.recipes import recipe
from train.sample import SOURCES, shipped_classifier

MAX_MB = 12


def test_both_files_together_are_small():
    assert sum(shipped_classifier(source).stat().st_size for source in SOURCES) <= MAX_MB * 1e6


@pytest.mark.parametrize("source", SOURCES)
def test_a_shipped_network_makes_cams_of_a_scene(source):
    assert cams_of(source, draw_scene(7, 0)).gains


@pytest.mark.parametrize("source", SOURCES)
def test_a_shipped_network_scores_its_classes_higher_inside_them(source):
    gains = [gain for number in range(6) for gain in cams_of(source, draw_scene(7, number)).gains]
    assert np.mean(gains) > 0.2


@dataclass(frozen=True)
class Checked:
    """By class, how much higher the mean of its CAM is inside it than outside."""

    gains: tuple[float, ...]


def cams_of(source: str, scene: tuple[np.ndarray, np.ndarray]) -> Checked:
    """The CAMs of a scene as the recipe makes them, checked for shape and range."""
    image, mask = scene
    config = recipe("scenes").cams(source)
    classifier = with_output_stride(load_classifier(shipped_classifier(source)), config.output_stride)
    assert classifier.network.class_names == tuple(SCENE_CLASSES)
    class_ids = np.unique(mask[(mask > 0) & (mask < 255)]).astype(np.int64)
    options = {"scales": config.scales, "flip": config.flip, **dict(config.options)}
    cam = compute_cam(classifier, image, class_ids, config.method, **options)
    assert cam.shape == (len(class_ids), *mask.shape)
    assert cam.min() >= 0
    # A class that the network scores nowhere has an empty map; every other has a pixel of 1.
    assert all(top == pytest.approx(1) or top == 0 for top in cam.max((1, 2)))
    by_class = zip(cam, class_ids, strict=True)
    return Checked(tuple(c[mask == k].mean() - c[mask != k].mean() for c, k in by_class))
