"""Linked selection on Compare against the core: who passes, what is scored on them, and what is said."""

import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.datasets import Dataset
from orandnet_core.image_filter import ScoreWithin, Shows
from orandnet_core.metrics import bootstrap, per_image
from orandnet_core.metrics.thresholds import calibrated, oracle
from orandnet_core.scoring import PairScores
from pages.components import comparison
from pages.components.comparison import Candidate, Row
from pages.components.image_gallery import ordered
from pages.components.linked_charts import brushed, clicked_names, score_histogram
from pages.components.linked_images import Linked, gather, images_table
from tests.pages.opening import captions, opened, settled

COMPARE = "analysis/compare.py"
NAMES = {"cnn": "CNN", "vit": "ViT", "mean": "Naive mean", "or": "OR", "and": "AND"}
pytestmark = pytest.mark.usefixtures("workspace")


def linked_page(app: AppTest, *filters: str, **query: str) -> AppTest:
    """The page with filters in its address, as a link opens it."""
    app.query_params["filter"] = list(filters)
    return opened(app, COMPARE, compare_rule="Oracle", **query)


def shown_table(app: AppTest) -> dict[str, dict[str, object]]:
    table = next(frame.value for frame in app.dataframe if "source" in frame.value.columns)
    return {row["source"]: row for row in table.to_dict("records")}


def chips(app: AppTest) -> list[str]:
    return [button.label for button in app.button if (button.key or "").startswith("linked_chip_")]


def in_address(app: AppTest) -> list[str]:
    values = app.query_params.get("filter", [])
    return [values] if isinstance(values, str) else values


def test_a_link_filters_every_number_at_the_thresholds_of_all(
    app: AppTest, sample: Dataset, scored: PairScores
):
    counts = scored.scores["cnn"].counts
    of_cnn = per_image(counts, oracle(counts).value)
    low, high = (float(np.round(end, 3)) for end in np.quantile(of_cnn.iou, (0, 0.6)))
    name = sample.class_names[0]
    passing = [
        image_id
        for image_id, iou in zip(of_cnn.image_ids, of_cnn.iou, strict=True)
        if low <= iou <= high and (sample.mask(image_id) == 1).any()
    ]
    assert 0 < len(passing) < 9
    page = linked_page(app, f"class~{name}", f"miou~cnn~{low}~{high}")
    table = shown_table(page)
    assert set(table) == set(NAMES.values())
    for key, label in NAMES.items():
        whole = scored.scores[key].counts
        choice = oracle(whole)
        some = whole.select(passing)
        interval = bootstrap(some).interval("iou", choice.value)
        assert table[label]["threshold"] == choice.value
        assert table[label]["miou"] == pytest.approx(100 * some.total().at(choice.value).mean_iou)
        assert table[label]["miou_interval"] == f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
        assert (table[label]["rule"], table[label]["chosen_on"]) == ("oracle", "9 images, of the whole split")
    assert chips(page) == [f"showing {name}", f"mIoU of CNN {100 * low:.4g} to {100 * high:.4g}%"]
    assert f"{len(passing)} images (only showing {name}; mIoU of CNN" in captions(page)
    assert {button.label for button in page.button if (button.key or "").startswith("gallery ")} == set(
        passing
    )


def test_chips_take_conditions_away_and_the_address_follows(app: AppTest):
    page = linked_page(app, "miou~cnn~0~0.99", "best~or~0~1")
    assert len(chips(page)) == 2
    page.button(key="linked_chip_0").click().run()
    settled(page)
    assert in_address(page) == ["best~or~0~1"]
    page.button(key="linked_clear").click().run()
    settled(page)
    assert in_address(page) == []
    assert "All **9** images" in captions(page)


def test_classes_can_be_chosen_without_a_mouse(app: AppTest, sample: Dataset):
    page = linked_page(app)
    first, second = sample.class_names[:2]
    page.multiselect(key="linked_classes").set_value([first, second]).run()
    settled(page)
    assert in_address(page) == [f"class~{first}~{second}"]
    assert chips(page) == [f"showing {first} or {second}"]
    page.multiselect(key="linked_classes").set_value([]).run()
    settled(page)
    assert chips(page) == []


