"""The dense CRF against a mean field written out pixel by pixel, and what it must do whatever the image."""

import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orandnet_core.crf import (
    IRN,
    PRESETS,
    PSA,
    CrfPreset,
    background_score,
    crf_cam,
    crf_labels,
    crf_preset,
    crf_scores,
)
from orandnet_core.errors import ConfigError, RangeError, ShapeError
from orandnet_core.labels import IGNORE_INDEX

pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed (it does not build on Python 3.13)")

HEIGHT, WIDTH = 20, 24


def exact_mean_field(image: np.ndarray, energies: np.ndarray, preset: CrfPreset) -> np.ndarray:
    """The docstring's formula in float64, every pair of pixels written out: (L, H, W) -> (L, H, W)."""
    height, width = image.shape[:2]
    position = np.stack(np.mgrid[:height, :width], axis=-1).reshape(-1, 2).astype(float)
    colour = image.reshape(-1, 3).astype(float)

    def kernel(features: np.ndarray) -> np.ndarray:
        squares = ((features[:, None] - features[None]) ** 2).sum(axis=-1)
        affinity = np.exp(-squares / 2)
        root = np.sqrt(affinity.sum(axis=1))
        return affinity / root[:, None] / root

    appearance = np.hstack([position / preset.appearance_px, colour / preset.appearance_rgb])
    coupling = preset.smoothness_weight * kernel(position / preset.smoothness_px)
    coupling += preset.appearance_weight * kernel(appearance)
    energies = energies.reshape(len(energies), -1).astype(float)
    belief = np.exp(-energies) / np.exp(-energies).sum(axis=0)
    for _ in range(preset.iterations):
        logits = -energies + belief @ coupling
        belief = np.exp(logits - logits.max(axis=0))
        belief /= belief.sum(axis=0)
    return belief.reshape(-1, height, width)


