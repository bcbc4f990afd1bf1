"""A rule for each class: what it fuses, how it is chosen, and that no image chooses for itself."""

import numpy as np
import pytest

from orandnet_core.class_rules import HALF, ClassRules, choose_rules, cross_validated, rules_source
from orandnet_core.counts_cache import StoredCounts
from orandnet_core.errors import RangeError
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.metrics import confusion, metrics_of
from orandnet_core.metrics.thresholds import oracle
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.scoring import PairScores, Source, score_pair

NAMES = ("cnn", "vit", "or", "mean")


@pytest.fixture
def vit(noisy_source) -> Source:
    def cam_of(image_id: str) -> tuple[np.ndarray, np.ndarray]:
        cam, class_ids = noisy_source.cam_of(image_id)
        return cam[:, ::-1] ** 2 * (class_ids % 2 + 1)[:, None, None] / 2, class_ids

    return Source("vit", "vit-1", cam_of)


@pytest.fixture
def cnn(noisy_source) -> Source:
    return Source("cnn", "cnn-1", noisy_source.cam_of)


@pytest.fixture
def scored(dataset_with_photos, cnn, vit) -> PairScores:
    return score_pair(dataset_with_photos, "train", cnn, vit, {n: Fusion(n) for n in ("or", "mean")})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("threshold", [0, 1 / 256, 0.3, 128 / 256, 255 / 256])
def test_one_rule_for_all_gives_the_masks_of_that_rule(dataset_with_photos, cnn, vit, name, threshold):
    threshold = round(threshold * 256) / 256
    source = rules_source("rules", cnn, vit, ClassRules((name,) * 3, {name: threshold}))
    for image_id in dataset_with_photos.image_ids("train"):
        cams = [each.cam_of(image_id)[0] for each in (cnn, vit)]
        class_ids = cnn.cam_of(image_id)[1]
        expected = pseudo_mask(fuse(*cams, Fusion(name)), class_ids, threshold)
        cam, _ = source.cam_of(image_id)
        assert cam.min() >= 0
        assert cam.max() <= 1
        np.testing.assert_array_equal(pseudo_mask(cam, class_ids, HALF), expected)


def test_each_class_takes_its_own_rule(cnn, vit):
    rules = ClassRules(("cnn", "or", "vit"), {"cnn": 0.25, "or": 0.5, "vit": 0.75})
    cnn_cam, vit_cam = np.random.default_rng(0).random((2, 3, 4, 5), np.float32)
    fused = rules.fuse(cnn_cam, vit_cam, np.array([1, 2, 3]))
    ors = fuse(cnn_cam, vit_cam, Fusion("or"))
    np.testing.assert_array_equal(fused[0] > HALF, cnn_cam[0] > 0.25)
    np.testing.assert_array_equal(fused[1] > HALF, ors[1] > 0.5)
    np.testing.assert_array_equal(fused[2] > HALF, vit_cam[2] > 0.75)
    assert (np.diff(fused[0].ravel()[np.argsort(cnn_cam[0].ravel())]) >= 0).all()


def test_every_class_gets_the_rule_with_its_best_iou(scored):
    counts = {name: scored.scores[name].counts for name in NAMES}
    rules, best = choose_rules({name: each.total() for name, each in counts.items()}, 4)
    at_best = {name: scored.scores[name].at(oracle(counts[name]))[0] for name in NAMES}
    assert best == max(NAMES, key=lambda name: at_best[name].mean_iou)
    for label in (1, 2, 3):
        top = max(float(at_best[name].iou[label]) for name in NAMES)
        assert at_best[rules.rules[label - 1]].iou[label] == top


def test_every_image_is_scored_by_what_the_others_choose(
    dataset_with_photos, cnn, vit, scored, tmp_path, monkeypatch
):
    dataset = dataset_with_photos
    found = cross_validated(
        dataset, "train", cnn, vit, scored, candidates=NAMES, folds=3, cache_dir=tmp_path / "cache"
    )
    ids = scored.scores["cnn"].counts.image_ids
    fold_of = np.random.default_rng(0).permutation(np.arange(len(ids)) % 3)
    own, single = 0, 0
    for fold in range(3):
        inside = [image_id for image_id, at in zip(ids, fold_of, strict=True) if at == fold]
        others = [image_id for image_id in ids if image_id not in inside]
        rules, best = choose_rules({n: scored.scores[n].counts.select(others).total() for n in NAMES}, 4)
        assert (found.chosen[fold], found.single_rules[fold]) == (rules, best)
        alone = ClassRules((best,) * 3, rules.thresholds)
        for image_id in inside:
            for which in (rules, alone):
                mask = pseudo_mask(*rules_source("r", cnn, vit, which).cam_of(image_id), HALF)
                counted = confusion(dataset.mask(image_id), mask, 4)
                own, single = (own + counted, single) if which is rules else (own, single + counted)
    np.testing.assert_allclose(found.per_class.iou, metrics_of(own).iou)
    np.testing.assert_allclose(found.single.iou, metrics_of(single).iou)
    everything = sum(
        confusion(
            dataset.mask(i), pseudo_mask(*rules_source("r", cnn, vit, found.suggested).cam_of(i), HALF), 4
        )
        for i in ids
    )
    np.testing.assert_allclose(found.optimistic.iou, metrics_of(everything).iou)
    assert found.card.threshold_rule == "calibrated"
    # Once it is kept, no block of images is read again.
    monkeypatch.delattr(StoredCounts, "blocks")
    again = cross_validated(
        dataset, "train", cnn, vit, scored, candidates=NAMES, folds=3, cache_dir=tmp_path / "cache"
    )
    assert (again.chosen, again.suggested) == (found.chosen, found.suggested)
    np.testing.assert_array_equal(again.single.iou, found.single.iou)
    with pytest.raises(RangeError, match="folds is 8; of 7 images"):
        cross_validated(dataset, "train", cnn, vit, scored, candidates=NAMES, folds=8)