def test_nothing_left_says_how_to_widen(app: AppTest):
    page = linked_page(app, "miou~cnn~0~0", "best~or~0~1")
    (info,) = page.info
    assert "without *mIoU of CNN 0 to 0%*: 9 images" in info.value
    assert not [frame for frame in page.dataframe if "source" in frame.value.columns]
    page.button(key="linked_chip_0").click().run()
    assert shown_table(settled(page))


def test_what_is_no_filter_or_not_there_is_said(app: AppTest):
    page = linked_page(app, "nonsense", "class~no such class", "best~cnn~0~1")
    assert "filter 'nonsense'" in captions(page)
    assert "not applied" in captions(page)
    assert chips(page) == ["~~showing no such class~~", "own best threshold of CNN 0 to 1"]
    assert "scenes train · 9 images (only own best threshold of CNN 0 to 1) ·" in captions(page)


def test_the_view_can_be_saved_and_deleted(app: AppTest):
    from train.views import saved_views

    page = linked_page(app, "miou~cnn~0~0.99")
    page.text_input(key="view_name").set_value("mine").run()
    page.button(key="view_save").click().run()
    saved = saved_views("compare")["mine"]
    assert saved.query["filter"] == ("miou~cnn~0~0.99",)
    assert saved.query["compare_rule"] == ("Oracle",)
    assert [saved.query[name] for name in ("dataset", "split", "run")] == [
        ("scenes",),
        ("train",),
        ("sample",),
    ]
    settled(page).button(key="view_delete mine").click().run()
    assert saved_views("compare") == {}


def rows(scored: PairScores, choose=oracle) -> list[Row]:
    found = []
    for name in ("cnn", "and"):
        scores = scored.scores[name]
        choice = choose(scores.counts)
        found.append(Row(Candidate(name, name.upper(), name, 0, scores), choice, *scores.at(choice)))
    return found


