"""Slices against masks that were really mended and scored anew, from disk and from memory."""

from pathlib import Path

import numpy as np
import pytest

from orandnet_core import scoring_pass
from orandnet_core.errors import ConfigError, DataError
from orandnet_core.metrics import confusion, metrics_of
from orandnet_core.metrics.thresholds import ThresholdChoice, fixed
from orandnet_core.mining import (
    FACETS,
    KINDS,
    Mined,
    backgrounds_of,
    images_of,
    mine,
    ranked,
    slice_label,
    where_of,
)
from orandnet_core.mining.backgrounds import NO_BACKGROUND
from orandnet_core.mining.kinds import FALSE_POSITIVE, error_kinds
from orandnet_core.mining.miner import errors_of_image
from orandnet_core.mining.slices import key_of
from orandnet_core.pseudo_mask import pseudo_mask

THRESHOLD = 0.45


@pytest.fixture(params=["disk", "memory"])
def cache_dir(request, tmp_path) -> Path | None:
    return tmp_path / "cache" if request.param == "disk" else None


@pytest.fixture
def mined(dataset, source, cache_dir, monkeypatch) -> Mined:
    monkeypatch.setattr(scoring_pass, "BLOCK", 3)
    backgrounds = backgrounds_of(dataset, "train", cache_dir)
    return mine(dataset, "train", source, fixed(THRESHOLD), backgrounds, cache_dir=cache_dir)


def masks(dataset, source) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        image_id: (dataset.mask(image_id), pseudo_mask(*source.cam_of(image_id), THRESHOLD))
        for image_id in dataset.image_ids("train")
    }


def mended_scores(dataset, source, mined, where) -> dict[str, float]:
    """The scores of masks in which the slice's pixels were put right."""
    total = 0
    for image_id, (target, prediction) in masks(dataset, source).items():
        errors = errors_of_image(dataset, source, THRESHOLD, mined.backgrounds, image_id)
        slice_pixels = errors.matching(where)
        total = total + confusion(target, np.where(slice_pixels, target, prediction), dataset.num_classes)
    metrics = metrics_of(total)
    return {name: float(metrics.mean(name)) for name in ("iou", "precision", "recall")}


def test_the_counts_hold_the_whole_confusion(dataset, source, mined):
    expected = sum(confusion(*both, dataset.num_classes) for both in masks(dataset, source).values())
    np.testing.assert_array_equal(mined.confusion(), expected)
    assert (mined.card.images, mined.card.threshold, mined.card.threshold_rule) == (7, THRESHOLD, "fixed")


def test_kinds_are_counted_as_they_are_found(dataset, source, mined):
    expected = sum(
        np.bincount(error_kinds(*both).ravel(), minlength=256) for both in masks(dataset, source).values()
    )
    found = {each.where["kind"]: each.pixels for each in ranked(mined, FACETS["kind"])}
    assert found == {kind: expected[kind] for kind in KINDS if expected[kind]}
    assert len(found) >= 6


@pytest.mark.parametrize("facet", FACETS)
def test_what_a_slice_gives_back_is_what_mending_it_gives(dataset, source, mined, facet):
    before = mined.metrics()
    slices = ranked(mined, FACETS[facet])
    assert [each.gains["iou"] for each in slices] == sorted((s.gains["iou"] for s in slices), reverse=True)
    for each in slices[:4] + slices[-2:]:
        for name, value in mended_scores(dataset, source, mined, each.where).items():
            assert each.gains[name] == pytest.approx(value - before.mean(name), abs=1e-12)


@pytest.mark.parametrize("facet", ["kind", "class", "size", "shown"])
def test_the_slices_of_a_facet_hold_every_wrong_pixel_once(dataset, source, mined, facet):
    wrong = sum(((t != 255) & (t != p)).sum() for t, p in masks(dataset, source).values())
    assert sum(each.pixels for each in ranked(mined, FACETS[facet])) == wrong


def test_a_class_alone_is_cut_like_all_of_them(dataset, source, mined):
    whole = {each.key: each for each in ranked(mined, FACETS["class"]) if each.where["owner"] == 2}
    alone = {each.key: each for each in ranked(mined, FACETS["class"], within={"owner": 2})}
    assert alone == whole
    for each in ranked(mined, FACETS["size"], within={"owner": 2})[:3]:
        assert each.where["owner"] == 2
        mended = mended_scores(dataset, source, mined, each.where)
        assert each.gains["iou"] == pytest.approx(mended["iou"] - mined.metrics().mean_iou)


def test_giving_everything_back_leaves_nothing_wrong(dataset, source, mined):
    assert mended_scores(dataset, source, mined, {}) == {"iou": 1, "precision": 1, "recall": 1}


