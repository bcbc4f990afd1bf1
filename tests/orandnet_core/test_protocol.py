from dataclasses import replace

import pytest

from orandnet_core.metrics import ThresholdChoice
from orandnet_core.protocol import ProtocolCard

SCORED = ("a", "b", "c")


@pytest.fixture
def card():
    return ProtocolCard(
        dataset="voc12",
        split="val",
        images=250,
        skipped=2,
        num_classes=21,
        source="or",
        source_hash="0123456789ab",
        data_hash="ba9876543210",
    )


@pytest.mark.parametrize(
    ("rule", "seen", "expected"),
    [
        ("fixed", set(), "fixed"),
        ("no_labels", set(), "no_labels"),
        ("calibrated", {"x", "y"}, "calibrated"),
        ("calibrated", {"x", "b"}, "oracle"),
        ("precision_target", {"x"}, "precision_target"),
        ("precision_target", {"a"}, "oracle"),
        ("precision_over_recall", set(SCORED), "oracle"),
        ("oracle", set(SCORED), "oracle"),
        ("oracle", {"x", "y"}, "calibrated"),
    ],
)
def test_oracle_is_whatever_saw_a_mask_that_is_scored(card, rule, seen, expected):
    choice = ThresholdChoice(0.25, rule, "some images", frozenset(seen))
    scored = card.with_threshold(choice, SCORED)
    assert scored.threshold_rule == expected
    assert scored.threshold == 0.25
    assert scored.images == 3
    assert scored.chosen_on.startswith("some images")
    if rule != expected == "oracle":
        assert rule in scored.chosen_on


def test_the_rest_of_the_card_stays(card):
    scored = card.with_threshold(ThresholdChoice(0.5, "fixed"), SCORED)
    changed = {"images": 3, "threshold": 0.5, "threshold_rule": "fixed", "chosen_on": "no images"}
    assert scored == replace(card, **changed)
    assert card.threshold is None


def test_a_card_is_plain_values(card):
    plain = card.as_dict()
    assert plain["images"] == 250
    assert plain["ignored"] == "ground-truth pixels of 255 are dropped"
    assert all(isinstance(value, str | int | float | None) for value in plain.values())
