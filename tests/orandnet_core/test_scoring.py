"""Scoring on a data set made here: eight images of two sizes, three of them unusable."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orandnet_core import scoring_pass
from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError, DataError
from orandnet_core.fusion import RULES, Fusion, fuse
from orandnet_core.metrics import ImageCounts, confusion, image_counts, per_image, thresholds
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.scoring import (
    Source,
    fused_source,
    score,
    score_pair,
    store_source,
)
from orandnet_core.store import CamStore

CLASS_NAMES = ("circle", "square", "star")
USABLE = ("0", "1", "3", "5", "7")
# 2 has no mask, 4 a mask of another size, 6 a label that the data set does not have.


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    rng = np.random.default_rng(0)
    masks = tmp_path / "masks"
    masks.mkdir()
    labels = {}
    for number in range(8):
        size_hw = (12, 16) if number % 2 else (10, 8)
        mask = rng.choice([0, 0, 1, 2, 3, 255], (1, 1, *size_hw))[0, 0].astype(np.uint8)
        labels[str(number)] = np.isin([1, 2, 3], mask).astype(np.uint8)
        if number == 4:
            mask = mask[:-1]
        if number == 6:
            mask[0, 0] = 9
        if number != 2:
            Image.fromarray(mask).save(masks / f"{number}.png")
    return Dataset(
        name="shapes",
        root=tmp_path,
        class_names=CLASS_NAMES,
        splits={"train": tuple("01234567"), "empty": ()},
        image_labels_by_id=labels,
        image_path_of=lambda image_id: tmp_path / f"{image_id}.jpg",
        mask_path_of=lambda image_id: masks / f"{image_id}.png",
        image_dirs=(tmp_path,),
        mask_dirs=(masks,),
    )


@pytest.fixture
def make_source(dataset):
    """name -> a source of random maps, with a list of what it was asked for."""

    def make(name: str) -> tuple[Source, list[str]]:
        asked = []

        def cam_of(image_id):
            asked.append(image_id)
            rng = np.random.default_rng([ord(letter) for letter in name + image_id])
            class_ids = dataset.class_ids(image_id)
            size_hw = (12, 16) if int(image_id) % 2 else (10, 8)
            return rng.random((len(class_ids), *size_hw), dtype=np.float32), class_ids

        return Source(name, f"{name}-1", cam_of), asked

    return make


@pytest.fixture(params=["disk", "memory"])
def cache_dir(request, tmp_path) -> Path | None:
    return tmp_path / "cache" if request.param == "disk" else None


@pytest.fixture
def blocks_of_3(monkeypatch):
    monkeypatch.setattr(scoring_pass, "BLOCK", 3)


def brute_force(dataset, source, threshold) -> np.ndarray:
    return sum(
        confusion(
            dataset.mask(image_id), pseudo_mask(*source.cam_of(image_id), threshold), dataset.num_classes
        )
        for image_id in USABLE
    )


@pytest.mark.usefixtures("blocks_of_3")
@pytest.mark.parametrize("workers", [1, 3])
def test_scores_equal_brute_force_and_bad_images_are_listed(dataset, make_source, cache_dir, workers):
    source, _ = make_source("cnn")
    scores = score(dataset, "train", source, cache_dir=cache_dir, workers=workers)
    for index in range(0, 256, 51):
        np.testing.assert_array_equal(
            scores.sweep.confusion(index), brute_force(dataset, source, index / 256)
        )
    assert scores.counts.image_ids == USABLE
    assert set(scores.skipped) == {"2", "4", "6"}
    assert "2.png: no mask" in scores.skipped["2"]
    assert "the mask is (9, 8) and the maps are (10, 8)" in scores.skipped["4"]
    assert "label 9" in scores.skipped["6"]
    assert (scores.card.images, scores.card.skipped, scores.card.source) == (5, 3, "cnn")
    assert scores.card.data_hash == dataset.fingerprint("train")
    assert per_image(scores.counts, 0.5).image_ids == USABLE


def test_the_second_time_comes_from_the_cache(dataset, make_source, tmp_path):
    source, asked = make_source("cnn")
    first = score(dataset, "train", source, cache_dir=tmp_path / "cache")
    asked.clear()
    again = score(dataset, "train", source, cache_dir=tmp_path / "cache")
    assert not asked
    np.testing.assert_array_equal(first.sweep.levels, again.sweep.levels)
    assert (first.card, first.skipped) == (again.card, again.skipped)


@pytest.mark.parametrize("change", ["source", "mask", "labels", "subset"])
def test_whatever_counts_depend_on_makes_them_anew(dataset, make_source, tmp_path, change):
    source, asked = make_source("cnn")
    cache_dir = tmp_path / "cache"
    score(dataset, "train", source, cache_dir=cache_dir)
    asked.clear()
    image_ids = None
    if change == "source":
        source = Source("cnn", "cnn-2", source.cam_of)
    elif change == "mask":
        Image.fromarray(np.zeros((10, 8), np.uint8)).save(dataset.mask_path_of("0"), compress_level=0)
    elif change == "labels":
        labels = {**dataset.image_labels_by_id, "0": np.zeros(3, np.uint8)}
        dataset = replace(dataset, image_labels_by_id=labels)
    else:
        image_ids = ["3", "0"]
    scores = score(dataset, "train", source, image_ids=image_ids, cache_dir=cache_dir)
    assert asked
    assert scores.card.images == (2 if change == "subset" else 5)
    if change == "subset":
        assert scores.counts.image_ids == ("0", "3")
        assert scores.card.data_hash != dataset.fingerprint("train")


@pytest.mark.usefixtures("blocks_of_3")
def test_a_cancelled_pass_goes_on_with_its_next_block(dataset, make_source, tmp_path):
    class CancelledError(Exception):
        pass

    def cancel_at_5(done, total):
        assert total == 8
        if done == 5:
            raise CancelledError

    source, asked = make_source("cnn")
    with pytest.raises(CancelledError):
        score(dataset, "train", source, cache_dir=tmp_path / "cache", progress=cancel_at_5, workers=1)
    asked.clear()
    seen = []
    resumed = score(
        dataset,
        "train",
        source,
        cache_dir=tmp_path / "cache",
        progress=lambda *at: seen.append(at),
        workers=1,
    )
    assert seen == [(done, 8) for done in range(4, 9)]
    assert not {"0", "1"} & set(asked)
    np.testing.assert_array_equal(resumed.sweep.levels, score(dataset, "train", source).sweep.levels)


def test_a_pair_scores_every_fusion_as_it_would_be_alone(dataset, make_source, cache_dir):
    (cnn, cnn_asked), (vit, _) = make_source("cnn"), make_source("vit")
    fusions = {"both": Fusion("and"), "tuned": Fusion("or", offset_vit=0.1)}
    pair = score_pair(dataset, "train", cnn, vit, fusions, cache_dir=cache_dir)
    assert list(pair.scores) == ["cnn", "vit", "both", "tuned"]
    assert sorted(cnn_asked) == list("013457")  # once each; 2 and 6 have no mask to compare with
    alone = {"cnn": cnn, "vit": vit} | {name: fused_source(name, cnn, vit, f) for name, f in fusions.items()}
    for name, source in alone.items():
        expected = score(dataset, "train", source)
        np.testing.assert_array_equal(pair.scores[name].sweep.levels, expected.sweep.levels)
        assert pair.scores[name].counts.image_ids == USABLE
        agreement = pair.scores[name].agreement
        assert agreement.source.sum() == agreement.cnn.sum() == 3 * 12 * 16 + 12 * 16 + 10 * 8
        assert 0 <= thresholds.no_labels(agreement).value < 1
    assert pair.scores["both"].card.source_hash == alone["both"].fingerprint


def test_a_source_beside_its_networks_is_scored_as_a_fusion_of_the_pair_is(dataset, make_source, cache_dir):
    (cnn, _), (vit, _) = make_source("cnn"), make_source("vit")
    pair = score_pair(dataset, "train", cnn, vit, {"or": Fusion("or")}).scores["or"]
    fused = fused_source("or", cnn, vit, Fusion("or"))
    for _ in range(2):
        beside = score(dataset, "train", fused, networks=(cnn, vit), cache_dir=cache_dir)
        assert thresholds.no_labels(beside.agreement) == thresholds.no_labels(pair.agreement)
        for name in ("source", "cnn", "vit"):
            np.testing.assert_array_equal(getattr(beside.agreement, name), getattr(pair.agreement, name))
        np.testing.assert_array_equal(beside.sweep.metrics.mean_iou, pair.sweep.metrics.mean_iou)
        assert beside.skipped == pair.skipped
    assert score(dataset, "train", fused).agreement is None


def test_a_pair_has_trimaps_and_surfaces(dataset, make_source):
    (cnn, _), (vit, _) = make_source("cnn"), make_source("vit")
    pair = score_pair(dataset, "train", cnn, vit, {})
    counted = sum((dataset.mask(image_id) != 255).sum() for image_id in USABLE)
    assert pair.trimaps.target.sum() == pair.surfaces.target.sum() == counted
    assert pair.surfaces.class_ids.tolist() == [1, 2, 3]
    other = score_pair(dataset, "train", cnn, vit, {}, trimap_of=(Fusion("max"), Fusion("min")))
    assert not np.array_equal(pair.trimaps.pixels, other.trimaps.pixels)


def test_a_new_fusion_leaves_known_ones_in_the_cache(dataset, make_source, tmp_path, monkeypatch):
    (cnn, _), (vit, _) = make_source("cnn"), make_source("vit")
    score_pair(dataset, "train", cnn, vit, {"or": Fusion("or")}, cache_dir=tmp_path)
    fused = []

    def noted(cnn_cam, vit_cam, fusion):
        fused.append(fusion.rule)
        return fuse(cnn_cam, vit_cam, fusion)

    monkeypatch.setattr("orandnet_core.scoring_tallies.fuse", noted)
    score_pair(dataset, "train", cnn, vit, {"or": Fusion("or"), "and": Fusion("and")}, cache_dir=tmp_path)
    assert set(fused) == {"and", "cnn", "vit"}  # the networks for the new source's agreement


def test_classes_that_one_network_lacks_count_as_0(dataset, make_source):
    cnn, _ = make_source("cnn")

    def without_first(image_id):
        cam, class_ids = cnn.cam_of(image_id)
        return cam[1:], class_ids[1:]

    vit = Source("vit", "vit-1", without_first)
    cam, class_ids = fused_source("or", cnn, vit, Fusion("or")).cam_of("1")
    whole, whole_ids = cnn.cam_of("1")
    np.testing.assert_array_equal(class_ids, whole_ids)
    np.testing.assert_allclose(cam[0], whole[0] / whole[0].max(), rtol=1e-6)
    only_vit, _ = fused_source("vit", cnn, vit, Fusion("vit")).cam_of("1")
    assert not only_vit[0].any()
    np.testing.assert_array_equal(only_vit[1:], whole[1:])


def test_a_calibrated_threshold_is_scored_on_the_rest(dataset, make_source):
    source, _ = make_source("cnn")
    scores = score(dataset, "train", source)
    choice = thresholds.calibrated(scores.counts, k=2)
    metrics, card = scores.at(choice)
    rest = scores.counts.select(choice.unseen(USABLE)).total().at(choice.value)
    np.testing.assert_array_equal(metrics.iou, rest.iou)
    assert (card.images, card.threshold_rule) == (3, "calibrated")
    metrics, card = scores.at(thresholds.oracle(scores.counts))
    assert (card.images, card.threshold_rule) == (5, "oracle")
    assert metrics.mean_iou == np.nanmax(scores.sweep.metrics.mean_iou)


@pytest.mark.usefixtures("blocks_of_3")
def test_some_images_are_scored_as_they_would_be_alone(dataset, make_source, cache_dir):
    source, _ = make_source("cnn")
    whole = score(dataset, "train", source, networks=(source, source), cache_dir=cache_dir)
    some = whole.only(["7", "2", "1", "5"], "showing a circle")  # 2 was passed over
    alone = score(dataset, "train", source, image_ids=["1", "5", "7"])
    for index in range(0, 256, 51):
        np.testing.assert_array_equal(some.sweep.confusion(index), alone.sweep.confusion(index))
    assert some.counts.image_ids == alone.counts.image_ids == ("1", "5", "7")
    assert (some.card.images, some.card.subset) == (3, "showing a circle")
    assert some.card.extent == "3 images (only showing a circle)"
    assert whole.card.extent == "5 images"
    assert some.card.data_hash not in (whole.card.data_hash, whole.only(["1"], "").card.data_hash)
    # A rule for thresholds that looks at maps alone would otherwise choose by all images.
    assert whole.agreement is not None
    assert some.agreement is None


def test_a_threshold_chosen_on_all_stays_an_oracle_on_some(dataset, make_source):
    source, _ = make_source("cnn")
    whole = score(dataset, "train", source)
    some = whole.only(["1", "5"], "chosen by hand")
    metrics, card = some.at(thresholds.oracle(whole.counts))
    assert (card.images, card.threshold_rule, card.chosen_on) == (2, "oracle", "5 images, of the whole split")
    alone = score(dataset, "train", source, image_ids=["1", "5"])
    np.testing.assert_array_equal(metrics.iou, alone.sweep.at(card.threshold).iou)


def test_none_of_the_images_is_nothing_to_score(dataset, make_source):
    source, _ = make_source("cnn")
    with pytest.raises(DataError, match="none of the 2 images"):
        score(dataset, "train", source).only(["2", "4"], "by hand")


def test_a_store_is_a_source(dataset, make_source, tmp_path):
    store = CamStore(tmp_path / "cams-cnn")
    store.write_card({"source": "cnn"})
    made, _ = make_source("cnn")
    for image_id in USABLE:
        cam, class_ids = made.cam_of(image_id)
        store.write(image_id, cam, class_ids, cam.shape[1:])
    source = store_source(store)
    assert (source.name, source.fingerprint) == ("cnn", store.fingerprint)
    assert store_source(store, "mine").name == "mine"
    scores = score(dataset, "train", source)
    assert scores.counts.image_ids == USABLE
    expected = ImageCounts.merged(
        [
            image_counts(store.read(i).full_size(), dataset.class_ids(i), dataset.mask(i), 4, i)
            for i in USABLE
        ],
        4,
    )
    np.testing.assert_array_equal(scores.sweep.levels, expected.total().levels)


def test_errors_name_what_was_found(dataset, make_source):
    source, _ = make_source("cnn")
    with pytest.raises(
        DataError, match=r"shapes, train: none of 1 images could be scored; the first: .*no mask"
    ):
        score(dataset, "train", source, image_ids=["2"])
    for ask in (
        lambda: score(dataset, "empty", source),
        lambda: score(dataset, "empty", source, networks=(source, source)),
        lambda: score_pair(dataset, "empty", source, make_source("vit")[0], {}),
        lambda: score(dataset, "train", source, image_ids=[]),
    ):
        with pytest.raises(DataError, match=r"shapes: no image of the split '(empty|train)' to score"):
            ask()
    with pytest.raises(DataError, match="'nobody' is not in the split 'train'"):
        score(dataset, "train", source, image_ids=["nobody"])
    with pytest.raises(ConfigError, match="cnn, cnn: every source needs a name of its own"):
        score_pair(dataset, "train", source, source, {})


def test_errors_of_other_kinds_are_not_swallowed(dataset):
    def broken(image_id):
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        score(dataset, "train", Source("cnn", "1", broken))


def test_memory_does_not_grow_with_the_images(dataset, make_source, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring_pass, "BLOCK", 32)
    source, _ = make_source("cnn")
    many = Source("cnn", "cnn-1", lambda image_id: source.cam_of(image_id[-1]))
    peaks = []
    for count in (64, 320):
        image_ids = tuple(f"{number:04d}-1" for number in range(count))
        longer = replace(
            dataset,
            splits={"train": image_ids},
            mask_path_of=lambda image_id: dataset.root / "masks" / "1.png",
        )
        tracemalloc.start()
        scores = score(longer, "train", many, cache_dir=tmp_path / str(count), workers=1)
        per_image(scores.counts, 0.5)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert scores.card.images == count
    assert peaks[1] < 1.3 * peaks[0]


def test_real_photographs_score_as_brute_force(voc, tmp_path):
    """Maps made from real masks, on every 50th image of val, through a store, with all rules."""
    image_ids = voc.image_ids("val")[::50]
    stores = {}
    for name, seed in (("cnn", 0), ("vit", 1)):
        rng = np.random.default_rng(seed)
        store = stores[name] = CamStore(tmp_path / name)
        store.write_card({"source": name})
        for image_id in image_ids:
            mask, class_ids = voc.mask(image_id), voc.class_ids(image_id)
            inside = mask[None] == class_ids[:, None, None]
            cam = 0.6 * inside + 0.4 * rng.random((len(class_ids), *mask.shape))
            store.write(image_id, cam.astype(np.float32), class_ids, mask.shape)
    sources = {name: store_source(store) for name, store in stores.items()}
    fusions = {rule: Fusion(rule) for rule in RULES if rule not in sources}
    pair = score_pair(
        voc, "val", *sources.values(), fusions, image_ids=image_ids, cache_dir=tmp_path / "cache"
    )
    sources |= {name: fused_source(name, sources["cnn"], sources["vit"], f) for name, f in fusions.items()}
    for name, source in sources.items():
        for index in (13, 77, 200):
            expected = sum(
                confusion(voc.mask(i), pseudo_mask(*source.cam_of(i), index / 256), 21) for i in image_ids
            )
            np.testing.assert_array_equal(pair.scores[name].sweep.confusion(index), expected)


def test_what_was_scored_comes_without_a_report_and_without_reading_a_map(dataset, make_source, tmp_path):
    (cnn, asked), (vit, _) = make_source("cnn"), make_source("vit")
    reports = []

    def both(*rules):
        reports.clear()
        asked.clear()
        keep = {"cache_dir": tmp_path / "cache", "progress": lambda *report: reports.append(report)}
        score(dataset, "train", cnn, networks=(cnn, vit), **keep)
        score_pair(dataset, "train", cnn, vit, {rule: Fusion(rule) for rule in rules}, **keep)
        return bool(reports), bool(asked)

    assert both("or") == (True, True)
    assert both("or") == (False, False)
    assert both("and") == (True, True)
    Image.fromarray(np.zeros((10, 8), np.uint8)).save(dataset.mask_path_of("0"))
    assert both("and") == (True, True)
