"""CAM files: what is written comes back, what is damaged is named, and nothing lists folders."""

import io
import json
import multiprocessing
import os
import pickle
import shutil
import threading
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orandnet_core.errors import RangeError, ShapeError, StoreError
from orandnet_core.store import CamStore, resize_maps, stored_hw

CARD = {"source": "cnn", "dataset": "scenes"}


def make_cam(class_count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((class_count, height, width), np.float32)


@pytest.fixture
def store(tmp_path: Path) -> CamStore:
    store = CamStore(tmp_path / "cams-cnn")
    store.write_card(CARD)
    return store


@settings(max_examples=30, deadline=None)
@given(
    class_ids=st.sets(st.integers(1, 80), max_size=4),
    height=st.integers(1, 41),
    width=st.integers(1, 41),
)
def test_round_trip(tmp_path_factory, class_ids, height, width):
    store = CamStore(tmp_path_factory.mktemp("store"))
    cam = make_cam(len(class_ids), *stored_hw((height, width)))
    store.write("a", cam, np.array(sorted(class_ids), np.int64), (height, width))
    stored = store.read("a")
    np.testing.assert_array_equal(stored.cam, cam.astype(np.float16).astype(np.float32))
    assert stored.class_ids.tolist() == sorted(class_ids)
    assert stored.class_ids.dtype == np.int64
    assert stored.size_hw == (height, width)
    full = stored.full_size()
    assert full.shape == (len(class_ids), height, width)
    assert full.dtype == np.float32


def test_full_size_is_torchs_bilinear(store):
    torch = pytest.importorskip("torch")
    cam = make_cam(2, 12, 9)
    store.write("a", cam, np.array([1, 5]), (46, 35))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(cam.astype(np.float16).astype(np.float32))[None],
        (46, 35), mode="bilinear", align_corners=False,
    )[0].numpy()  # fmt: skip
    np.testing.assert_allclose(store.read("a").full_size(), expected, atol=1e-5)


def test_a_full_size_map_is_averaged_down(store):
    cam = make_cam(1, 8, 12)
    store.write("a", cam, np.array([3]), (8, 12))
    expected = cam.reshape(1, 2, 4, 3, 4).mean((2, 4))
    np.testing.assert_allclose(store.read("a").cam, expected, atol=1e-3)


@pytest.mark.parametrize("size_hw", [(50, 112), (100, 112), (50, 28), (25, 200)])
def test_each_side_is_resized_by_its_own_rule(size_hw):
    """Along a side that grows a ramp stays one, along one that shrinks neighbours are averaged."""
    ramp = np.linspace(0, 1, 28, dtype=np.float32)
    rows = np.random.default_rng(0).random(100, dtype=np.float32)
    height, width = size_hw
    averaged = rows.reshape(height, -1).mean(1)
    centres = (np.arange(width) + 0.5) * 28 / width - 0.5
    enlarged = np.interp(centres, np.arange(28), ramp)
    found = resize_maps((rows[:, None] * ramp)[None], size_hw)
    np.testing.assert_allclose(found[0], averaged[:, None] * enlarged, atol=1e-5)
    turned = resize_maps((rows[:, None] * ramp).T[None], (width, height))
    np.testing.assert_allclose(turned[0], found[0].T, atol=1e-5)


@pytest.mark.parametrize(("size_hw", "rule"), [((94, 125), cv2.INTER_LINEAR), ((31, 99), cv2.INTER_AREA)])
def test_resizing_one_way_is_opencvs_to_the_bit(size_hw, rule):
    cam = make_cam(2, 94, 125)[:, ::2, ::2] if rule == cv2.INTER_LINEAR else make_cam(2, 94, 125)
    expected = [cv2.resize(np.ascontiguousarray(each), size_hw[::-1], interpolation=rule) for each in cam]
    np.testing.assert_array_equal(resize_maps(cam, size_hw), expected)


def test_resizing_to_the_same_size_gives_another_array():
    cam = make_cam(1, 6, 7)
    same = resize_maps(cam, (6, 7))
    np.testing.assert_array_equal(same, cam)
    assert not np.shares_memory(same, cam)


def test_resize_keeps_a_constant():
    np.testing.assert_allclose(resize_maps(np.full((3, 7, 5), 0.25, np.float32), (19, 4)), 0.25, atol=1e-6)


