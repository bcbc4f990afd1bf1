"""COCO's own rasteriser makes exactly the region of its polygons."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as run_lengths

from orandnet_core.interchange.polygons import polygons_of


def rasterised(polygons, shape):
    if not polygons:
        return np.zeros(shape, bool)
    return run_lengths.decode(run_lengths.merge(run_lengths.frPyObjects(polygons, *shape))).astype(bool)


@settings(max_examples=200, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_any_region_comes_back(region):
    polygons = polygons_of(region)
    np.testing.assert_array_equal(rasterised(polygons, region.shape), region)
    assert all(len(polygon) >= 8 for polygon in polygons)


def test_a_square_by_hand():
    region = np.zeros((5, 6), bool)
    region[1:3, 2:5] = True
    assert polygons_of(region) == [[5, 1, 5, 3, 2, 3, 2, 1]]


def test_rings_in_rings():
    y, x = np.mgrid[:60, :70]
    rings = (np.hypot(y - 30, x - 33) // 5).astype(int) % 2 == 0
    np.testing.assert_array_equal(rasterised(polygons_of(rings), rings.shape), rings)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_noise(share):
    region = np.random.default_rng(0).random((80, 90)) < share
    np.testing.assert_array_equal(rasterised(polygons_of(region), region.shape), region)
