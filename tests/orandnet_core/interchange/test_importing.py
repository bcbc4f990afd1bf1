"""Every system's files, written as it writes them, come out as the maps that went in."""

import json

import numpy as np
import pytest
from PIL import Image

from orandnet_core.errors import ConfigError, DataError
from orandnet_core.interchange import MapImport, Reading, coverage, list_maps, recognise_maps
from orandnet_core.store import CamStore, resize_maps, stored_hw
from tests.orandnet_core.interchange import writers
from tests.orandnet_core.interchange.conftest import LABELS

# Writer, format, class order.
RECOGNISED = {
    "IRN": (writers.irn, "keys", "0"),
    "ORANDNet's ID_1.npy": (writers.orandnet, "keys", "0"),
    "CLIP-ES": (writers.clip_es, "keys", "0"),
    "AMN, a map more than keys": (writers.amn_keys, "keys", "0"),
    "AMN, background among the keys": (writers.amn_padded, "keys", "1"),
    "AMN, C + 1 channels": (writers.amn_all, "channels", "all+background"),
    "MCTformer": (writers.mctformer, "classes", "0"),
    "a dict of all classes": (writers.every_key, "classes", "0"),
    "PSA's CRF": (writers.psa_crf, "classes", "1"),
    "CRF of the present classes": (writers.crf_present, "channels", "present+background"),
    "the present classes": (writers.bare_present, "channels", "present"),
    "all classes": (writers.bare_all, "channels", "all"),
    "a batch of one": (writers.batch_of_one, "channels", "all"),
    "channels last": (writers.channels_last, "channels", "all"),
    "npz by name": (writers.npz_names, "classes", "names"),
    "npz with keys": (writers.npz_keys, "keys", "0"),
    "a store of ours": (writers.own_store, "keys", "1"),
    "safetensors": (writers.safetensors_numbers, "classes", "0"),
    "PNGs below the image": (writers.png_below_id, "png", "names"),
    "PNGs below the class": (writers.png_below_class, "png", "1"),
    "PNGs with an ending": (writers.png_by_ending, "png", "0"),
    "bytes": (writers.bytes_of_255, "keys", "0"),
}


def recognised(dataset, root, **answers):
    listing = list_maps(root, LABELS, dataset.class_names)
    return listing, recognise_maps(listing, dataset, answers)


@pytest.mark.parametrize("case", RECOGNISED)
def test_it_is_recognised_and_comes_out_as_it_went_in(case, insects, foreign, true_maps, tmp_path):
    writer, format, order = RECOGNISED[case]
    listing, found = recognised(insects, foreign(writer))
    assert (found.reading.format, found.reading.order) == (format, order)
    assert [str(question) for question in found.questions] == []
    maps = MapImport(listing, insects, found.reading)
    store = CamStore(tmp_path / "cams-x")
    store.write_card(maps.card("x"))
    for image_id, expected in true_maps.items():
        assert not maps.is_written(store, image_id)
        maps.write(store.root, image_id)
        assert maps.is_written(store, image_id)
        stored = store.read(image_id)
        assert stored.class_ids.tolist() == list(LABELS[image_id])
        assert stored.size_hw == expected.shape[1:]
        wanted = resize_maps(expected, stored_hw(expected.shape[1:]))
        np.testing.assert_allclose(stored.cam, wanted, atol=4e-3)
    assert store.card["source"] == "x"
    assert json.loads(json.dumps(store.card["reading"]))["order"] == order


@pytest.mark.parametrize(
    ("writer", "about", "answers"),
    [
        (writers.vit_grid, "fit", {"stretch", "exact"}),
        (writers.transposed, "fit", {"transpose", "stretch"}),
        (writers.logits, "values", {"max", "minmax", "sigmoid"}),
    ],
)
def test_what_is_doubtful_is_asked_and_an_answer_settles_it(insects, foreign, writer, about, answers):
    root = foreign(writer)
    listing, found = recognised(insects, root)
    assert [question.about for question in found.questions] == [about]
    assert set(found.questions[0].answers) == answers
    likeliest = found.questions[0].answers[0]
    assert f"--{about} {likeliest}: " in str(found.questions[0])
    _, settled = recognised(insects, root, **{about: likeliest})
    assert settled.questions == ()
    maps, class_ids, _ = MapImport(listing, insects, settled.reading).maps("b_002")
    assert class_ids.tolist() == [1, 2, 3]
    assert 0 <= maps.min() < 0.01
    assert maps.max() > 0.9


