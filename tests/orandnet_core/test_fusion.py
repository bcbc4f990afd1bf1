import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orandnet_core import fusion as module
from orandnet_core.errors import ConfigError, RangeError, ShapeError
from orandnet_core.fusion import (
    RULES,
    Fusion,
    and_cam,
    fuse,
    geometric_mean_cam,
    max_cam,
    mean_cam,
    min_cam,
    noisy_or_cam,
    or_cam,
    reference_fusion,
    xor_cam,
)

SYMMETRIC = ["mean", "or", "and", "max", "min", "geometric_mean", "xor", "noisy_or"]

scores = st.floats(0, 1, width=32)
maps = hnp.array_shapes(min_dims=3, max_dims=3, max_side=4).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.float32, shape, elements=scores)] * 2)
)


def constant(value: float) -> np.ndarray:
    return np.full((1, 2, 2), value, np.float32)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("cnn", 0.5),
        ("vit", 0.25),
        ("mean", 0.375),
        ("or", 0.625),
        ("and", 0.125),
        ("max", 0.5),
        ("min", 0.25),
        ("geometric_mean", 0.125**0.5),
        ("xor", 0.5),
        ("noisy_or", 0.625),
    ],
)
def test_rules_compute_their_formulas(rule, expected):
    combined = RULES[rule].combine(constant(0.5), constant(0.25))
    np.testing.assert_allclose(combined, expected, rtol=1e-6)


@given(maps)
def test_rules_are_ordered_before_normalisation(pair):
    lowest, low, high, highest = (RULES[rule].combine(*pair) for rule in ("and", "min", "max", "or"))
    rounding = 1e-6
    assert (lowest <= low + rounding).all()
    assert (low <= high).all()
    assert (high <= highest + rounding).all()
    for rule in ("mean", "geometric_mean"):
        middle = RULES[rule].combine(*pair)
        assert (low - rounding <= middle).all()
        assert (middle <= high + rounding).all()


@given(maps)
def test_rules_are_symmetric(pair):
    for rule in SYMMETRIC:
        swapped = fuse(*pair[::-1], Fusion(rule))
        np.testing.assert_allclose(fuse(*pair, Fusion(rule)), swapped, atol=1e-6, err_msg=rule)


@given(maps)
def test_results_are_float32_in_range(pair):
    for rule in RULES:
        fused = fuse(*pair, Fusion(rule, offset_vit=0.2, gamma_cnn=0.5, weight_vit=1.5))
        assert fused.dtype == np.float32, rule
        assert fused.shape == pair[0].shape, rule
        assert fused.min() >= 0, rule
        assert fused.max() <= 1, rule


@given(maps)
def test_every_class_with_a_pixel_reaches_one(pair):
    for rule in (rule for rule in RULES.values() if rule.normalised):
        peaks = rule.combine(*pair).max(axis=(1, 2))
        fused_peaks = fuse(*pair, Fusion(rule.name)).max(axis=(1, 2))
        np.testing.assert_array_equal(fused_peaks, (peaks > 0).astype(np.float32), err_msg=rule.name)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_rules_are_idempotent_at_0_and_1(rule, value):
    expected = 0.0 if rule == "xor" else value  # who agrees does not disagree
    np.testing.assert_array_equal(fuse(constant(value), constant(value), Fusion(rule)), constant(expected))


@given(pair=maps, seed=st.integers(0, 99))
def test_rules_commute_with_class_permutation_and_flip(pair, seed):
    order = np.random.default_rng(seed).permutation(len(pair[0]))
    for rule in RULES:
        fused = fuse(*pair, Fusion(rule))
        moved = fuse(*(cam[order][:, :, ::-1] for cam in pair), Fusion(rule))
        np.testing.assert_array_equal(moved, fused[order][:, :, ::-1], err_msg=rule)


@pytest.mark.parametrize(
    ("function", "rule"),
    [
        (or_cam, "or"),
        (and_cam, "and"),
        (mean_cam, "mean"),
        (max_cam, "max"),
        (min_cam, "min"),
        (geometric_mean_cam, "geometric_mean"),
        (xor_cam, "xor"),
        (noisy_or_cam, "noisy_or"),
    ],
)
def test_functions_are_their_rules(function, rule):
    pair = np.random.default_rng(0).random((2, 3, 4, 5), dtype=np.float32)
    np.testing.assert_array_equal(function(*pair), fuse(*pair, Fusion(rule)))


