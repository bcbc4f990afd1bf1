"""The sample: the same for the same seed, exact, varied, and written whole or not at all."""

import hashlib
import json
import threading

import numpy as np
import pytest
from PIL import Image

from orandnet_core.datasets import scenes, voc12
from orandnet_core.datasets.check import check
from orandnet_core.errors import DataError, RangeError
from orandnet_core.labels import voc_palette
from orandnet_core.scenes import SCENE_CLASSES, draw, draw_scene, is_sample, make_scenes, write
from orandnet_core.scenes.canvas import Canvas
from orandnet_core.scenes.light import LIGHT_WEIGHTS, LIGHTS, SEASON_WEIGHTS, SEASONS
from orandnet_core.scenes.pen import Pen
from orandnet_core.scenes.settings import DRAWN_BY, ROUND


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp("sample") / "scenes", images=32, seed=3)


def contents(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_a_scene_depends_on_seed_and_number_alone():
    image, mask = draw_scene(5, 2)
    again, mask_again = draw_scene(5, 2)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(mask, mask_again)
    assert not all(np.array_equal(image, draw_scene(*other)[0]) for other in ((5, 3), (6, 2)))


def test_scenes_have_the_size_and_labels_that_they_should(sample):
    dataset = scenes(sample)
    for image_id in dataset.image_ids("val"):
        image, mask = dataset.image(image_id), dataset.mask(image_id)
        assert image.shape[:2] == mask.shape
        assert 224 <= image.shape[0] <= 240
        assert 288 <= image.shape[1] <= 336
        assert mask.max() <= len(SCENE_CLASSES)
        pixels = np.bincount(mask.ravel())[1:]
        assert pixels[pixels > 0].min() >= 100
        assert image.std() > 15


def test_the_sample_passes_its_own_check(sample):
    report = check(scenes(sample))
    assert len(report.problems) == 0, list(report.problems)
    assert [(split.name, split.images, split.masks) for split in report.splits] == [
        ("train", 24, 24),
        ("val", 8, 8),
    ]


def test_every_class_is_there_and_many_images_have_several(sample):
    dataset = scenes(sample)
    rows = np.stack(list(dataset.image_labels_by_id.values()))
    assert dataset.class_names == SCENE_CLASSES
    assert len(SCENE_CLASSES) >= 6
    assert (rows.sum(0) >= 2).all()
    assert (rows.sum(0) <= len(rows) / 2).all()
    assert (rows.sum(1) >= 1).all()
    assert (rows.sum(1) >= 2).mean() > 0.4


def test_labels_in_the_table_are_those_of_the_masks(sample):
    from_table = voc12(sample)
    assert (sample / "labels.csv").is_file()
    for image_id in from_table.image_ids("val"):
        shown = np.setdiff1d(np.unique(from_table.mask(image_id)), [0])
        np.testing.assert_array_equal(from_table.class_ids(image_id), shown)


def test_backgrounds_go_with_classes(sample):
    """Boats lie on what is bluer or darker than where sheep stand: the co-occurrence that CAMs fall for."""
    dataset = scenes(sample)
    around = {"boat": [], "sheep": []}
    for image_id in dataset.image_labels_by_id:
        image, mask = dataset.image(image_id).astype(float), dataset.mask(image_id)
        low = image[int(0.85 * len(image)) :][mask[int(0.85 * len(image)) :] == 0]
        for name in around:
            if dataset.image_labels(image_id)[SCENE_CLASSES.index(name)]:
                around[name].append(low[:, 2].mean() - low[:, 0].mean())
    assert np.mean(around["boat"]) > np.mean(around["sheep"]) + 10


def test_files_are_as_voc_has_them(sample):
    image_id = scenes(sample).image_ids("val")[0]
    with Image.open(sample / "SegmentationClass" / f"{image_id}.png") as mask:
        assert mask.mode == "P"
        stored = np.array(mask.getpalette(), np.uint8).reshape(-1, 3)
    np.testing.assert_array_equal(stored, voc_palette()[: len(stored)])
    with Image.open(sample / "JPEGImages" / f"{image_id}.jpg") as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
    assert (sample / "classes.txt").read_text().split() == list(SCENE_CLASSES)
    assert json.loads((sample / "scenes.json").read_text()) == {
        "images": 32, "seed": 3, "classes": list(SCENE_CLASSES),
    }  # fmt: skip


def test_a_larger_sample_begins_with_the_smaller(sample, tmp_path):
    few = contents(make_scenes(tmp_path / "few", images=4, seed=3))
    all_of_it = contents(sample)
    assert {name: few[name] for name in few if name.endswith((".jpg", ".png"))}.items() <= all_of_it.items()


def test_processes_draw_the_same(tmp_path):
    told = []
    one = make_scenes(tmp_path / "one", images=4, seed=1, progress=lambda *counts: told.append(counts))
    two = make_scenes(tmp_path / "two", images=4, seed=1, workers=2)
    assert contents(one) == contents(two)
    assert told == [(number, 4) for number in range(1, 5)]


def test_a_sample_that_is_there_is_kept(sample):
    before = contents(sample)
    make_scenes(sample, images=32, seed=3, progress=lambda *_: pytest.fail("drawn again"))
    scenes(sample, images=99, seed=9, progress=lambda *_: pytest.fail("drawn again"))
    assert contents(sample) == before


def test_another_sample_is_not_written_over(sample, tmp_path):
    with pytest.raises(DataError, match="holds something else than this sample"):
        make_scenes(sample, images=32, seed=4)
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(DataError, match="holds something else"):
        scenes(tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"


@pytest.fixture
def blank_scenes(monkeypatch):
    """Where only the files matter, nothing needs to be drawn."""
    blank = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), np.uint8)
    monkeypatch.setattr(write, "draw_scene", lambda seed, number: blank)


