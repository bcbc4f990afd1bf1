"""Labels are kept small, read once, and counted from masks as numpy's unique has it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from orandnet_core.datasets.image_labels import ImageLabels, classes_in_mask


def test_rows_are_multi_hot_and_read_once():
    asked = []

    def read(image_id):
        asked.append(image_id)
        return {"a": (1, 3), "b": ()}.get(image_id)

    labels = ImageLabels(("a", "b", "c"), 3, read)
    assert asked == []
    for _ in range(2):
        np.testing.assert_array_equal(labels["a"], [1, 0, 1])
        np.testing.assert_array_equal(labels["b"], [0, 0, 0])
        assert labels["a"].dtype == np.uint8
        assert list(labels) == ["a", "b"]
        assert len(labels) == 2
        assert "c" not in labels
        with pytest.raises(KeyError, match="c"):
            labels["c"]
        assert "stranger" not in labels
    assert sorted(asked) == ["a", "b", "c"]


def test_a_row_is_the_caller_s_own():
    labels = ImageLabels(("a",), 2, lambda image_id: (1,))
    labels["a"][:] = 9
    np.testing.assert_array_equal(labels["a"], [1, 0])


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5))), st.integers(1, 254))
def test_classes_in_a_mask(mask, class_count):
    expected = [int(label) for label in np.unique(mask) if 0 < label <= class_count and label != 255]
    assert list(classes_in_mask(mask, class_count)) == expected