def test_knobs_apply_in_the_documented_order():
    cam = np.array([[[0.0, 0.25, 0.64, 1.0]]], np.float32)
    fused = fuse(cam, cam, Fusion("cnn", gamma_cnn=0.5, weight_cnn=1.5, offset_cnn=-0.25))
    np.testing.assert_allclose(fused, np.clip(1.5 * cam**0.5 - 0.25, 0, 1), rtol=1e-6)
    np.testing.assert_array_equal(fuse(cam, cam, Fusion("vit", gamma_cnn=0.5, offset_cnn=0.3)), cam)


def test_noisy_or_counts_witnesses():
    a, b = constant(0.5), np.array([[[0.0, 0.25], [0.5, 0.5]]], np.float32)
    expected = 1 - (1 - a) ** 2 * (1 - b) ** 3
    np.testing.assert_allclose(noisy_or_cam(a, b, 2, 3), expected / expected.max(), rtol=1e-6)
    np.testing.assert_allclose(noisy_or_cam(a, b, 0, 1), b / b.max(), rtol=1e-6)


def test_reference_falls_where_the_vit_is_sure_and_the_default_does_not():
    vit = np.full((1, 1, 2), 0.95, np.float32)
    cnn = np.array([[[0.2, 0.8]]], np.float32)
    published, ours = fuse(cnn, vit, reference_fusion()), fuse(cnn, vit, Fusion(offset_vit=0.15))
    assert published[0, 0, 1] < published[0, 0, 0]
    np.testing.assert_allclose(ours, 1, rtol=1e-6)  # the lifted map is 1, and so is its OR
    lifted = vit + np.float32(0.15)
    raw = cnn + lifted - cnn * lifted
    np.testing.assert_allclose(published, raw / raw.max(), rtol=1e-6)


def test_images_without_classes_stay_empty():
    nothing = np.zeros((0, 4, 5), np.float32)
    for rule in RULES:
        assert fuse(nothing, nothing, Fusion(rule)).shape == (0, 4, 5)


def test_inputs_are_left_alone():
    a, b = np.random.default_rng(1).random((2, 2, 3, 3), dtype=np.float32)
    before = a.copy(), b.copy()
    for rule in RULES:
        fuse(a, b, Fusion(rule, offset_cnn=0.1, weight_vit=2))
    np.testing.assert_array_equal((a, b), before)


def test_errors_name_what_was_found():
    fine = constant(0.5)
    with pytest.raises(ShapeError, match=r"\(1, 2, 2\).*\(2, 2, 2\)"):
        or_cam(fine, np.zeros((2, 2, 2), np.float32))
    with pytest.raises(ShapeError, match=r"cnn_cam is \(2, 2\)"):
        or_cam(fine[0], fine)
    with pytest.raises(RangeError, match=r"vit_cam spans 3 to 3"):
        or_cam(fine, fine * 6)
    with pytest.raises(RangeError, match="nan"):
        or_cam(fine * np.nan, fine)


def test_rounding_beyond_1_is_clipped():
    assert or_cam(constant(1 + 1e-6), constant(0)).max() == 1
    assert fuse(constant(1 + 1e-6), constant(0), Fusion("cnn")).max() == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "nand"}, "'nand' is not one of cnn, vit"),
        ({"offset_cnn": 1.5}, "offset_cnn is 1.5"),
        ({"gamma_vit": 0}, "gamma_vit is 0"),
        ({"weight_vit": -1}, "weight_vit is -1"),
        ({"weight_cnn": float("nan")}, "weight_cnn is nan"),
        ({"rule": "mean", "clip": False}, "clip=False is for"),
        ({"rule": "or", "clip": False, "offset_vit": -0.1}, "clip=False is for"),
        ({"rule": "or", "clip": False, "weight_cnn": 10, "weight_vit": 10}, "clip=False is for"),
        ({"rule": "or", "clip": False, "weight_vit": 1.1}, "clip=False is for"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ConfigError, match=message):
        Fusion(**settings)


def test_settings_survive_a_round_trip():
    setting = Fusion("noisy_or", weight_cnn=2.0, gamma_vit=0.5)
    assert Fusion.from_dict(setting.as_dict()) == setting
    assert Fusion.from_dict({"rule": "and", "offset_vit": "0.25"}) == Fusion("and", offset_vit=0.25)
    assert setting.fingerprint == Fusion("noisy_or", weight_cnn=2.0, gamma_vit=0.5).fingerprint
    assert setting.fingerprint != Fusion("noisy_or", weight_cnn=2.0).fingerprint
    with pytest.raises(ConfigError, match="no sharpness"):
        Fusion.from_dict({"sharpness": 1})
    with pytest.raises(ConfigError, match="could not convert"):
        Fusion.from_dict({"gamma_cnn": "soft"})


def test_public_names_are_there():
    assert all(hasattr(module, name) for name in module.__all__)
    assert set(RULES) == {"cnn", "vit", *SYMMETRIC}