@pytest.mark.parametrize("facet", FACETS)
def test_the_images_of_a_slice_are_those_with_its_pixels(dataset, source, mined, facet):
    for each in ranked(mined, FACETS[facet])[:4]:
        expected = {
            image_id: int(errors_of_image(dataset, source, THRESHOLD, mined.backgrounds, image_id)
                          .matching(each.where).sum())
            for image_id in dataset.image_ids("train")
        }  # fmt: skip
        found = images_of(mined, each.where)
        assert dict(found) == {image_id: pixels for image_id, pixels in expected.items() if pixels}
        assert [pixels for _, pixels in found] == sorted(dict(found).values(), reverse=True)
        assert each.images == len(found)
        assert images_of(mined, each.where, most=2) == found[:2]


def test_backgrounds_belong_to_false_positives_and_their_lift_is_their_share(dataset, source, mined):
    slices = ranked(mined, FACETS["background"])
    assert {each.where["kind"] for each in slices} == {FALSE_POSITIVE}
    each = slices[0]
    owner, background = each.where["owner"], each.where["background"]
    of_class, everywhere = [], []
    for image_id in dataset.image_ids("train"):
        target = dataset.mask(image_id)
        found = mined.backgrounds.of_pixels(dataset.image(image_id), target)
        everywhere.append(found[found != NO_BACKGROUND])
        if (target == owner).any():
            of_class.append(everywhere[-1])
    shares = [(np.concatenate(pixels) == background).mean() for pixels in (of_class, everywhere)]
    assert each.lift == pytest.approx(shares[0] / shares[1])


def test_a_second_look_reads_no_image(dataset, source, tmp_path, monkeypatch):
    backgrounds = backgrounds_of(dataset, "train", tmp_path / "kept")
    first = mine(dataset, "train", source, fixed(THRESHOLD), backgrounds, cache_dir=tmp_path / "kept")
    monkeypatch.setattr("orandnet_core.mining.miner.errors_of_image", None)
    monkeypatch.setattr("orandnet_core.mining.miner.background_cells", None)
    again = mine(
        dataset, "train", source, fixed(THRESHOLD), backgrounds_of(dataset, "train", tmp_path / "kept"),
        cache_dir=tmp_path / "kept",
    )  # fmt: skip
    for facet in FACETS.values():
        assert [(s.key, s.gains) for s in ranked(first, facet)] == [
            (s.key, s.gains) for s in ranked(again, facet)
        ]


def test_images_whose_masks_chose_the_threshold_are_left_out(dataset, source):
    choice = ThresholdChoice(THRESHOLD, "calibrated", "2 of 7 images", frozenset("01"))
    found = mine(dataset, "train", source, choice, backgrounds_of(dataset, "train"))
    assert (found.card.images, found.card.threshold_rule) == (5, "calibrated")


def test_an_image_that_cannot_be_read_is_listed(dataset, source):
    dataset.mask_path_of("3").unlink()
    backgrounds = backgrounds_of(dataset, "train")
    found = mine(dataset, "train", source, fixed(0.5), backgrounds)
    assert (found.card.images, found.card.skipped) == (6, 1)
    assert "no mask" in found.skipped["3"]
    for image_id in dataset.image_ids("train"):
        dataset.image_path_of(image_id).write_bytes(b"no photo")
    with pytest.raises(DataError, match="none of 7 images could be scored"):
        mine(dataset, "train", source, fixed(0.5), backgrounds)


def test_slices_have_names_and_addresses():
    names = ("cat", "train")
    assert slice_label({"kind": 1, "owner": 2, "background": 1}, names, ("sky", "rail")) == "train · rail"
    assert slice_label({"kind": 1, "owner": 2}, names, ()) == "train · On background"
    assert slice_label({"kind": 3, "target": 1, "predicted": 2}, names, ()) == "cat taken for train"
    assert slice_label({"kind": 6, "size": 1}, names, ()) == "Missed part · object: small (< 2%)"
    assert (
        slice_label({"kind": 5, "shown": 3}, names, ()) == "Missed instance · 3 or more classes in the image"
    )
    where = {"kind": 1, "owner": 19, "background": 3}
    assert where_of(key_of(where)) == where
    for text in ("", "kind", "kind=x", "class=3", "kind=1,owner=2"):
        with pytest.raises(ConfigError, match="expected COLUMN=NUMBER"):
            where_of(text)


def test_only_a_mean_can_rank(mined):
    with pytest.raises(ConfigError, match="'f2'"):
        ranked(mined, FACETS["kind"], "f2")


def test_slices_and_their_images_are_worked_out_once(mined, monkeypatch):
    cut = ranked(mined, FACETS["class"], by="recall")
    images = images_of(mined, cut[0].where)
    metrics = mined.metrics()

    def again(*_):
        raise AssertionError("read twice")

    monkeypatch.setattr(type(mined.shelf), "counts", again)
    assert ranked(mined, FACETS["class"], by="recall") == cut
    assert {each.key for each in ranked(mined, FACETS["class"], by="iou")} == {each.key for each in cut}
    assert images_of(mined, cut[0].where, most=2) == images[:2]
    np.testing.assert_array_equal(mined.metrics().iou, metrics.iou)
    with pytest.raises(AssertionError):
        ranked(mined, FACETS["class"], within={"owner": 2})
