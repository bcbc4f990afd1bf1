import shutil

import numpy as np
import pytest

from orandnet_core import counts_cache
from orandnet_core.counts_cache import DiskShelf, MemoryShelf, StoredCounts
from orandnet_core.errors import DataError, StoreError
from orandnet_core.metrics import ImageCounts, Sweep, bootstrap, image_counts


def block_of(*image_ids: str) -> ImageCounts:
    rng = np.random.default_rng(len(image_ids[0]))
    parts = [
        image_counts(rng.random((1, 4, 4)), np.array([1]), rng.integers(0, 2, (4, 4)), 3, image_id)
        for image_id in image_ids
    ]
    return ImageCounts.merged(parts, 3)


@pytest.fixture(params=["disk", "memory"])
def shelf(request, tmp_path):
    shelf = DiskShelf(tmp_path / "key", ImageCounts, Sweep) if request.param == "disk" else MemoryShelf()
    shelf.put(1, block_of("cc"), {"dd": "no mask"})
    shelf.put(0, block_of("a", "b"), {})
    return shelf


def test_blocks_come_in_order_with_what_was_passed_over(shelf):
    assert [shelf.has(block) for block in (0, 1, 2)] == [True, True, False]
    assert [counts.image_ids for counts in shelf.counts()] == [("a", "b"), ("cc",)]
    assert shelf.skipped() == {"dd": "no mask"}


def test_stored_counts_answer_as_counts_in_memory(shelf):
    stored = StoredCounts(shelf, 3, ("a", "b", "cc"))
    in_memory = ImageCounts.merged([block_of("a", "b"), block_of("cc")], 3)
    for _ in range(2):  # the second time from the total on disk
        np.testing.assert_array_equal(stored.total().levels, in_memory.total().levels)
    selected, expected = stored.select(["cc", "a"]), in_memory.select(["cc", "a"])
    assert selected.image_ids == ("cc", "a")
    np.testing.assert_array_equal(selected.levels, expected.levels)
    with pytest.raises(DataError, match="'z' is not among the 3 images"):
        stored.select(["a", "z"])


def test_counts_know_whether_their_files_are_there(tmp_path, shelf):
    stored = StoredCounts(shelf, 3, ("a", "b", "cc"))
    assert stored.is_there
    shutil.rmtree(tmp_path)
    assert stored.is_there == isinstance(shelf, MemoryShelf)


def test_a_damaged_total_is_added_up_again(tmp_path):
    shelf = DiskShelf(tmp_path, ImageCounts, Sweep)
    shelf.put(0, block_of("a"), {})
    first = shelf.total(Sweep.sum_of)
    (tmp_path / "total.npz").write_bytes(b"torn")
    np.testing.assert_array_equal(shelf.total(Sweep.sum_of).levels, first.levels)


@pytest.mark.parametrize("name", ["00000.npz", "00000.json"])
def test_a_damaged_block_is_removed_to_be_counted_again(tmp_path, name):
    shelf = DiskShelf(tmp_path, ImageCounts, Sweep)
    shelf.put(0, block_of("a"), {})
    (tmp_path / name).write_bytes(b"torn")
    with pytest.raises(StoreError, match="score again"):
        list(shelf.counts()) and shelf.skipped()
    assert not shelf.has(0)


def test_counts_without_some_images_are_those_of_the_others(shelf):
    stored = StoredCounts(shelf, 3, ("a", "b", "cc")).without(["b", "stranger"])
    expected = ImageCounts.merged([block_of("a", "b"), block_of("cc")], 3).select(["a", "cc"])
    assert stored.image_ids == ("a", "cc")
    found = ImageCounts.merged(list(stored.blocks()), 3)
    assert found.image_ids == ("a", "cc")
    np.testing.assert_array_equal(found.levels, expected.levels)
    np.testing.assert_array_equal(stored.total().metrics.target, expected.total().metrics.target)
    np.testing.assert_array_equal(stored.total().metrics.iou, expected.total().metrics.iou)
    np.testing.assert_array_equal(stored.bootstrap().iou, bootstrap(expected).iou)
    assert stored.without(["cc"]).image_ids == ("a",)


def test_what_is_worked_out_is_made_once_and_kept(shelf, monkeypatch):
    stored = StoredCounts(shelf, 3, ("a", "b", "cc"))
    first, images, traits = stored.bootstrap(), stored.per_image(0.25), stored.image_traits()

    def again(*_):
        raise AssertionError("made twice")

    for name in ("bootstrap", "per_image", "image_traits"):
        monkeypatch.setattr(counts_cache, name, again)
    np.testing.assert_array_equal(stored.bootstrap().iou, first.iou)
    assert stored.bootstrap().image_ids == ("a", "b", "cc")
    np.testing.assert_array_equal(stored.per_image(0.25).iou, images.iou)
    np.testing.assert_array_equal(stored.image_traits().shown, traits.shown)
    np.testing.assert_array_equal(stored.image_traits().best_thresholds, traits.best_thresholds)
    for other in (lambda: stored.without(["a"]).bootstrap(), lambda: stored.per_image(0.5)):
        with pytest.raises(AssertionError):
            other()
