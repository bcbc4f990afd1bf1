"""The Inspect page as the app runs it, without a browser."""

from itertools import pairwise

import pytest

from orandnet_core.fusion import RULES, Fusion, fuse
from orandnet_core.mask_store import MaskStore
from orandnet_core.metrics import image_counts, per_image
from orandnet_core.store import CamStore
from pages.components import picker
from tests.pages.in_viewer import catch_viewer
from tests.pages.opening import address
from tests.pages.workspace import make_outputs


@pytest.fixture
def shown(monkeypatch):
    """What the viewer was last given."""
    return catch_viewer(monkeypatch, "components.panes")


def ids_of(sample, split="train"):
    return sample.image_ids(split)


def test_first_screen_shows_the_first_image_with_cams_of_both_networks(app, sample, shown, workspace):
    app.run()
    assert not app.exception
    first = ids_of(sample)[0]
    assert app.text_input("image").value == first
    assert list(shown.sources) == ["cnn", "vit"]
    assert (shown["photo"] == sample.image(first)).all()
    assert (shown.scene.truth == sample.mask(first)).all()
    stored = CamStore(workspace / "runs" / "sample" / "cams-cnn").read(first)
    assert (shown.sources["cnn"].cam == stored.full_size()).all()
    assert shown.scene.class_ids.tolist() == stored.class_ids.tolist()
    assert shown.sources["cnn"].subtitle == "net-cnn · cam"
    assert shown["live"].usual == ["photo", "cnn", "vit", "or", "and", "fused", "mask", "truth", "errors"]


def test_next_and_previous_step_through_the_split(app, sample, shown):
    ids = ids_of(sample)
    app.run()
    assert app.button("step_left").disabled
    app.button("step_right").click().run()
    assert app.text_input("image").value == ids[1]
    assert (shown["photo"] == sample.image(ids[1])).all()
    app.button("step_left").click().run()
    assert app.text_input("image").value == ids[0]


def test_a_link_opens_the_image_that_it_names(app, sample, shown):
    ids = ids_of(sample, "val")
    app.query_params["split"] = "val"
    app.query_params["image"] = ids[1]
    app.run()
    assert not app.exception
    assert (shown["photo"] == sample.image(ids[1])).all()
    assert any(caption.value.startswith("2 of ") for caption in app.caption)


def test_a_link_to_what_is_not_there_opens_the_first_image(app, sample, shown):
    app.query_params["image"] = "no such image"
    app.query_params["split"] = "nor split"
    app.run()
    assert not app.exception
    assert (shown["photo"] == sample.image(ids_of(sample)[0])).all()
    assert app.text_input("image").value == ids_of(sample)[0]
    assert "no such image" in app.toast[0].value


def test_a_setting_let_go_is_kept_and_shared_by_the_address(app, sample, shown):
    app.run()
    assert (shown.setting["rule"], shown.setting["t"], shown.setting["class"]) == ("and", 77 / 256, 0)
    assert not {"threshold", "mask", "show"} & set(address(app))
    app.session_state["threshold"], app.session_state["mask"] = 0.75, "max"
    app.run()
    assert (shown.setting["rule"], shown.setting["t"]) == ("max", 0.75)
    assert address(app)["threshold"] == "0.75"
    assert address(app)["mask"] == RULES["max"].label
    app.button("step_right").click().run()
    assert (shown.setting["rule"], shown.setting["t"]) == ("max", 0.75)


def test_a_link_opens_the_setting_that_it_names(app, sample, shown):
    first = ids_of(sample)[0]
    name = sample.class_names[sample.class_ids(first)[0] - 1]
    app.query_params["threshold"], app.query_params["mask"] = "0.5", RULES["or"].label
    app.query_params["show"], app.query_params["panes"] = name, "photo,errors"
    app.run()
    assert not app.exception
    assert shown.setting == {
        "rule": "or",
        "t": 0.5,
        "class": sample.class_ids(first)[0],
        "outlined": True,
        "panes": "photo,errors",
    }


def test_one_class_is_shown_alone_wherever_an_image_has_it(app, sample, shown):
    ids = ids_of(sample)
    pairs = (
        (here, set(sample.class_ids(here)) - set(sample.class_ids(after))) for here, after in pairwise(ids)
    )
    image_id, lost = next((here, lost) for here, lost in pairs if lost)
    label = lost.pop()
    app.session_state["image"] = image_id
    app.session_state["show"] = sample.class_names[label - 1]
    app.run()
    assert shown.setting["class"] == label
    app.button("step_right").click().run()
    assert not app.exception
    assert shown.setting["class"] == 0
    assert address(app)["show"] == sample.class_names[label - 1]
    app.button("step_left").click().run()
    assert shown.setting["class"] == label


