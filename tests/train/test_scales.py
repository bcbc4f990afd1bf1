"""Scaled pseudo-masks of whole splits: sums over images, any source of a run, and the table."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orandnet_core.errors import DataError
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.mask_scaling import ScaleCounts, scale_counts
from orandnet_core.mask_store import MaskStore
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.store import CamStore
from train.__main__ import main
from train.config import to_dict
from train.scales import SCALES, count_scales, scale_table, spread


def noisy(squares, image_id):
    """The truth with salt in it."""
    mask = squares.mask(image_id).copy()
    mask[np.random.default_rng(0).random(mask.shape) < 0.05] = 1
    return mask


def test_counts_are_sums_over_the_images_that_can_be_read(squares):
    ids = squares.image_ids("train")
    squares.mask_path_of(ids[2]).unlink()

    def mask_of(image_id):
        if image_id == ids[4]:
            raise DataError("no maps of it")
        return noisy(squares, image_id)

    told = []
    counts, skipped = count_scales(squares, ids, mask_of, report=lambda *done: told.append(done))
    assert set(skipped) == {ids[2], ids[4]}
    assert skipped[ids[4]] == "no maps of it"
    assert told == [(done, len(ids)) for done in range(len(ids))]
    kept = [image_id for image_id in ids if image_id not in skipped]
    parts = [scale_counts(noisy(squares, i), squares.mask(i), 4, SCALES) for i in kept]
    for index, found in enumerate(counts):
        np.testing.assert_array_equal(found.full, sum(part[index].full for part in parts))
        np.testing.assert_array_equal(found.reduced, sum(part[index].reduced for part in parts))


def test_salt_goes_with_majority_and_stays_with_nearest(squares):
    counts, _ = count_scales(squares, squares.image_ids("train"), lambda i: noisy(squares, i))
    precision = {(c.scale, c.how): ScaleCounts.metrics(c.full).mean_precision for c in counts}
    assert precision[0.5, "majority"] > precision[1.0, "majority"] + 0.05
    assert abs(precision[0.5, "nearest"] - precision[1.0, "nearest"]) < 0.05


def test_nothing_to_scale_is_an_error(squares):
    with pytest.raises(DataError, match="none of 0 images"):
        count_scales(squares, [], squares.mask)


def test_the_table_has_a_row_for_each_way_and_scale(squares):
    counts, _ = count_scales(squares, squares.image_ids("train"), lambda i: noisy(squares, i))
    table = scale_table(counts)
    assert table["Scale"] == [1.0, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25]
    assert table["Mask"] == ["as it is", *["nearest", "majority"] * 3]
    assert table["Decided"][0] == 100
    half = next(c for c in counts if (c.scale, c.how) == (0.5, "majority"))
    assert table["Recall"][4] == pytest.approx(100 * ScaleCounts.metrics(half.full).mean_recall)


@given(st.integers(0, 40), st.integers(2, 12))
def test_a_spread_has_both_ends(count: int, most: int):
    ids = [str(index) for index in range(count)]
    chosen = spread(ids, most)
    assert len(chosen) == len(set(chosen)) == min(count, most)
    assert chosen == sorted(chosen, key=int)
    if count:
        assert {chosen[0], chosen[-1]} == {ids[0], ids[-1]}


@pytest.mark.parametrize("source", ["masks", "cnn"])
def test_the_command_prints_the_table_of_any_source(tiny_recipe, squares, tmp_path, capsys, source):
    store, cams = MaskStore(tmp_path / "run" / "masks"), CamStore(tmp_path / "run" / "cams-cnn")
    cams.write_card({"source": "cnn"})
    for image_id in squares.image_ids("train"):
        class_ids = squares.class_ids(image_id)
        cam = np.stack([0.8 * (squares.mask(image_id) == class_id) for class_id in class_ids])
        cams.write(image_id, cam.astype(np.float32), class_ids, cam.shape[1:])
        full = cams.read(image_id).full_size()
        mask = pseudo_mask(full, class_ids, 0.5)
        if source == "masks":
            mask[:3] = IGNORE_INDEX
        store.write(image_id, mask)
    (tmp_path / "recipe.json").write_text(json.dumps(to_dict(tiny_recipe)))
    (squares.root / "classes.txt").write_text("red\ngreen\nblue\n")
    words = ["--recipe", str(tmp_path / "recipe.json"), "--data", str(squares.root)]
    words += ["--run-dir", str(tmp_path / "run"), "--source", source, "--threshold", "0.5", "--images", "5"]
    assert main(["scales", *words]) == 0
    printed = capsys.readouterr().out
    counts, _ = count_scales(squares, spread(squares.image_ids("train"), 5), store.read)
    table = scale_table(counts)
    for scale, how, *scores in zip(*table.values(), strict=True):
        assert f"| {scale:g} | {how} | {' | '.join(f'{score:.2f}' for score in scores)} |" in printed
    assert "5 images of train, 0 passed over" in printed