def test_an_interruption_leaves_nothing_behind(tmp_path, blank_scenes):
    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_scenes(tmp_path / "scenes", images=6, progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    assert not is_sample(tmp_path / "scenes")


def test_two_at_once_both_end_with_the_sample(tmp_path, blank_scenes):
    meet = threading.Barrier(2)
    failures = []

    def make():
        try:
            make_scenes(
                tmp_path / "scenes", images=4, progress=lambda done, total: done == 4 and meet.wait(10)
            )
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]


@pytest.mark.parametrize(("images", "seed"), [(3, 0), (100_001, 0), (8, -1)])
def test_senseless_arguments(tmp_path, images, seed):
    with pytest.raises(RangeError, match="choose"):
        make_scenes(tmp_path / "scenes", images=images, seed=seed)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="the sample cannot be written"):
        make_scenes(tmp_path / "file" / "scenes", images=4)


def test_every_object_can_be_drawn_in_every_light():
    """Each class alone on a bare canvas: a mask of some size, within reach of where it stands."""
    for light in LIGHTS.values():
        for label, draw_object in enumerate(DRAWN_BY.values(), start=1):
            rng = np.random.default_rng(label)
            canvas = Canvas(160, 120, rng)
            draw_object(Pen(canvas=canvas, light=light, at=(0.66, 0.8), size=0.3, label=label), rng)
            mask = canvas.finish()[1]
            assert set(np.unique(mask)) == {0, label}
            assert 150 < (mask == label).sum() < 9000


def test_a_round_has_every_setting_and_rounds_differ(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        draw, "_draw", lambda setting, rng: drawn.append(setting) or (None, np.full((20, 20), 1))
    )
    for number in range(2 * len(ROUND)):
        draw.draw_scene(0, number)
    first, second = drawn[: len(ROUND)], drawn[len(ROUND) :]
    assert sorted(map(repr, first)) == sorted(map(repr, second)) == sorted(map(repr, ROUND))
    assert first != second


def test_weights_are_probabilities():
    assert sum(LIGHT_WEIGHTS) == pytest.approx(1)
    assert sum(SEASON_WEIGHTS) == pytest.approx(1)
    assert (len(LIGHTS), len(SEASONS)) == (len(LIGHT_WEIGHTS), len(SEASON_WEIGHTS))
