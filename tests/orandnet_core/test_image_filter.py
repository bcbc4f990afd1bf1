"""Filters against a loop over images, and what their addresses read back to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orandnet_core.errors import ConfigError
from orandnet_core.image_filter import (
    BestThresholdWithin,
    Condition,
    ImageFacts,
    ScoresWithin,
    ScoreWithin,
    Shows,
    address_of,
    condition_of,
    conditions_of,
    passing,
    with_condition,
)

CLASSES = ("background", "cat", "dog", "a~b%7E")
SOURCES = ("cnn", "or", "and@other run", "saved: 50%~x")
LABELS = {"cnn": "CNN", "or": "OR"}

names = st.text(min_size=1, max_size=12)
ends = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


def within(kind: type, source: st.SearchStrategy = names) -> st.SearchStrategy:
    return st.builds(lambda name, pair: kind(name, *pair), source, ends)


def conditions(source: st.SearchStrategy = names, class_names: st.SearchStrategy = names):
    return (
        st.builds(Shows, st.lists(class_names, min_size=1, max_size=3).map(tuple))
        | within(ScoreWithin, source)
        | within(BestThresholdWithin, source)
        | st.builds(ScoresWithin, within(ScoreWithin, source), within(ScoreWithin, source))
    )


@pytest.fixture(scope="module")
def facts() -> ImageFacts:
    """Twelve images; some have no score under some source, and `saved` is of masks."""
    rng = np.random.default_rng(3)
    count = 12

    def values() -> np.ndarray:
        found = rng.integers(0, 11, count) / 10  # many lie on the ends of ranges
        found[rng.random(count) < 0.2] = np.nan
        return found

    return ImageFacts(
        tuple(f"image-{number}" for number in range(count)),
        CLASSES,
        rng.random((count, len(CLASSES))) < 0.4,
        {source: values() for source in SOURCES},
        {source: values() for source in SOURCES[:3]},
    )


def passes_by_hand(condition: Condition, facts: ImageFacts, image: int) -> bool:
    if isinstance(condition, Shows):
        return any(facts.shown[image, CLASSES.index(name)] for name in condition.class_names)
    if isinstance(condition, ScoresWithin):
        return all(passes_by_hand(each, facts, image) for each in (condition.across, condition.up))
    values = facts.best_thresholds if type(condition) is BestThresholdWithin else facts.scores
    value = values[condition.source][image]
    return not np.isnan(value) and condition.low <= value <= condition.high


@given(st.lists(conditions(st.sampled_from(SOURCES[:3]), st.sampled_from(CLASSES)), max_size=4))
def test_an_image_passes_where_every_condition_holds(facts: ImageFacts, chosen: list[Condition]):
    expected = [
        all(passes_by_hand(condition, facts, image) for condition in chosen)
        for image in range(len(facts.image_ids))
    ]
    assert passing(chosen, facts).tolist() == expected


@pytest.mark.parametrize(
    "idle",
    [
        Shows(("cat", "no such class")),
        ScoreWithin("gone", 0, 1),
        BestThresholdWithin("saved: 50%~x", 0, 1),  # masks have no threshold
        ScoresWithin(ScoreWithin("cnn", 0, 1), ScoreWithin("gone", 0, 1)),
    ],
)
def test_what_asks_in_vain_is_told_apart_and_not_applied(facts: ImageFacts, idle: Condition):
    assert idle.asks_in_vain(facts)
    assert passing([idle], facts).all()
    only_cats = [Shows(("cat",))]
    assert np.array_equal(passing([*only_cats, idle], facts), passing(only_cats, facts))


@given(st.floats(0, 1), st.floats(0, 1))
def test_rounding_an_end_shuts_no_image_out(one: float, other: float):
    """Down to the image whose value is the very end that was asked for, before and after an address."""
    low, high = sorted((one, other))
    facts = ImageFacts(("a", "b"), ("background",), np.ones((2, 1), bool), {}, {"cnn": np.array([low, high])})
    asked = BestThresholdWithin("cnn", low, high)
    assert passing([asked], facts).all()
    assert passing([condition_of(address_of(asked))], facts).all()
    assert low - asked.low < 0.001 + 1e-12
    assert asked.high - high < 0.001 + 1e-12


def test_ends_of_three_decimals_stay():
    for thousandths in range(1001):
        end = thousandths / 1000
        kept = ScoreWithin("cnn", end, end)
        assert (kept.low, kept.high) == (end, end)


@given(conditions())
def test_an_address_reads_back(condition: Condition):
    assert condition_of(address_of(condition)) == condition


@pytest.mark.parametrize(
    ("condition", "address", "sentence"),
    [
        (Shows(("cat", "potted plant")), "class~cat~potted plant", "showing cat or potted plant"),
        (ScoreWithin("cnn", 0.20076, 0.51236), "miou~cnn~0.2~0.513", "mIoU of CNN 20 to 51.3%"),
        (BestThresholdWithin("or", 0, 0.25), "best~or~0~0.25", "own best threshold of OR 0 to 0.25"),
        (
            ScoresWithin(ScoreWithin("cnn", 0, 0.4), ScoreWithin("x@run", 0.6, 1)),
            "both~cnn~0~0.4~x@run~0.6~1",
            "mIoU of CNN 0 to 40% and mIoU of x@run 60 to 100%",
        ),
        (Shows(("a~b%7E",)), "class~a%7Eb%257E", "showing a~b%7E"),
    ],
)
def test_what_a_condition_is_called(condition: Condition, address: str, sentence: str):
    assert address_of(condition) == address
    assert condition.sentence(LABELS) == sentence


@pytest.mark.parametrize(
    "text",
    ["", "class", "class~", "miou~cnn", "miou~cnn~a~1", "miou~cnn~0.6~0.4", "miou~cnn~-1~0.4", "best~cnn~0~2",
     "miou~cnn~nan~1", "both~cnn~0~1", "both~cnn~0~1~or~0~1~2", "miou~cnn~0~1~2", "no~such~kind"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_with_its_text(text: str):
    with pytest.raises(ConfigError, match=r"^filter '"):
        condition_of(text)
    found, problems = conditions_of([text, "class~cat"])
    assert found == (Shows(("cat",)),)
    assert len(problems) == 1


@given(st.text())
def test_any_text_is_read_or_refused(text: str):
    found, problems = conditions_of([text])
    assert len(found) + len(problems) == 1
    assert all(repr(text) in problem for problem in problems)


def test_a_brush_replaces_that_of_its_kind_about_the_same_sources():
    filter_ = ()
    for condition in (
        Shows(("cat",)),
        ScoreWithin("cnn", 0, 0.5),
        ScoreWithin("or", 0, 0.5),
        BestThresholdWithin("cnn", 0, 0.5),
        ScoresWithin(ScoreWithin("cnn", 0, 0.5), ScoreWithin("or", 0, 0.5)),
    ):
        filter_ = with_condition(filter_, condition)
    assert len(filter_) == 5
    filter_ = with_condition(filter_, ScoreWithin("cnn", 0.1, 0.2))
    filter_ = with_condition(filter_, Shows(("dog",)))
    # The same two sources, with the axes the other way round.
    swapped = ScoresWithin(ScoreWithin("or", 0, 0.1), ScoreWithin("cnn", 0, 0.1))
    filter_ = with_condition(filter_, swapped)
    assert len(filter_) == 5
    assert filter_[:2] == (Shows(("dog",)), ScoreWithin("cnn", 0.1, 0.2))
    assert filter_[4] == swapped


def test_a_filter_needs_something_to_filter_by():
    with pytest.raises(ConfigError, match="needs a class"):
        Shows(())
