"""The canvas keeps picture and labels in step."""

import numpy as np
import pytest

from orandnet_core.scenes.canvas import SUPERSAMPLE, Canvas, Paint, mix
from orandnet_core.scenes.pen import ellipse, rounded, scallops, smooth

RED, BLUE = Paint(((220, 30, 30),), grain=0), Paint(((30, 30, 220),), grain=0)
SQUARE = np.array([(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)])


@pytest.fixture
def canvas():
    return Canvas(40, 40, np.random.default_rng(0))


def test_a_shape_is_labelled_where_it_is_painted(canvas):
    canvas.fill(SQUARE, RED, label=3)
    image, mask = canvas.finish()
    assert (image.shape, image.dtype, mask.shape, mask.dtype) == ((40, 40, 3), np.uint8, (40, 40), np.uint8)
    inside = np.zeros((40, 40), bool)
    inside[11:29, 11:29] = True
    outside = np.ones((40, 40), bool)
    outside[9:31, 9:31] = False
    assert (mask[inside] == 3).all()
    assert (mask[outside] == 0).all()
    assert (image[inside][:, 0] > 150).all()
    assert (image[outside] < 20).all()


def test_what_covers_an_object_covers_its_mask(canvas):
    canvas.fill(SQUARE, RED, label=3)
    canvas.fill(SQUARE * (0.6, 1), BLUE)
    canvas.fill(SQUARE * (1, 0.6), BLUE, label=2)
    mask = canvas.finish()[1]
    assert set(np.unique(mask)) == {0, 2, 3}
    assert mask[25, 15] == 0
    assert mask[15, 25] == 2
    assert mask[27, 27] == 3


def test_translucent_paint_leaves_labels_alone(canvas):
    canvas.fill(SQUARE, RED, label=3)
    before = np.asarray(canvas.labels).copy()
    canvas.glaze(SQUARE - 0.1, BLUE, 0.5, blur=0.05)
    canvas.shadow(SQUARE + 0.1, (0, 0, 0), 0.5, 0.05, (0.02, 0.02))
    canvas.glow((0.5, 0.5), 0.4, (255, 255, 255), 0.8)
    np.testing.assert_array_equal(np.asarray(canvas.labels), before)
    assert canvas.finish()[0][20, 20, 2] > 100


def test_a_pixel_has_the_label_that_covers_most_of_it(canvas):
    labels = np.zeros((40 * SUPERSAMPLE, 40 * SUPERSAMPLE), np.uint8)
    labels[0, :3] = 1  # half of the first pixel, a quarter of the second
    labels[1, 0] = 1
    canvas.labels.frombytes(labels.tobytes())
    mask = canvas.finish()[1]
    assert mask[0, :3].tolist() == [1, 0, 0]


@pytest.mark.parametrize("shift", [(-2, 0), (0, 2), (5, 5)])
def test_shapes_off_the_canvas_do_nothing(canvas, shift):
    before = np.asarray(canvas.picture).copy()
    canvas.fill(SQUARE + shift, RED, label=1)
    canvas.glaze(SQUARE + shift, RED, 0.5, blur=0.01)
    canvas.glow((0.5 + shift[0], 0.5 + shift[1]), 0.3, (255, 255, 255), 1)
    np.testing.assert_array_equal(np.asarray(canvas.picture), before)
    assert not canvas.finish()[1].any()


def test_a_gradient_runs_along_its_angle(canvas):
    whole = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    canvas.fill(whole, Paint(((0, 0, 0), (255, 255, 255)), angle=90, grain=0))
    rows = canvas.finish()[0].mean((1, 2))
    assert (np.diff(rows[2:-6]) > 0).all()
    canvas.fill(whole, Paint(((0, 0, 0), (255, 255, 255)), angle=180, grain=0))
    columns = canvas.finish()[0].mean((0, 2))
    assert (np.diff(columns[6:-2]) < 0).all()


def test_mix():
    assert mix((0, 0, 0), (100, 200, 50), 0.5) == (50, 100, 25)


def test_outlines():
    assert ellipse(1, 2, 3, 4)[0].tolist() == [4, 2]
    np.testing.assert_allclose(ellipse(0, 0, 1, 1, 0, 90)[-1], (0, 1), atol=1e-12)
    box = rounded(0, 0, 2, 1, 0.25)
    np.testing.assert_allclose([box.min(0), box.max(0)], [(0, 0), (2, 1)])
    assert np.abs(box).sum(1).min() > 0.14  # the corner is cut
    points = [(0, 0), (1, 2), (3, 1)]
    for closed in (True, False):
        curve = smooth(points, closed=closed)
        assert all(np.isclose(curve, point).all(1).any() for point in points)
    radii = np.hypot(*scallops(0, 0, 1, 1, 8, 0.2).T)
    assert radii.min() == pytest.approx(1)
    assert 1.15 < radii.max() <= 1.2 + 1e-9