def test_the_mask_comes_from_the_same_source_wherever_an_image_has_it(app, sample, shown, workspace):
    make_outputs(workspace / "runs" / "sample", sample)
    first, second, *_ = ids_of(sample)
    MaskStore(workspace / "runs" / "sample" / "masks").path_of(second).unlink()
    app.query_params["beside"], app.query_params["mask"] = "Pseudo-masks", "Pseudo-masks"
    app.run()
    assert shown.setting["rule"] == "masks"
    app.button("step_right").click().run()
    assert shown.setting["rule"] == "and"
    app.button("step_left").click().run()
    assert not app.exception
    assert shown.setting["rule"] == "masks"


def test_filter_by_class_keeps_the_images_that_show_it(app, sample, shown):
    name = sample.class_names[sample.class_ids(ids_of(sample)[-1])[0] - 1]
    label = sample.class_names.index(name)
    matching = [i for i in ids_of(sample) if sample.image_labels(i)[label]]
    app.run()
    app.multiselect("classes").set_value([name]).run()
    assert app.text_input("image").value in matching
    assert any(f"of {len(matching)} · {name}" in caption.value for caption in app.caption)


def test_a_filter_without_a_match_says_so(app, sample, shown):
    app.query_params["classes"] = list(sample.class_names)
    app.run()
    assert not app.exception
    assert "Take one out of the filter" in app.info[0].value


def iou_of_and(shown, num_classes: int, threshold: float) -> float:
    """The shown image's own score."""
    scene = shown.scene
    fused = fuse(shown.sources["cnn"].cam, shown.sources["vit"].cam, Fusion("and"))
    counts = image_counts(fused, scene.class_ids, scene.truth, num_classes, "shown")
    return float(per_image(counts, threshold).iou[0])


def test_sorting_orders_by_the_images_own_score(app, sample, shown):
    app.run()
    app.selectbox("sort").select("iou").run()
    app.slider("sort_threshold").set_value(0.5).run()
    for _ in range(100):  # scored in the background; the page asks again by itself in a browser
        if not app.get("progress"):
            break
        app.run()
    else:
        pytest.fail("scores never came")
    assert not app.exception
    assert any("by IoU of AND" in caption.value for caption in app.caption)
    scores = []
    app.session_state["image"] = ""
    app.run()
    for _ in ids_of(sample):
        scores.append(iou_of_and(shown, sample.num_classes, 0.5))
        if app.button("step_right").disabled:
            break
        app.button("step_right").click().run()
    assert len(scores) == len(ids_of(sample))
    assert scores == sorted(scores)


def test_an_image_whose_cam_is_damaged_is_named_and_the_next_one_works(app, sample, shown, workspace):
    ids = ids_of(sample)
    path = next((workspace / "runs" / "sample" / "cams-vit").rglob(f"{ids[0]}.npz"))
    path.write_bytes(b"not a zip file")
    app.run()
    assert not app.exception
    assert str(path) in app.warning[0].value
    app.button("step_right").click().run()
    assert not app.warning
    assert (shown["photo"] == sample.image(ids[1])).all()


def test_an_image_without_mask_is_shown_without_errors(app, sample, shown):
    sample.mask_path_of(ids_of(sample)[0]).unlink()
    app.run()
    assert not app.exception
    assert shown.scene.truth is None


def test_orders_are_worked_out_once(app, sample, shown, monkeypatch):
    """Stepping must not cost more where there are more images."""
    app.run()
    calls = []
    monkeypatch.setattr(picker, "_order", lambda *arguments: calls.append(arguments))
    app.button("step_right").click().run()
    assert not app.exception
    assert calls == []


def test_caches_are_bounded():
    from pages.components import loaders, photo_view, photos

    cached = [loaders.open_dataset_cached, loaders.store_cached, loaders.maps_of, picker.image_order]
    cached += [picker._ranked_order, photo_view._maps]
    cached += [photos._photo_of_file, photos._photo_of_upload]
    for function in cached:
        assert 0 < function._info.max_entries <= 100, function.__name__


def test_an_id_that_is_not_there_is_said_and_the_image_stays(app, sample, shown):
    ids = ids_of(sample)
    app.session_state["image"] = ids[2]
    app.run()
    app.text_input("image").set_value("scene_9999").run()
    assert not app.exception
    assert "scene_9999" in app.toast[0].value
    assert app.text_input("image").value == ids[2]
    assert (shown["photo"] == sample.image(ids[2])).all()
