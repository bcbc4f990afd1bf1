import numpy as np
import pytest

from orandnet_core.errors import DataError, RangeError
from orandnet_core.metrics import (
    ImageCounts,
    Interval,
    bootstrap,
    difference,
    intervals,
    precision_at_recall_difference,
    sweep,
)
from orandnet_core.metrics.confusion import MEANS


@pytest.fixture(scope="module")
def counts(make_images, count_images):
    return count_images(make_images(seed=21, count=12))


def test_resamples_equal_scoring_the_images_drawn(counts):
    result = bootstrap(counts, resamples=5, seed=3)
    rng = np.random.default_rng(3)
    for row in range(1, 6):
        drawn = [counts.image_ids[position] for position in rng.integers(12, size=12)]
        metrics = counts.select(drawn).total().metrics
        for name in MEANS:
            np.testing.assert_allclose(getattr(result, name)[row], metrics.mean(name), rtol=1e-12)
    for name in MEANS:
        np.testing.assert_allclose(getattr(result, name)[0], counts.total().metrics.mean(name), rtol=1e-12)


def test_blocks_and_groups_do_not_change_the_result(counts, monkeypatch):
    whole = bootstrap(counts, resamples=20)
    monkeypatch.setattr(intervals, "_GROUP_BYTES", 1)
    monkeypatch.setattr(sweep, "_BLOCK", 5)
    assert [len(block.image_ids) for block in counts.blocks()] == [5, 5, 2]
    in_blocks = bootstrap(counts, resamples=20)
    np.testing.assert_allclose(whole.iou, in_blocks.iou, rtol=1e-12)


def test_intervals_cover_a_known_spread():
    """200 images, each all right or all wrong: the mean's interval is the binomial one."""
    rng = np.random.default_rng(0)
    right = rng.random(200) < 0.7
    levels = np.zeros((200, 257), np.uint32)
    levels[:, 256] = 100
    counts = ImageCounts(
        num_classes=2,
        image_ids=tuple(map(str, range(200))),
        image=np.arange(200, dtype=np.int32),
        predicted=np.ones(200, np.int32),
        target=right.astype(np.int32),
        levels=levels,
    )
    interval = bootstrap(counts, resamples=2000).interval("precision", 0.5)
    # Background is never predicted (precision 0), so the mean is half the foreground's.
    share, spread = right.mean() / 2, 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / 200) / 2
    assert interval.value == pytest.approx(share)
    assert interval.low == pytest.approx(share - spread, abs=0.005)
    assert interval.high == pytest.approx(share + spread, abs=0.005)


def test_a_paired_difference_is_taken_on_the_same_resamples(counts, make_images, count_images):
    worse_images = [image._replace(cam=image.cam[:, ::-1] ** 2) for image in make_images(seed=21, count=12)]
    ours, theirs = bootstrap(counts, 200), bootstrap(count_images(worse_images), 200)
    found = difference(ours, 0.5, theirs, 0.25)
    differences = ours.iou[:, 128] - theirs.iou[:, 64]
    assert found.value == differences[0]
    assert (found.low, found.high) == tuple(np.quantile(differences[1:], [0.025, 0.975]))
    itself = difference(ours, 0.5, ours, 0.5, "recall")
    assert (itself.value, itself.low, itself.high) == (0, 0, 0)
    assert not itself.excludes_zero


def test_precision_at_recall_comes_with_its_interval(counts):
    result = bootstrap(counts, 100)
    interval = result.precision_at_recall_interval(0.3)
    assert interval.low <= interval.value <= interval.high
    assert precision_at_recall_difference(result, result, 0.3).value == 0
    out_of_reach = result.precision_at_recall_interval(1.0)
    assert np.isnan([out_of_reach.value, out_of_reach.low, out_of_reach.high]).all()
    assert not out_of_reach.excludes_zero


def test_intervals_know_zero():
    assert Interval(0.2, 0.1, 0.3).excludes_zero
    assert Interval(-0.2, -0.3, -0.1).excludes_zero
    assert not Interval(0.0, -0.1, 0.1).excludes_zero


def test_errors_name_what_was_found(counts):
    result = bootstrap(counts, 10)
    with pytest.raises(DataError, match=r"12 images \(seed 0\) against 12 \(seed 1\)"):
        difference(result, 0.5, bootstrap(counts, 10, seed=1), 0.5)
    with pytest.raises(DataError, match="against 11"):
        precision_at_recall_difference(result, bootstrap(counts.select(counts.image_ids[1:]), 10), 0.5)
    with pytest.raises(RangeError, match="'accuracy'"):
        result.at("accuracy", 0.5)
    with pytest.raises(DataError, match="no image"):
        bootstrap(ImageCounts.merged([], 3))


def test_a_thousand_classes_cost_no_more_than_the_images_show(make_images, count_images, monkeypatch):
    images, scored = make_images(seed=21, count=12), []
    class_scores = intervals.class_scores
    monkeypatch.setattr(intervals, "class_scores", lambda *a: scored.append(1) or class_scores(*a))
    few = bootstrap(count_images(images, 5), resamples=20)
    calls = len(scored)
    many = bootstrap(count_images(images, 1001), resamples=20)
    assert len(scored) == 2 * calls
    np.testing.assert_array_equal(many.iou, few.iou)
    np.testing.assert_array_equal(many.precision, few.precision)
