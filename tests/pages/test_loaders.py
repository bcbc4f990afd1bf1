"""What pages read: whole where it is small, reduced where it is large, refused where it does not fit."""

import numpy as np
import pytest

from orandnet_core.errors import StoreError
from orandnet_core.store import CamStore
from pages.components import loaders
from pages.components.selection import DatasetRef, Selection


@pytest.fixture
def selection(workspace) -> Selection:
    run = workspace / "runs" / "sample"
    ref = DatasetRef("scenes", "scenes", workspace / "data" / "scenes")
    return Selection(ref, "train", "sample", run, run / "cams-cnn", run / "cams-vit")


def test_maps_are_what_the_files_hold(selection, sample):
    image_id = sample.image_ids("train")[0]
    maps = loaders.maps_of(selection, image_id)
    assert (maps.photo == sample.image(image_id)).all()
    assert (maps.mask == sample.mask(image_id)).all()
    assert (maps.class_ids == sample.class_ids(image_id)).all()
    for name, shown in (("cnn", maps.cnn), ("vit", maps.vit)):
        stored = CamStore(selection.run_dir / f"cams-{name}").read(image_id)
        assert (shown == stored.full_size()).all()
    with pytest.raises(ValueError, match="read-only"):
        maps.cnn[0, 0, 0] = 1


def test_a_class_that_one_source_lacks_counts_as_nothing_there(selection, sample):
    image_id = next(i for i in sample.image_ids("train") if len(sample.class_ids(i)) == 1)
    store = CamStore(selection.cnn_store)
    stored = store.read(image_id)
    other = 1 if stored.class_ids[0] != 1 else 2
    store.write(image_id, stored.cam, np.array([other]), stored.size_hw)
    maps = loaders.maps_of(selection, image_id)
    assert maps.class_ids.tolist() == sorted([other, int(stored.class_ids[0])])
    missing = maps.class_ids.tolist().index(int(stored.class_ids[0]))
    assert maps.cnn[missing].max() == 0
    assert maps.vit[missing].max() > 0.9
    assert maps.cnn[1 - missing].max() > 0.9


def test_large_images_come_reduced_with_all_that_belongs_to_them(selection, sample, monkeypatch):
    image_id = sample.image_ids("train")[0]
    whole = loaders.maps_of(selection, image_id)
    loaders.maps_of.clear()
    monkeypatch.setattr(loaders, "MAX_SHOWN_PIXELS", whole.mask.size // 4)
    maps = loaders.maps_of(selection, image_id)
    half_hw = whole.mask.shape[0] // 2, whole.mask.shape[1] // 2
    assert maps.photo.shape == (*half_hw, 3)
    assert maps.mask.shape == maps.cnn.shape[1:] == maps.vit.shape[1:] == half_hw
    assert set(np.unique(maps.mask)) <= set(np.unique(whole.mask))
    assert abs(maps.cnn.mean() - whole.cnn.mean()) < 0.01


def test_shown_size_keeps_shape_and_never_grows():
    assert loaders.shown_hw((375, 500)) == (375, 500)
    height, width = loaders.shown_hw((3000, 4000))
    assert height * width <= loaders.MAX_SHOWN_PIXELS
    assert height / width == pytest.approx(0.75, abs=0.002)
    assert loaders.shown_hw((1, 100_000_000))[0] == 1


def test_cams_of_another_image_size_are_refused(selection, sample):
    image_id = sample.image_ids("train")[0]
    store = CamStore(selection.vit_store)
    stored = store.read(image_id)
    store.write(image_id, stored.cam[:, :8, :8], stored.class_ids, (32, 32))
    with pytest.raises(StoreError, match=rf"{image_id}.*\(32, 32\)"):
        loaders.maps_of(selection, image_id)


def test_new_labels_are_seen_in_what_was_read_before(sample, workspace):
    ref = DatasetRef("scenes", "scenes", workspace / "data" / "scenes")
    image_id = sample.image_ids("train")[0]
    _, before, _ = loaders.bare_image(ref, image_id)
    dataset = loaders.open_dataset_cached(ref)
    assert loaders.open_dataset_cached(ref) is dataset
    other = 1 if before.tolist() != [1] else 2
    (ref.root / "labels.csv").write_text(f"image_id,classes\n{image_id},{sample.class_names[other - 1]}\n")
    (ref.root / "cls_labels.npy").unlink(missing_ok=True)
    assert loaders.open_dataset_cached(ref) is not dataset
    _, after, _ = loaders.bare_image(ref, image_id)
    assert after.tolist() == [other]