@pytest.mark.parametrize(
    ("cam", "class_ids", "size_hw", "error", "words"),
    [
        (make_cam(1, 3, 3), [1], (40, 40), ShapeError, "(1, 10, 10)"),
        (make_cam(2, 10, 10), [1], (40, 40), ShapeError, "1 classes"),
        (make_cam(1, 10, 10)[0], [1], (40, 40), ShapeError, "(10, 10)"),
        (make_cam(1, 10, 10), [[1]], (40, 40), ShapeError, "class_ids"),
        (make_cam(1, 10, 10), [1.5], (40, 40), ShapeError, "float64"),
        (make_cam(1, 10, 10), [0], (40, 40), RangeError, "[0]"),
        (make_cam(2, 10, 10), [2, 1], (40, 40), RangeError, "ascend"),
        (make_cam(2, 10, 10), [2, 2], (40, 40), RangeError, "ascend"),
        (make_cam(1, 10, 10) + 0.5, [1], (40, 40), RangeError, "[0, 1]"),
        (make_cam(1, 10, 10) - 0.5, [1], (40, 40), RangeError, "[0, 1]"),
        (np.full((1, 10, 10), np.nan), [1], (40, 40), RangeError, "nan"),
        (np.full((1, 10, 10), np.inf), [1], (40, 40), RangeError, "inf"),
        (make_cam(1, 10, 10), [1], (0, 40), RangeError, "size_hw"),
        (make_cam(1, 10, 10), range(1, 60_001), (10_000, 10_000), RangeError, "fewer classes"),
    ],
)
def test_what_does_not_fit_is_not_written(store, cam, class_ids, size_hw, error, words):
    with pytest.raises(error) as caught:
        store.write("a", cam, np.array(class_ids), size_hw)
    assert words in str(caught.value)
    assert "a" not in store
    assert len(store) == 0


def npz_bytes(**arrays: np.ndarray) -> bytes:
    good = {
        "cam": make_cam(2, 10, 10).astype(np.float16),
        "class_ids": np.array([1, 2], np.int64),
        "size_hw": np.array([40, 40], np.int64),
    }
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, **{name: value for name, value in (good | arrays).items() if value is not None}
    )
    return buffer.getvalue()


