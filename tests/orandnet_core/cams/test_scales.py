"""Sizes at which a network sees a photograph."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orandnet_core.cams.scales import MAX_PIXELS, input_hw, merged, side_unit_px, views
from orandnet_core.errors import RangeError
from tests.orandnet_core.cams.conftest import make_cnn, make_vit


@pytest.mark.parametrize(
    ("size_hw", "scale", "unit_px", "long_side_px", "expected"),
    [
        ((375, 500), 1.0, 16, None, (368, 496)),
        ((375, 500), 0.5, 32, None, (192, 256)),
        ((375, 500), 2.0, 32, None, (736, 992)),
        ((375, 500), 1.0, 14, 448, (336, 448)),
        ((375, 500), 1.5, 14, 448, (504, 672)),
        ((500, 375), 1.0, 14, 448, (448, 336)),
        ((3, 900), 1.0, 16, None, (16, 896)),
        ((1, 1), 0.5, 16, None, (16, 16)),
        ((3000, 4000), 1.0, 16, None, (560, 736)),
        ((3000, 4000), 2.0, 32, None, (1120, 1472)),
        ((4000, 3000), 0.5, 16, None, (368, 272)),
        ((3000, 4000), 1.0, 16, 1024, (768, 1024)),
    ],
)
def test_input_size(size_hw, scale, unit_px, long_side_px, expected):
    assert input_hw(size_hw, scale, unit_px, long_side_px) == expected


@given(
    st.integers(1, 640),
    st.integers(1, 640),
    st.sampled_from([0.5, 1.0, 1.5, 2.0]),
    st.sampled_from([14, 16, 32]),
)
def test_photographs_of_voc_and_coco_are_seen_as_they_are(height, width, scale, unit_px):
    expected = tuple(max(1, round(side * scale / unit_px)) * unit_px for side in (height, width))
    assert input_hw((height, width), scale, unit_px) == expected


@given(st.integers(200, 12_000), st.integers(200, 12_000), st.sampled_from([14, 16, 32]))
def test_larger_ones_are_reduced_in_proportion(height, width, unit_px):
    seen_hw = input_hw((height, width), 1.0, unit_px)
    factor = min(1, (MAX_PIXELS / (height * width)) ** 0.5)
    for side, seen in zip((height, width), seen_hw, strict=True):
        assert abs(seen - side * factor) <= unit_px / 2
    doubled = input_hw((height, width), 2.0, unit_px)
    assert all(abs(two - 2 * one) <= 1.5 * unit_px for one, two in zip(seen_hw, doubled, strict=True))


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf")])
def test_a_scale_must_be_positive(scale):
    with pytest.raises(RangeError, match="must be positive"):
        input_hw((50, 50), scale, 16)


def test_a_size_beyond_memory_is_refused():
    with pytest.raises(RangeError, match="take a smaller scale or long_side_px"):
        input_hw((10_000, 10_000), 20.0, 16)
    with pytest.raises(RangeError, match="take a smaller scale or long_side_px"):
        input_hw((10_000, 10_000), 1.0, 16, 10_000)


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet", "resnet10t", "test_convnext"])
@pytest.mark.parametrize("stride", [None, 16])
def test_a_cnns_unit_is_its_stride(model, stride):
    cnn = make_cnn(model, output_stride=stride)
    unit_px = side_unit_px(cnn)
    assert unit_px == (stride or 32)
    with torch.no_grad():
        assert cnn.class_maps(torch.zeros(1, 3, 2 * unit_px, 3 * unit_px)).shape[2:] == (2, 3)


def test_a_vits_unit_is_its_patch():
    assert side_unit_px(make_vit(patch_size=8)) == 8


def test_views_are_the_photograph_and_its_mirror(image):
    cnn = make_cnn()
    (view,) = views(cnn, image, [(50, 70)], flip=True)
    expected = (torch.from_numpy(image).permute(2, 0, 1) / 255 - cnn.mean) / cnn.std
    torch.testing.assert_close(view[0], expected)
    torch.testing.assert_close(view[1].flip(2), expected)
    sizes = [view.shape for view in views(cnn, image, [(32, 64), (64, 96)], flip=False)]
    assert sizes == [(1, 3, 32, 64), (1, 3, 64, 96)]


def test_a_smaller_view_averages(image):
    checkers = np.indices((64, 64)).sum(0)[:, :, None].repeat(3, 2) % 2 * 200
    (view,) = views(make_cnn(), checkers.astype(np.uint8), [(16, 16)], flip=False)
    inner = view[..., 2:-2, 2:-2]
    assert (inner.amax((2, 3)) - inner.amin((2, 3))).max() < 0.05


def test_merged_turns_the_mirrored_map_back():
    upright = torch.arange(6.0).view(1, 1, 2, 3)
    maps = merged(torch.cat((upright, 3 * upright.flip(3))), (2, 3))
    torch.testing.assert_close(maps, 2 * upright[0])
    assert merged(upright, (5, 7)).shape == (1, 5, 7)
