"""What later stages read: stores and fusions by name, checked, and the same in another process."""

import pickle

import numpy as np
import pytest

from orandnet_core.errors import ConfigError, DataError
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.store import CamStore
from tests.train.maps import make_store
from train.config import override
from train.sources import open_source, stages_read
from train.workspace import cams_dir


@pytest.fixture
def run_dir(tmp_path, squares):
    for source, blur_px in (("cnn", 3.0), ("vit", 2.0), ("amn", 1.0)):
        make_store(tmp_path / "run", squares, source, blur_px)
    return tmp_path / "run"


def both(run_dir, image_id):
    return (CamStore(cams_dir(run_dir, source)).read(image_id).full_size() for source in ("cnn", "vit"))


@pytest.mark.parametrize("name", ["cnn", "vit", "amn"])
def test_a_store_is_read_at_full_size(tiny_recipe, squares, run_dir, name):
    image_id = squares.image_ids("val")[0]
    cam = open_source(name, tiny_recipe, run_dir).read(image_id, squares.class_ids(image_id))
    np.testing.assert_array_equal(cam, CamStore(cams_dir(run_dir, name)).read(image_id).full_size())
    assert cam.shape[1:] == squares.mask(image_id).shape


@pytest.mark.parametrize(("name", "rule"), [("or", "or"), ("mean", "mean"), ("fusion", "geometric_mean")])
def test_a_fusion_is_that_of_both_networks_with_the_recipes_knobs(tiny_recipe, squares, run_dir, name, rule):
    recipe = override(tiny_recipe, {"fusion.rule": "geometric_mean", "fusion.gamma_vit": 0.5})
    image_id = squares.image_ids("train")[1]
    source = open_source(name, recipe, run_dir)
    expected = fuse(*both(run_dir, image_id), Fusion(rule, gamma_vit=0.5))
    for each in (source, pickle.loads(pickle.dumps(source))):
        np.testing.assert_array_equal(each.read(image_id, squares.class_ids(image_id)), expected)


def test_who_has_maps_in_the_order_asked_for(tiny_recipe, squares, run_dir):
    first, second, third, *_ = squares.image_ids("val")
    for name in ("amn", "and"):
        source = open_source(name, tiny_recipe, run_dir)
        assert source.having([third, "unknown", first, second]) == (third, first, second)
        with pytest.raises(DataError, match=r"none of 2 images"):
            source.having(["unknown", "other"])


def test_what_made_the_maps_is_known_by_the_cards_and_not_by_the_images(tiny_recipe, squares, run_dir):
    names = ("cnn", "vit", "amn", "and", "or")
    before = {name: open_source(name, tiny_recipe, run_dir).made_by() for name in names}
    assert len(set(before.values())) == len(names)
    store = CamStore(cams_dir(run_dir, "cnn"))
    store.write("new", np.ones((1, 8, 8)), np.array([1]), (8, 8))
    store.write_card(store.card | {"splits": {"val": "changed"}})
    assert {name: open_source(name, tiny_recipe, run_dir).made_by() for name in names} == before
    store.write_card(store.card | {"weights_sha256": "other"})
    after = {name: open_source(name, tiny_recipe, run_dir).made_by() for name in names}
    assert {name for name in names if after[name] != before[name]} == {"cnn", "and", "or"}
    sharper = override(tiny_recipe, {"fusion.gamma_cnn": 2.0})
    assert open_source("and", sharper, run_dir).made_by() != after["and"]


def test_maps_of_other_classes_or_damaged_ones_are_a_failed_image(tiny_recipe, squares, run_dir):
    image_id = squares.image_ids("val")[0]
    source = open_source("cnn", tiny_recipe, run_dir)
    with pytest.raises(DataError, match=r"maps of classes \[.*its labels name \[9\]"):
        source.read(image_id, np.array([9]))
    for path in source.run_dir.glob("cams-cnn/??/*.npz"):
        path.write_bytes(path.read_bytes()[:-9])
    for name in ("cnn", "and"):
        with pytest.raises(DataError, match="damaged"):
            open_source(name, tiny_recipe, run_dir).read(image_id, squares.class_ids(image_id))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "refine",
            "has CAMs of amn, cnn, not of 'refine': make them with `python -m train refine`, or",
        ),
        ("and", "not of 'vit': make them with `python -m train cams`"),
        ("cnnn", "not of 'cnnn': choose another, such as a fusion of cnn and vit: fusion, mean, or, and"),
    ],
)
def test_a_source_that_is_not_there(tiny_recipe, run_dir, name, words):
    (run_dir / "cams-vit" / "card.json").unlink()
    with pytest.raises(ConfigError, match=words):
        open_source(name, tiny_recipe, run_dir)


def test_the_stages_that_a_source_is_made_by():
    assert stages_read("refine") == ("refine",)
    assert stages_read("vit") == ("cams-vit",)
    assert stages_read("fusion") == stages_read("or") == ("cams-cnn", "cams-vit")
    assert stages_read("amn") == ()
