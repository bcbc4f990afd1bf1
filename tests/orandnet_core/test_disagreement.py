"""Who is right where two masks differ: against the definition, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from orandnet_core.disagreement import AGREEMENT_NAMES, NEITHER, agreement_colours, disagreement_map
from orandnet_core.errors import ShapeError
from orandnet_core.labels import IGNORE_INDEX

MASKS = arrays.arrays(np.uint8, (5, 7), elements=st.sampled_from([0, 1, 2, 3]))
TARGETS = arrays.arrays(np.uint8, (5, 7), elements=st.sampled_from([0, 1, 2, 3, IGNORE_INDEX]))


def name_of(cnn: int, vit: int, target: int | None, class_id: int | None) -> str:
    """One pixel in words, by the definition."""
    if target == IGNORE_INDEX:
        return "not scored"
    if class_id is not None:
        cnn, vit = cnn * (cnn == class_id), vit * (vit == class_id)
        target = target and target * (target == class_id)
    if target is None:
        if cnn and vit:
            return "both" if cnn == vit else "different classes"
        return "only CNN" if cnn else "only ViT" if vit else "neither"
    right = [who for who, found in (("CNN", cnn), ("ViT", vit)) if found and found == target]
    if right:
        return "both, right" if len(right) == 2 else f"only {right[0]}, right"
    wrong = [who for who, found in (("CNN", cnn), ("ViT", vit)) if found]
    if wrong:
        return "both, wrong" if len(wrong) == 2 else f"only {wrong[0]}, wrong"
    return "neither, wrong" if target else "neither"


@given(MASKS, MASKS, st.none() | TARGETS, st.sampled_from([None, 1, 2]))
def test_every_pixel_is_what_the_definition_says(cnn, vit, target, class_id):
    found = disagreement_map(cnn, vit, target, class_id)
    assert found.dtype == np.uint8
    for place in np.ndindex(cnn.shape):
        truth = None if target is None else int(target[place])
        expected = name_of(int(cnn[place]), int(vit[place]), truth, class_id)
        assert AGREEMENT_NAMES[int(found[place])] == expected


def test_shapes_that_differ_are_named():
    with pytest.raises(ShapeError, match=r"\(2, 3\).*\(3, 2\)"):
        disagreement_map(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))


def test_all_but_neither_have_a_colour_and_right_is_lighter_than_wrong():
    table = agreement_colours()
    assert {int(label) for label in np.flatnonzero(table[:, 3])} == set(AGREEMENT_NAMES) - {NEITHER}
    light = {name: table[label, :3] @ [0.299, 0.587, 0.114] for label, name in AGREEMENT_NAMES.items()}
    for who in ("both", "only CNN", "only ViT"):
        assert light[f"{who}, right"] - light[f"{who}, wrong"] > 100
    with pytest.raises(ValueError, match="read-only"):
        table[0, 0] = 1