def test_swapped_rows_and_columns_are_put_right(insects, foreign, true_maps):
    listing, found = recognised(insects, foreign(writers.transposed))
    assert found.reading.fit == "transpose"
    maps, _, _ = MapImport(listing, insects, found.reading).maps("b_002")
    np.testing.assert_allclose(maps, true_maps["b_002"], atol=1e-6)


def test_values_by_hand():
    raw = np.array([[[-1.0, 0.0], [1.0, 3.0]]], np.float32)
    expected = {
        "max": [[0, 0], [1 / 3, 1]],
        "minmax": [[0, 0.25], [0.5, 1]],
        "sigmoid": [[0.26894142, 0.5], [0.73105858, 0.95257413]],
    }
    for values, wanted in expected.items():
        np.testing.assert_allclose(_read(raw, values=values)[0], wanted, rtol=1e-5)
    with pytest.raises(DataError, match="values from -1 to 3; scores lie in .*--values"):
        _read(raw)


def _read(raw, **reading):
    from orandnet_core.interchange.raw import RawMaps
    from orandnet_core.interchange.reading import maps_of_labels

    whole = Reading(format="keys", order="0", **reading)
    return maps_of_labels(RawMaps(raw, (0,), ""), whole, np.array([1]), ("ant",), (2, 2), "x")


def test_keys_that_fit_no_labels_are_asked_about(insects, foreign):
    """Classes in an order of the other system's own."""

    def shuffled(root, image_id, maps, class_ids):
        writers.irn(root, image_id, maps, (class_ids + 1) % 4 + 1)

    _, found = recognised(insects, foreign(shuffled))
    assert found.questions[0].about == "order"
    assert "No class order fits the image-level labels" in found.questions[0].why


def test_a_class_order_that_nothing_tells_is_asked_about(insects, foreign):
    """Two maps for every image, of which labels name one at most: keys 1 and 2 are either way."""

    def vague(root, image_id, maps, class_ids):
        if set(class_ids.tolist()) == {3}:
            np.save(root / f"{image_id}.npy", {2: maps[0], 3: maps[0]}, allow_pickle=True)

    root = foreign(vague)
    _, found = recognised(insects, root)
    assert found.questions[0].about == "order"
    assert set(found.questions[0].answers) == {"0", "1"}
    _, settled = recognised(insects, root, order="1")
    assert settled.questions == ()


def test_values_that_are_no_numbers(insects, foreign):
    def spoilt(root, image_id, maps, class_ids):
        maps = maps.copy()
        maps[0, 0, 0] = np.nan
        writers.clip_es(root, image_id, maps, class_ids)

    root = foreign(spoilt)
    listing, found = recognised(insects, root)
    assert [question.about for question in found.questions] == ["nan"]
    with pytest.raises(DataError, match="1 values are no numbers; --nan zero"):
        MapImport(listing, insects, found.reading).maps("a_001")
    _, settled = recognised(insects, root, nan="zero")
    maps, _, _ = MapImport(listing, insects, settled.reading).maps("a_001")
    assert maps[0, 0, 0] == 0


def test_a_class_without_a_map(insects, foreign):
    def lacking(root, image_id, maps, class_ids):
        keep = len(class_ids) if image_id != "b_002" else 2
        writers.irn(root, image_id, maps[:keep], class_ids[:keep])

    root = foreign(lacking)
    listing, found = recognised(insects, root, order="0")
    with pytest.raises(DataError, match="no map of cat; --missing zero"):
        MapImport(listing, insects, found.reading).maps("b_002")
    _, settled = recognised(insects, root, order="0", missing="zero")
    maps, class_ids, _ = MapImport(listing, insects, settled.reading).maps("b_002")
    assert class_ids.tolist() == [1, 2, 3]
    assert maps[2].max() == 0


def test_one_bad_file_is_told_and_the_others_are_read(insects, foreign):
    root = foreign(writers.irn)
    (root / "a_002.npy").write_bytes((root / "a_002.npy").read_bytes()[:300])
    _, found = recognised(insects, root)
    assert list(found.failed) == ["a_002"]
    assert "a_002.npy: refused, it is cut short" in found.failed["a_002"]
    assert found.questions == ()


