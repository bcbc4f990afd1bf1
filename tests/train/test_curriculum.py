"""The curriculum's arithmetic: sizes, batches and pixels of every step, exactly."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orandnet_core.errors import ConfigError
from train.config import CurriculumConfig
from train.curriculum import Phase, scale_schedule

SCALE = CurriculumConfig(kind="scale")
CONTROL = CurriculumConfig(kind="equal_compute")
USUAL = {"steps": 100, "batch_size": 8, "crop_px": 256, "stride": 16}


def steps_of(schedule):
    """(side, images) of every step."""
    return [(schedule.side_px(step), schedule.images(step)) for step in range(schedule.steps)]


def test_none_is_the_same_at_every_step():
    schedule = scale_schedule(CurriculumConfig(), **USUAL)
    assert steps_of(schedule) == [(256, 8)] * 100
    assert schedule.pixels == 100 * 8 * 256**2


def test_small_first_and_the_original_size_last():
    schedule = scale_schedule(SCALE, **USUAL)
    # 8 x (256 / 128)^2 = 32 and 8 x (256 / 192)^2 = 14.2 images fit into a full step's pixels.
    assert steps_of(schedule) == [(128, 32)] * 30 + [(192, 14)] * 30 + [(256, 8)] * 40


def test_batches_need_not_grow():
    schedule = scale_schedule(replace(SCALE, grow_batch=False), **USUAL)
    assert steps_of(schedule) == [(128, 8)] * 30 + [(192, 8)] * 30 + [(256, 8)] * 40
    assert schedule.pixels == 8 * (30 * 128**2 + 30 * 192**2 + 40 * 256**2)


def test_the_control_spends_the_same_pixels_at_full_size():
    frugal = replace(SCALE, grow_batch=False)
    scaled = scale_schedule(frugal, **USUAL)
    control = scale_schedule(replace(frugal, kind="equal_compute"), **USUAL)
    # 8 x (30 / 4 + 30 x 9 / 16 + 40) = 515 images of full size, exactly.
    assert control.pixels == scaled.pixels == 515 * 256**2
    assert control.steps == 64
    assert {side for side, _ in steps_of(control)} == {256}
    assert {images for _, images in steps_of(control)} == {8, 9}
    assert sum(images for _, images in steps_of(control)) == 515


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 12),
    st.integers(60, 300),
    st.sampled_from([96, 192, 224, 320]),
    st.sampled_from([16, 32]),
    st.booleans(),
    st.lists(st.tuples(st.integers(1, 9), st.floats(0.2, 1.0)), min_size=0, max_size=3),
)
def test_any_schedule_keeps_its_promises(unit, per_unit, steps, crop_px, stride, grow, early):
    shares = [share for share, _ in early] + [5]
    phases = tuple(
        (share / sum(shares), scale)
        for share, scale in zip(shares, [scale for _, scale in early] + [1.0], strict=True)
    )
    config = CurriculumConfig(kind="scale", phases=phases, grow_batch=grow)
    how = {"steps": steps, "batch_size": unit * per_unit, "crop_px": crop_px, "stride": stride, "unit": unit}
    scaled = scale_schedule(config, **how)
    control = scale_schedule(replace(config, kind="equal_compute"), **how)
    assert scaled.steps == steps
    assert steps_of(scaled)[-1] == (crop_px, unit * per_unit)
    for schedule in (scaled, control):
        each = steps_of(schedule)
        assert sum(side**2 * images for side, images in each) == schedule.pixels
        assert all(images > 0 and images % unit == 0 for _, images in each)
        assert all(side % stride == 0 for side, _ in each)
    assert all(
        side**2 * images <= max(unit * side**2, unit * per_unit * crop_px**2)
        for side, images in steps_of(scaled)
    )
    # As near as whole units of full-size images come.
    assert abs(control.pixels - scaled.pixels) <= unit * crop_px**2 / 2
    counts = [images for _, images in steps_of(control)]
    assert max(counts) - min(counts) <= unit


@given(st.integers(1, 50), st.integers(0, 400), st.integers(1, 4))
def test_a_phase_spreads_its_images_evenly(steps, units, unit):
    phase = Phase(steps, 32, units * unit, unit)
    each = [phase.images_at(step) for step in range(steps)]
    assert sum(each) == phase.images
    assert max(each) - min(each) in (0, unit)


@pytest.mark.parametrize(
    ("config", "how", "message"),
    [
        (SCALE, USUAL | {"steps": 1}, "1 steps are too few for 3 phases"),
        (SCALE, USUAL | {"unit": 3}, "batch_size 8 cannot be shared by 3"),
    ],
)
def test_what_cannot_be_scheduled_is_told(config, how, message):
    with pytest.raises(ConfigError, match=message):
        scale_schedule(config, **how)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ((), "sum to 1"),
        (((0.5, 0.5), (0.4, 1.0)), "sum to 1"),
        (((1.2, 0.5), (-0.2, 1.0)), "positive"),
        (((0.5, 0.5), (0.5, 0.75)), "the last is 1"),
        (((0.5, 2.0), (0.5, 1.0)), r"lie in \(0, 1\]"),
    ],
)
def test_phases_that_make_no_curriculum_are_refused(phases, message):
    with pytest.raises(ConfigError, match=message):
        CurriculumConfig(kind="scale", phases=phases)