def silent(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def test_facts_are_those_of_each_image(sample: Dataset, scored: PairScores):
    facts = gather(rows(scored), ("background", *sample.class_names), silent)
    assert facts.image_ids == sample.image_ids("train")
    for place, image_id in enumerate(facts.image_ids):
        assert set(np.flatnonzero(facts.shown[place])) == set(np.unique(sample.mask(image_id))) - {255}
        for name in ("cnn", "and"):
            alone = scored.scores[name].counts.select([image_id])
            own = alone.total().at(oracle(scored.scores[name].counts).value)
            assert facts.scores[name][place] == pytest.approx(float(own.mean_iou))
            assert facts.best_thresholds[name][place] == oracle(alone).value


def test_images_that_one_source_lacks_are_no_number_there(sample: Dataset, scored: PairScores):
    cnn, fused = rows(scored)
    fewer = sample.image_ids("train")[2:]
    scores = cnn.candidate.scores.only(fewer, "left")
    part = Row(Candidate("cnn", "CNN", "cnn", 0, scores), cnn.choice, cnn.metrics, cnn.card)
    facts = gather([part, fused], ("background", *sample.class_names), silent)
    assert facts.image_ids == (*fewer, *sample.image_ids("train")[:2])
    assert np.isnan(facts.scores["cnn"]).tolist() == [False] * 7 + [True] * 2
    assert facts.shown.any(axis=1).all()


def test_a_calibrated_row_without_images_of_its_own_says_so(scored: PairScores):
    row = rows(scored, lambda counts: calibrated(counts, 3))[0]
    seen, unseen = sorted(row.choice.seen_ids), row.choice.unseen(row.candidate.scores.counts.image_ids)
    lost = comparison.row_of_some(row, seen, "by hand")
    assert "chose its threshold" in lost.problem
    kept = comparison.row_of_some(row, [*seen, *unseen[:2]], "by hand")
    assert (kept.card.images, kept.card.threshold_rule) == (2, "calibrated")
    expected = row.candidate.scores.counts.select(unseen[:2]).total().at(row.choice.value)
    assert kept.metrics.mean_iou == pytest.approx(expected.mean_iou)


def test_downloaded_curves_say_of_which_images(scored: PairScores):
    some = comparison.row_of_some(rows(scored)[0], scored.scores["cnn"].counts.image_ids[:4], "by hand")
    table = comparison.curves_table([some.candidate])
    assert set(table["subset"].to_pylist()) == {"by hand"}
    assert set(table["images"].to_pylist()) == {4}


def test_the_images_that_pass_can_be_taken_along(sample: Dataset, scored: PairScores):
    facts = gather(rows(scored), ("background", *sample.class_names), silent)
    middle = float(np.median(facts.scores["and"]))
    linked = Linked(facts, {}, (ScoreWithin("and", 0, round(middle, 3)),))
    table = images_table(linked).to_pydict()
    assert table["image_id"] == list(linked.image_ids)
    assert 0 < len(table["image_id"]) < 9
    assert max(table["miou and"]) <= middle + 0.001
    assert table["best_threshold cnn"] == facts.best_thresholds["cnn"][linked.passes].tolist()


def test_the_gallery_s_orders():
    passes = np.array([True, True, False, True, True])
    first = np.array([0.1, 0.9, 0.0, np.nan, 0.5])
    second = np.array([0.9, 0.8, 1.0, 0.2, 0.5])
    assert ordered("listed", passes, first, second).tolist() == [0, 1, 3, 4]
    assert ordered("difference", passes, first, second).tolist() == [0, 1, 4, 3]
    assert ordered("worst", passes, first, second).tolist() == [3, 4, 1, 0]
    assert ordered("best", passes, first, second).tolist() == [0, 1, 4, 3]


def test_a_histogram_counts_every_image_once():
    scores, passes = np.array([0, 0.05, 0.4999, 1, np.nan]), np.array([True, False, True, True, True])
    whole, some = score_histogram(scores, passes, "CNN", "cnn", (0.1, 0.6)).data
    assert (sum(whole.y), sum(some.y)) == (4, 3)
    (alone,) = score_histogram(scores, np.ones(5, bool), "CNN", "cnn").data
    assert alone.y[[0, 1, 9, 19]].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("selection", "box"),
    [
        ({}, None),
        ({"selection": {"box": [], "points": [{"x": 1}]}}, None),
        ({"selection": {"box": [{"x": [0.7, 0.2], "y": [-3, 5]}]}}, (0.2, 0.7, 0, 1)),
    ],
)
def test_a_brush_is_a_box_within_the_axes(selection: dict, box: tuple | None):
    assert brushed(selection) == box


def test_a_click_on_bars_names_a_class_once():
    points = [{"x": "cat", "y": 0.1}, {"x": "cat", "y": 0.2}, {"x": "dog"}]
    assert clicked_names({"selection": {"points": points, "box": []}}) == (("cat", "dog"), False)
    assert clicked_names({"selection": {"points": points, "box": [{}]}}) == (("cat", "dog"), True)


def test_the_filter_in_words(sample: Dataset, scored: PairScores):
    facts = gather(rows(scored), ("background", *sample.class_names), silent)
    linked = Linked(facts, {"cnn": "CNN"}, (Shows(("background",)), Shows(("gone",))))
    assert (linked.subset, linked.idle) == ("showing background", (Shows(("gone",)),))
    assert linked.image_ids == facts.image_ids


def test_choices_outlast_the_time_that_adding_up_takes(
    app: AppTest, sample: Dataset, monkeypatch: pytest.MonkeyPatch
):
    page = linked_page(app)
    page.selectbox(key="compare_x").set_value("ViT").run()
    row_of_some = comparison.row_of_some

    def slow(*row):
        time.sleep(0.3)
        return row_of_some(*row)

    monkeypatch.setattr(comparison, "row_of_some", slow)
    page.multiselect(key="linked_classes").set_value([sample.class_names[0]]).run()
    assert not [box for box in page.selectbox if box.key == "compare_x"]  # the sums are still to come
    settled(page)
    assert page.selectbox(key="compare_x").value == "ViT"
    assert page.query_params["compare_x"] in ("ViT", ["ViT"])