def test_the_finest_stack_is_taken_and_another_can_be_named(insects, foreign, true_maps):
    root = foreign(writers.irn)
    listing, found = recognised(insects, root)
    assert found.fields == ("high_res", "cam")
    small = recognise_maps(listing, insects, {"field": "cam"})
    maps, _, _ = MapImport(listing, insects, small.reading).maps("a_001")
    assert maps.shape[1:] == stored_hw(true_maps["a_001"].shape[1:])
    with pytest.raises(DataError, match="no stack of maps called 'none'; it has keys, cam, high_res"):
        recognise_maps(listing, insects, {"field": "none"})


def test_coverage_and_files_of_no_image(insects, foreign):
    root = foreign(writers.irn)
    (root / "b_002.npy").rename(root / "stranger.npy")
    np.save(root / "a_001_1.npy", np.zeros(3))
    listing = list_maps(root, LABELS, insects.class_names)
    assert coverage(listing, insects) == {"train": (4, 4), "val": (1, 2)}
    assert listing.passed_over == 2
    assert set(listing.examples) == {"stranger.npy", "a_001_1.npy"}
    assert listing.paths["a_001"][""].name == "a_001.npy"


def test_names_of_images(tmp_path):
    ids = ["COCO_train2014_000000000009", "deep/sea", "2007_000032", "one"]
    for name in ("000000000009.npy", "sea.npy", "x/2007_000032_1.npy", "one.cam.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / name, np.zeros(1))
    listing = list_maps(tmp_path, ids, ("ant",))
    assert set(listing.paths) == set(ids)


def test_pngs_of_classes_with_marks_in_their_names(tmp_path):
    ids, classes = ("2007_000032", "a", "a_b"), ("cat", "potted_plant", "traffic-light", "b_cat")
    names = {
        "2007_000032_potted_plant": ("2007_000032", "potted_plant"),
        "2007_000032_cat": ("2007_000032", "cat"),
        "2007_000032_1": ("2007_000032", "1"),
        "2007_000032-traffic-light": ("2007_000032", "traffic-light"),
        "x/a_traffic-light": ("a", "traffic-light"),
        "a_Potted_Plant": ("a", "Potted_Plant"),
        "a_b_cat": ("a_b", "cat"),  # the longest id goes first
    }
    for name in (*names, "2007_000032_plant", "2007_potted_plant"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (2, 2)).save(tmp_path / f"{name}.png")
    listing = list_maps(tmp_path, ids, classes)
    found = {
        path.relative_to(tmp_path).with_suffix("").as_posix(): (image_id, token)
        for image_id, paths in listing.paths.items()
        for token, path in paths.items()
    }
    assert found == names
    assert listing.passed_over == 2


def test_folders_that_cannot_be_imported(tmp_path, insects):
    with pytest.raises(DataError, match="no such folder"):
        list_maps(tmp_path / "none", LABELS, insects.class_names)
    (tmp_path / "f").mkdir()
    with pytest.raises(DataError, match=r"no \.npy, \.npz, \.safetensors, \.png file in it"):
        list_maps(tmp_path / "f", LABELS, insects.class_names)
    np.save(tmp_path / "f" / "strange.npy", np.zeros(2))
    with pytest.raises(DataError, match="none of its 1 .npy files is called after an image"):
        list_maps(tmp_path / "f", LABELS, insects.class_names)
    np.save(tmp_path / "f" / "a_001.npy", np.zeros(2))
    listing = list_maps(tmp_path / "f", LABELS, insects.class_names)
    with pytest.raises(DataError, match="looked for a dict of maps or a stack"):
        recognise_maps(listing, insects)
    with pytest.raises(ConfigError, match="--values 'loud': choose one of as-is"):
        recognise_maps(listing, insects, {"values": "loud", "format": "channels"})


def test_masks_are_no_probability_maps(insects, tmp_path):
    listing = list_maps(insects.root / "masks", LABELS, insects.class_names)
    palette = Image.open(insects.root / "masks" / "a_001.png").convert("P")
    for path in (insects.root / "masks").iterdir():
        palette.save(path)
    with pytest.raises(DataError, match="a probability map is greyscale"):
        recognise_maps(listing, insects)
