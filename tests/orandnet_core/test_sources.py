"""Masks as sources: their scores are those of their labels, whatever the threshold."""

from pathlib import Path

import numpy as np
import pytest

from orandnet_core.datasets import Dataset, scenes
from orandnet_core.mask_store import MaskStore
from orandnet_core.metrics import bootstrap, confusion, per_image, thresholds
from orandnet_core.scoring import MaskSource, Scores, mask_source, score


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return scenes(tmp_path_factory.mktemp("scenes"), images=8)


@pytest.fixture
def store(dataset: Dataset, tmp_path: Path) -> MaskStore:
    """The ground truth with errors: a corner of another class, a band that is undecided."""
    store = MaskStore(tmp_path / "masks")
    store.write_card({"background_threshold": 0.25})
    for image_id in dataset.image_ids("train"):
        mask = dataset.mask(image_id).copy()
        mask[mask == 255] = 0
        mask[:30, :40] = 3
        mask[60:90] = 255
        store.write(image_id, mask)
    return store


@pytest.fixture
def scores(dataset: Dataset, store: MaskStore) -> Scores:
    ids = dataset.image_ids("train")
    return score(dataset, "train", mask_source(store, ids, "masks"))


def by_hand(dataset: Dataset, store: MaskStore, image_ids) -> dict[str, np.ndarray]:
    """Means over classes with pixels; what is undecided has a column of its own."""
    classes = dataset.num_classes
    counts = sum(
        confusion(dataset.mask(i), np.where(store.read(i) == 255, classes, store.read(i)), classes + 1)
        for i in image_ids
    )[:classes]
    right, target = np.diagonal(counts), counts.sum(axis=1)
    predicted = counts[:, :classes].sum(axis=0)
    shown = target > 0
    precision = np.divide(right, predicted, out=np.zeros(classes), where=predicted > 0)
    return {
        "precision": precision[shown].mean(),
        "recall": (right / np.maximum(target, 1))[shown].mean(),
        "iou": (right / np.maximum(target + predicted - right, 1))[shown].mean(),
    }


def test_scores_are_those_of_the_labels_and_undecided_pixels_are_not_found(dataset, store, scores):
    expected = by_hand(dataset, store, dataset.image_ids("train"))
    for threshold in (0.0, 0.3, 0.99):
        metrics, _ = scores.at(thresholds.fixed(threshold))
        assert metrics.iou.shape == (dataset.num_classes,)
        assert {name: float(metrics.mean(name)) for name in expected} == pytest.approx(expected)
    resampled = bootstrap(scores.counts, resamples=5)
    assert resampled.at("recall", 0.5)[0] == pytest.approx(expected["recall"])
    own = per_image(scores.counts, 0.5)
    first = own.image_ids[0]
    assert own.iou[0] == pytest.approx(by_hand(dataset, store, [first])["iou"])


def test_the_card_says_how_the_masks_were_decided(dataset, store, scores):
    assert (scores.card.threshold, scores.card.threshold_rule) == (0.25, "fixed")
    assert "recipe" in scores.card.chosen_on
    _, card = scores.at(thresholds.oracle(scores.counts))
    assert card == scores.card, "no threshold is chosen, so none can be an oracle's"
    store.write_card({"rule": "argmax, one scale"})
    found = mask_source(store, dataset.image_ids("train"), "segment")
    assert (found.threshold, found.threshold_rule) == (None, "argmax, one scale")


def test_images_that_calibrate_other_sources_are_left_out(dataset, store, scores):
    choice = thresholds.calibrated(scores.counts, k=2)
    metrics, card = scores.at(choice)
    rest = choice.unseen(scores.counts.image_ids)
    assert card.images == len(rest) == len(scores.counts.image_ids) - 2
    assert float(metrics.mean_iou) == pytest.approx(by_hand(dataset, store, rest)["iou"])


def test_a_mask_that_does_not_fit_is_passed_over_with_its_reason(dataset):
    ids = dataset.image_ids("train")
    masks = {image_id: dataset.mask(image_id) for image_id in ids}
    masks[ids[0]] = np.full_like(masks[ids[0]], dataset.num_classes)
    masks[ids[1]] = masks[ids[1]][:-1]
    found = score(dataset, "train", MaskSource("mine", "1", masks.__getitem__))
    assert set(found.skipped) == set(ids[:2])
    assert f"label {dataset.num_classes}" in found.skipped[ids[0]]
    assert "another version of the image" in found.skipped[ids[1]]


def test_a_mask_made_anew_is_another_source(dataset, store):
    ids = dataset.image_ids("train")
    before = store.fingerprint_of(ids)
    assert store.fingerprint_of(ids) == before
    assert ids[0] in store
    assert "no such image" not in store
    store.path_of(ids[1]).unlink()
    without = store.fingerprint_of(ids)
    store.write_card({"background_threshold": 0.5})
    assert len({before, without, store.fingerprint_of(ids)}) == 3