def bomb_bytes() -> bytes:
    """A header that claims a terabyte over a few bytes of data."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "<f2", "fortran_order": False, "shape": (2, 10**6, 10**6)}
    )
    return replaced_member("cam.npy", content.getvalue() + b"\0" * 64)


def long_member_bytes() -> bytes:
    """Zeros that unpack to far more than the CAM may be."""
    return replaced_member("cam.npy", b"\0" * 20_000_000)


def replaced_member(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(npz_bytes())) as good,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as damaged,
    ):
        for member in good.namelist():
            damaged.writestr(member, content if member == name else good.read(member))
    return buffer.getvalue()


def recompressed_bytes() -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(npz_bytes())) as good,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as other,
    ):
        for member in good.namelist():
            other.writestr(member, good.read(member))
    return buffer.getvalue()


def object_bytes() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}, [1]], object), allow_pickle=True)
    return replaced_member("cam.npy", buffer.getvalue())


def flipped_bytes() -> bytes:
    content = bytearray(npz_bytes())
    content[120] ^= 0xFF
    return bytes(content)


HOSTILE = {
    "empty": b"",
    "text": b"this is no zip",
    "truncated": npz_bytes()[:-40],
    "a bit flipped": flipped_bytes(),
    "pickle": pickle.dumps({"cam": 1}),
    "object array": object_bytes(),
    "header bomb": bomb_bytes(),
    "zip bomb": long_member_bytes(),
    "not an array": replaced_member("cam.npy", b"no magic"),
    "header is code": replaced_member("cam.npy", b"\x93NUMPY\x01\x00\x10\x00__import__('os')"),
    "another compression": recompressed_bytes(),
    "many classes of a large image": npz_bytes(
        class_ids=np.arange(1, 60_001), size_hw=np.array([10_000, 10_000])
    ),
    "member missing": npz_bytes(cam=None),
    "another type": npz_bytes(cam=make_cam(2, 10, 10)),
    "another shape": npz_bytes(cam=make_cam(2, 11, 10).astype(np.float16)),
    "fortran order": npz_bytes(cam=np.asfortranarray(make_cam(2, 10, 10).astype(np.float16))),
    "not a number": npz_bytes(cam=np.full((2, 10, 10), np.nan, np.float16)),
    "too large": npz_bytes(cam=np.full((2, 10, 10), 1.5, np.float16)),
    "ids out of order": npz_bytes(class_ids=np.array([2, 1])),
    "negative size": npz_bytes(size_hw=np.array([-40, -40])),
    "huge size": npz_bytes(size_hw=np.array([2**40, 2**40])),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_damaged_file_is_named_and_made_anew(store, content):
    store.write("a", make_cam(2, 10, 10), np.array([1, 2]), (40, 40))
    (path,) = store.root.glob("??/*.npz")
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        store.read("a")
    assert str(path) in str(caught.value)
    assert not store.validates("a")
    store.write("a", make_cam(2, 10, 10), np.array([1, 2]), (40, 40))
    assert store.validates("a", np.array([1, 2]))


def test_the_good_file_of_the_hostile_ones_is_good(store):
    store.write("a", make_cam(2, 10, 10), np.array([1, 2]), (40, 40))
    (path,) = store.root.glob("??/*.npz")
    path.write_bytes(npz_bytes())
    assert store.read("a").cam.shape == (2, 10, 10)


def test_validates_asks_for_the_classes(store):
    store.write("a", make_cam(1, 10, 10), np.array([4]), (40, 40))
    assert store.validates("a")
    assert store.validates("a", np.array([4]))
    assert not store.validates("a", np.array([4, 5]))
    assert not store.validates("b")


def test_what_is_not_there(store, tmp_path):
    with pytest.raises(StoreError, match="no CAM of 'b'"):
        store.read("b")
    with pytest.raises(StoreError, match="no CAM store"):
        _ = CamStore(tmp_path / "nowhere").card
    assert len(CamStore(tmp_path / "nowhere")) == 0
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe"])
def test_a_damaged_card_is_named(store, content):
    (store.root / "card.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"card\.json"):
        _ = store.card


@pytest.mark.parametrize(
    "image_id",
    ["2007_000032", "a/b/c", "../../up", "..", ".", "tab\there", "100%", "%2F", "nul\0", "고양이 1", "C:\\x"],
)
def test_any_id_stays_inside_the_store(store, image_id):
    store.write(image_id, make_cam(1, 10, 10), np.array([1]), (40, 40))
    assert store.image_ids() == (image_id,)
    assert CamStore(store.root).validates(image_id)
    (path,) = store.root.parent.rglob("*.npz")
    assert path.parent.parent == store.root
    assert store.rebuild_index() == []
    assert store.image_ids() == (image_id,)


@pytest.mark.parametrize("image_id", ["", "x" * 300])
def test_an_id_that_makes_no_file_name(store, image_id):
    with pytest.raises(StoreError, match="file name"):
        store.write(image_id, make_cam(1, 10, 10), np.array([1]), (40, 40))


def test_a_write_that_fails_leaves_nothing(store, monkeypatch):
    store.write("a", make_cam(1, 10, 10), np.array([1]), (40, 40))
    before = sorted(path for path in store.root.rglob("*"))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match="No space left"):
        store.write("a", make_cam(1, 10, 10, seed=1), np.array([2]), (40, 40))
    assert sorted(path for path in store.root.rglob("*")) == before
    assert store.validates("a", np.array([1]))


def test_another_process_images_appear(store):
    assert len(store) == 0
    other = CamStore(store.root)
    other.write("b", make_cam(1, 10, 10), np.array([1]), (40, 40))
    assert "b" in store
    other.write("a", make_cam(1, 10, 10), np.array([1]), (40, 40))
    assert store.image_ids() == ("a", "b")


def test_the_fingerprint_follows_content_and_card_only(store):
    first = store.fingerprint
    store.write("a", make_cam(1, 10, 10), np.array([1]), (40, 40))
    store.write("b", make_cam(1, 10, 10), np.array([1]), (40, 40))
    second = store.fingerprint
    store.write("a", make_cam(1, 10, 10), np.array([1]), (40, 40))
    again = CamStore(store.root.with_name("again"))
    again.write_card(CARD)
    for image_id in ("b", "a"):
        again.write(image_id, make_cam(1, 10, 10), np.array([1]), (40, 40))
    assert first != second == store.fingerprint == again.fingerprint
    store.write("a", make_cam(1, 10, 10, seed=1), np.array([1]), (40, 40))
    third = store.fingerprint
    store.write_card(CARD | {"method": "gradcam"})
    assert len({first, second, third, store.fingerprint}) == 4


def test_the_fingerprint_of_some_images_follows_these_alone(store):
    nothing = store.fingerprint_of(["a", "b"])
    for image_id in ("a", "b"):
        store.write(image_id, make_cam(1, 10, 10), np.array([1]), (40, 40))
    first = store.fingerprint_of(["a", "b"])
    store.write("c", make_cam(1, 10, 10), np.array([1]), (40, 40))
    store.write_card(CARD | {"method": "gradcam"})
    assert nothing != first == store.fingerprint_of(["b", "a"])
    assert first != store.fingerprint_of(["a", "c"])
    store.write("a", make_cam(1, 10, 10, seed=1), np.array([1]), (40, 40))
    assert first != store.fingerprint_of(["a", "b"])


@pytest.mark.parametrize("images", ["ab", "abc", "a"])
def test_a_store_that_was_made_anew_is_read_anew(store, images):
    """On many disks its index gets the inode of the old one, and may get its length."""

    def fill(image_ids: str, seed: int) -> None:
        other = CamStore(store.root)
        other.write_card(CARD)
        for image_id in image_ids:
            other.write(image_id, make_cam(1, 10, 10, seed=seed), np.array([1]), (40, 40))

    fill("ab", seed=0)
    before = store.fingerprint
    shutil.rmtree(store.root)
    fill(images, seed=1)
    assert before != store.fingerprint == CamStore(store.root).fingerprint
    assert store.image_ids() == tuple(images)


def test_a_torn_line_spoils_no_other(store):
    store.write("a", make_cam(1, 10, 10), np.array([1]), (40, 40))
    index = store.root / "index.txt"
    with index.open("ab") as file:
        file.write(b"\n0123456789ab\thalf a na")
    assert store.image_ids() == ("a",)
    store.write("b", make_cam(1, 10, 10), np.array([1]), (40, 40))
    assert {"a", "b"} <= set(store.image_ids())
    index.write_bytes(index.read_bytes()[:-3])
    assert "a" in CamStore(store.root)


def test_a_lost_index_is_rebuilt(store):
    for number in range(5):
        store.write(f"image {number}", make_cam(1, 10, 10), np.array([1]), (40, 40))
    before, fingerprint = store.image_ids(), store.fingerprint
    (store.root / "index.txt").unlink()
    assert len(store) == 0
    damaged = next(store.root.glob("??/image 3.npz"))
    assert store.rebuild_index() == []
    assert (store.image_ids(), store.fingerprint) == (before, fingerprint)
    damaged.write_bytes(b"")
    (message,) = store.rebuild_index()
    assert str(damaged) in message
    assert "image 3" not in store
    assert len(store) == 4


def fill_shard(root: str, shard: int) -> None:
    store = CamStore(root)
    for number in range(40):
        store.write(f"{shard}-{number}", make_cam(1, 3, 3, seed=number), np.array([1]), (12, 12))
        store.write("shared", make_cam(1, 3, 3), np.array([1]), (12, 12))


def test_shards_fill_one_store_together(store):
    context = multiprocessing.get_context("spawn")
    shards = [context.Process(target=fill_shard, args=(str(store.root), shard)) for shard in range(2)]
    threads = [threading.Thread(target=fill_shard, args=(str(store.root), shard)) for shard in (2, 3)]
    for worker in (*shards, *threads):
        worker.start()
    for worker in (*shards, *threads):
        worker.join(60)
    assert [shard.exitcode for shard in shards] == [0, 0]
    assert len(store) == 161
    assert all(store.validates(image_id) for image_id in store.image_ids())
    assert list(store.root.rglob("*.part")) == []


def test_hundred_thousand_images_without_listing_folders(store, monkeypatch):
    with (store.root / "index.txt").open("w") as file:
        file.writelines(f"\n0123456789ab\t{number:06d}\n" for number in range(100_000))
    for listing in ("listdir", "scandir", "walk"):
        monkeypatch.delattr(os, listing)
    began_s = time.perf_counter()
    assert len(store) == 100_000
    assert "099999" in store
    assert "100000" not in store
    assert store.image_ids()[:2] == ("000000", "000001")
    first_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    assert all(f"{number:06d}" in store for number in range(1000))
    assert len(store.fingerprint) == 12
    assert first_s < 5
    assert time.perf_counter() - began_s < 5


def test_the_index_is_read_once(store, monkeypatch):
    store.write("a", make_cam(1, 10, 10), np.array([1]), (40, 40))
    assert "a" in store
    monkeypatch.delattr(Path, "open")
    assert "a" in store
    assert len(store) == 1


def test_the_card_comes_back(store):
    assert store.card == CARD
    assert json.loads((store.root / "card.json").read_text()) == CARD