def patchwork(seed: int, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """An image of flat patches with a little noise, and smooth scores (L, H, W) that sum to 1."""
    rng = np.random.default_rng(seed)
    patches = cv2.resize(
        rng.integers(0, 256, (4, 5, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST
    )
    image = (patches + rng.integers(-4, 5, patches.shape)).clip(0, 255).astype(np.uint8)
    scores = np.stack(
        [cv2.resize(rng.random((4, 5)).astype(np.float32), (WIDTH, HEIGHT)) for _ in range(labels)]
    )
    return image, (scores + 0.05) / (scores + 0.05).sum(axis=0)


def two_colours() -> np.ndarray:
    """Dark left of column 12, bright from it on."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[:, 12:] = (210, 180, 60)
    return image


# The lattice is approximate, and strong weights multiply what it is off by: so the formula is tested at
# weights of 1. There it errs by less than this; another width or normalisation is 2 to 8 times off.
MEAN_ERROR, LARGEST_ERROR = 0.003, 0.03


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_the_exact_mean_field(name: str, seed: int):
    preset = replace(PRESETS[name], smoothness_weight=1, appearance_weight=1, iterations=5)
    image, scores = patchwork(seed)
    expected = exact_mean_field(image, -np.log(scores), preset)
    error = np.abs(crf_scores(image, scores, preset) - expected)
    assert error.mean() < MEAN_ERROR
    assert error.max() < LARGEST_ERROR
    # The tolerance tells the formula from its neighbours, and the inference from none.
    narrower = replace(
        preset,
        smoothness_px=preset.smoothness_px / 1.5,
        appearance_px=preset.appearance_px / 1.5,
        appearance_rgb=preset.appearance_rgb / 1.5,
    )
    assert np.abs(crf_scores(image, scores, narrower) - expected).mean() > MEAN_ERROR
    assert np.abs(scores - expected).mean() > 10 * MEAN_ERROR


@pytest.mark.parametrize("name", PRESETS)
def test_at_full_strength_the_likeliest_labels_are_nearly_those_of_the_exact_one(name: str):
    preset = PRESETS[name]
    same = []
    for seed in range(4):
        image, scores = patchwork(seed)
        exact = exact_mean_field(image, -np.log(scores), preset).argmax(axis=0)
        same.append(np.mean(crf_scores(image, scores, preset).argmax(axis=0) == exact))
    assert np.mean(same) > 0.97


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_those_of_the_exact_mean_field(seed: int):
    preset = replace(IRN, smoothness_weight=1, appearance_weight=1)
    image, scores = patchwork(seed)
    class_ids, labels = np.array([4, 9]), np.array([0, 4, 9], np.uint8)
    label_map = labels[scores.argmax(axis=0)]
    label_map[3:6] = IGNORE_INDEX
    probability = np.full(scores.shape, 0.15)  # what 0.7 leaves for two other labels
    np.put_along_axis(probability, scores.argmax(axis=0)[None], 0.7, axis=0)
    probability[:, 3:6] = 1 / 3
    exact = exact_mean_field(image, -np.log(probability), preset)
    found = crf_labels(image, label_map, class_ids, preset)
    first, second = np.sort(exact, axis=0)[::-1][:2]
    sure = first - second > 2 * LARGEST_ERROR
    assert sure.mean() > 0.8
    np.testing.assert_array_equal(found[sure], labels[exact.argmax(axis=0)][sure])


@given(st.integers(0, 999), st.sampled_from(list(PRESETS)), st.integers(2, 4))
@settings(max_examples=15)
def test_probabilities_sum_to_one_and_a_factor_a_pixel_changes_nothing(seed: int, name: str, labels: int):
    image, scores = patchwork(seed, labels)
    refined = crf_scores(image, scores, PRESETS[name])
    assert refined.shape == scores.shape
    assert refined.dtype == np.float32
    assert refined.min() >= 0
    np.testing.assert_allclose(refined.sum(axis=0), 1, atol=1e-5)
    factor = np.random.default_rng(seed).uniform(0.5, 1, scores.shape[1:]).astype(np.float32)
    np.testing.assert_allclose(crf_scores(image, scores * factor, PRESETS[name]), refined, atol=2e-3)


def test_the_order_of_labels_does_not_matter():
    image, scores = patchwork(5)
    turned = crf_scores(image, scores[[2, 0, 1]])
    np.testing.assert_allclose(turned[[1, 2, 0]], crf_scores(image, scores), atol=1e-4)


def test_labels_move_to_the_edge_of_the_colours():
    image = two_colours()
    label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    label_map[:, 15:] = 7  # three columns short of the edge
    cleaned = crf_labels(image, label_map, np.array([7]))
    assert (cleaned[:, :12] == 0).all()
    assert (cleaned[:, 12:] == 7).all()
    assert cleaned.dtype == label_map.dtype


def test_scores_move_to_the_edge_of_the_colours():
    slope = np.linspace(0, 1, WIDTH, dtype=np.float32) ** 1.5  # 0.5 is passed at column 14
    cam = np.broadcast_to(slope, (1, HEIGHT, WIDTH))
    assert (cam[0, :, 12] < 0.5).all()
    refined = crf_cam(two_colours(), cam, background_power=1)
    assert (refined[0, :, :12] < 0.5).all()
    assert (refined[0, :, 12:] > 0.5).all()
    assert refined.max() == 1


def test_undecided_pixels_take_the_label_of_what_looks_the_same():
    label_map = np.full((HEIGHT, WIDTH), IGNORE_INDEX, np.uint8)
    label_map[:, 2:4], label_map[:, 20:22] = 0, 3
    cleaned = crf_labels(two_colours(), label_map, np.array([3]))
    assert (cleaned[:, :12] == 0).all()
    assert (cleaned[:, 12:] == 3).all()


def test_several_maps_of_one_image_are_those_one_by_one():
    image, scores = patchwork(2)
    maps = np.array([0, 4, 9], np.uint8)[np.stack([scores.argmax(axis=0), scores.argmin(axis=0)])]
    together = crf_labels(image, maps, np.array([4, 9]))
    for each, cleaned in zip(maps, together, strict=True):
        np.testing.assert_array_equal(crf_labels(image, each, np.array([4, 9])), cleaned)
    assert not np.array_equal(together[0], together[1])


def test_a_class_that_the_map_does_not_show_takes_a_share_of_the_doubt_and_no_pixel():
    image = two_colours()
    label_map = np.where(np.arange(WIDTH) < 12, 0, 2).astype(np.uint8) * np.ones((HEIGHT, 1), np.uint8)
    np.testing.assert_array_equal(crf_labels(image, label_map, np.array([2, 5])), label_map)


def test_without_classes_all_is_background_and_nothing_is_computed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    image = two_colours()
    undecided = np.full((HEIGHT, WIDTH), IGNORE_INDEX, np.uint8)
    assert (crf_labels(image, undecided, np.array([], int)) == 0).all()
    assert (crf_scores(image, np.full((1, HEIGHT, WIDTH), 0.2)) == 1).all()
    assert crf_cam(image, np.zeros((0, HEIGHT, WIDTH), np.float32), 1).shape == (0, HEIGHT, WIDTH)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 7), (5, 1), (2, 2)])
def test_the_smallest_images(size_hw: tuple[int, int]):
    image = np.full((*size_hw, 3), 9, np.uint8)
    assert (crf_labels(image, np.full(size_hw, 6, np.uint8), np.array([6])) == 6).all()
    np.testing.assert_allclose(crf_scores(image, np.full((2, *size_hw), 0.5)), 0.5, atol=1e-5)


def test_arrays_of_any_layout_are_taken_and_left_as_they_are():
    image, scores = patchwork(1)
    expected = crf_scores(image, scores)
    backwards = np.asfortranarray(image[::-1])[::-1]
    backwards.setflags(write=False)
    before = image.copy()
    transposed = np.ascontiguousarray(scores.transpose(2, 1, 0)).transpose(2, 1, 0)
    np.testing.assert_array_equal(crf_scores(backwards, transposed), expected)
    np.testing.assert_array_equal(backwards, before)


def test_a_class_is_stretched_to_its_own_maximum_and_an_empty_one_stays_empty():
    cam = np.zeros((3, HEIGHT, WIDTH), np.float32)
    cam[0, :, 13:] = 0.6
    cam[2, 4:6, 2:4] = 0.3
    refined = crf_cam(two_colours(), cam, background_power=1)
    np.testing.assert_allclose(refined.max(axis=(1, 2)), [1, 0, 1], atol=1e-6)
    assert (refined[0, :, 13:] > 0.9).all()
    assert refined[0, :, :12].max() < 0.1


@pytest.mark.parametrize("power", [1, 2.5, 16])
def test_background_is_what_the_best_class_leaves(power: float):
    cam = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    by_hand = [[(1 - max(cam[:, y, x])) ** power for x in range(5)] for y in range(4)]
    np.testing.assert_allclose(background_score(cam, power), by_hand, rtol=1e-4, atol=1e-7)
    assert (background_score(cam[:0], power) == 1).all()


def test_errors_name_what_was_found():
    image, scores = patchwork(0)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    with pytest.raises(ShapeError, match=r"\(20, 24\).*\(20, 23\)"):
        crf_labels(image, labels[:, 1:], np.array([1]))
    with pytest.raises(ShapeError, match=r"float32; it must be \(H, W, 3\) uint8"):
        crf_labels(image.astype(np.float32), labels, np.array([1]))
    with pytest.raises(ShapeError, match=r"\(24,\)"):
        crf_labels(image, labels[0], np.array([1]))
    with pytest.raises(RangeError, match=r"label 3; with class ids \[1, 2\]"):
        crf_labels(image, labels + 3, np.array([1, 2]))
    with pytest.raises(ShapeError, match=r"\(20, 24\); they must be \(L, H, W\)"):
        crf_scores(image, scores[0])
    with pytest.raises(ShapeError, match="one label or more"):
        crf_scores(image, scores[:0])
    with pytest.raises(RangeError, match="scores from 0.*to 2"):
        crf_scores(image, np.stack([labels, labels + 2]))
    with pytest.raises(RangeError, match="nan"):
        crf_scores(image, np.where(scores > 0.5, np.nan, scores))
    with pytest.raises(ConfigError, match="no CRF preset 'crf': choose one of irn, psa, deeplab"):
        crf_preset("crf")


def test_where_it_is_not_installed_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    image, scores = patchwork(0)
    with pytest.raises(ConfigError, match=r"pip install pydensecrf2.*3\.11 or 3\.12.*without a CRF"):
        crf_scores(image, scores)


def test_presets_are_those_that_were_published():
    assert (IRN.smoothness_px, IRN.smoothness_weight) == (3, 3)
    assert (IRN.appearance_px, IRN.appearance_rgb, IRN.appearance_weight) == (50, 5, 10)
    assert (IRN.certainty, IRN.iterations) == (0.7, 10)
    assert (PSA.appearance_px, PSA.appearance_rgb, PSA.appearance_weight) == (80, 13, 10)
    deeplab = crf_preset("deeplab")
    assert (deeplab.smoothness_px, deeplab.smoothness_weight) == (1, 3)
    assert (deeplab.appearance_px, deeplab.appearance_rgb, deeplab.appearance_weight) == (67, 3, 4)
