"""Charts say what the numbers say, in whatever they draw."""

import itertools

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from orandnet_core.fusion import RULES
from orandnet_core.metrics import GRID_THRESHOLDS, THRESHOLDS, Interval
from pages.components import charts, click_charts
from pages.components.chart_style import COLOURS, MARKERS, MOST_CLASSES
from pages.components.charts import Curve, joint_front
from pages.components.click_charts import clicked_image, clicked_thresholds
from pages.components.complement_charts import who_is_right

T = len(THRESHOLDS)


def curve(rule: str = "or", threshold: float | None = 0.25, **changes) -> Curve:
    rising = np.linspace(0.2, 0.9, T)
    fields = {"label": rule, "rule": rule, "precision": rising, "recall": rising[::-1], "iou": rising * 0.7}
    return Curve(**(fields | changes), threshold=threshold)


def marked(figure: go.Figure, symbol: str) -> list[go.Scatter]:
    return [trace for trace in figure.data if trace.type == "scatter" and trace.marker.symbol == symbol]


def luminance(colour: str) -> float:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("background", ["#ffffff", "#0e151b"])
@pytest.mark.parametrize("rule", list(COLOURS))
def test_every_source_is_seen_on_both_themes(rule: str, background: str):
    lighter, darker = sorted((luminance(curve(rule).line["color"]), luminance(background)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 3


def test_no_two_sources_share_colour_or_marker():
    styles = [(curve(rule).line["color"], curve(rule).marker["symbol"]) for rule in COLOURS]
    assert RULES.keys() <= COLOURS.keys() == MARKERS.keys()
    assert len({colour for colour, _ in styles}) == len(styles)
    assert len({symbol for _, symbol in styles}) == len(styles)


def test_runs_differ_by_dash():
    dashes = [curve(run=run).line["dash"] for run in range(3)]
    assert len(set(dashes)) == 3


def test_curves_are_drawn_in_full_and_marked_at_their_threshold():
    shown = curve("and", threshold=0.25)
    figure = charts.metric_curves([shown], THRESHOLDS, at=0.5)
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    points = [trace for trace in figure.data if trace.mode == "markers"]
    for line, point, metric in zip(lines, points, ("precision", "recall", "iou"), strict=True):
        values = getattr(shown, metric)
        assert np.array_equal(line.y, values)
        assert (point.x[0], point.y[0]) == (0.25, values[64])
    assert {shape.x0 for shape in figure.layout.shapes} == {0.5}


def test_a_source_without_threshold_has_no_mark():
    figure = charts.precision_recall([curve(threshold=None)], THRESHOLDS)
    assert not [trace for trace in figure.data if trace.mode == "markers"]


def on_front_by_brute_force(points: list[tuple[float, float]]) -> set[tuple[float, float]]:
    return {
        (r, p)
        for r, p in points
        if not any((r2 >= r and p2 >= p) and (r2 > r or p2 > p) for r2, p2 in points)
    }


@given(arrays(float, (2, 2, 12), elements=st.sampled_from([0, 0.25, 0.5, 0.75, 1, np.nan])))
def test_the_front_is_what_no_point_of_any_source_beats(values: np.ndarray):
    curves = [curve(precision=precision, recall=recall) for precision, recall in values]
    points = [(r, p) for p, r in zip(values[:, 0].ravel(), values[:, 1].ravel(), strict=True)]
    points = [point for point in points if not np.isnan(point).any()]
    recall, precision = joint_front(curves)
    assert set(zip(recall, precision, strict=True)) == on_front_by_brute_force(points)
    assert (np.diff(recall) > 0).all()


def test_no_curve_has_no_front():
    recall, precision = joint_front([])
    assert len(recall) == len(precision) == 0


def test_class_bars_are_in_order_and_leave_out_what_has_no_pixels():
    scores = {"A": np.array([0.2, np.nan, 0.8]), "B": np.array([0.5, np.nan, 0.1])}
    figure = charts.class_bars(
        ("background", "cat", "dog"), scores, {"A": "cnn", "B": "vit"}, charts.classes_by_score(scores["A"])
    )
    assert figure.data[0].x == ("dog", "background")
    assert tuple(figure.data[0].y) == (0.8, 0.2)
    assert tuple(figure.data[1].y) == (0.1, 0.5)


def test_a_surface_marks_the_present_pair_and_the_best_one():
    grid = np.zeros((64, 64))
    grid[10, 20] = 0.9
    figure = click_charts.surface(grid, GRID_THRESHOLDS, (0.5, 0.25), "row", "column", "mIoU")
    (star,) = marked(figure, "star")
    assert (star.y[0], star.x[0]) == (GRID_THRESHOLDS[10], GRID_THRESHOLDS[20])
    assert {(trace.y[0], trace.x[0]) for trace in marked(figure, "circle-open")} == {(0.5, 0.25)}
    unstarred = click_charts.surface(grid, GRID_THRESHOLDS, (0.5, 0.25), "row", "column", "mIoU", star=False)
    assert not marked(unstarred, "star")


def test_what_is_told_under_the_pointer_is_the_cell_that_a_click_sets():
    grid = np.arange(64 * 64).reshape(64, 64) / 4096
    figure = click_charts.surface(
        grid, GRID_THRESHOLDS, (0, 0), "row", "column", "mIoU", {"Precision": 1 - grid}
    )
    (unseen,) = marked(figure, "square")
    for index in (0, 100, 1023):
        row, column = round(unseen.y[index] * 64), round(unseen.x[index] * 64)
        assert unseen.customdata[index][0] == pytest.approx(grid[row, column], abs=1e-4)
        assert unseen.customdata[index][1] == pytest.approx(1 - grid[row, column], abs=1e-4)
    assert len(unseen.x) == 32 * 32


def test_a_surface_without_any_value_can_be_drawn():
    figure = click_charts.surface(np.full((64, 64), np.nan), GRID_THRESHOLDS, (0, 0), "row", "column", "mIoU")
    assert not marked(figure, "star")


def test_differences_are_in_points_with_their_intervals():
    rows = {"CNN": {"iou": Interval(0.031, 0.02, 0.045)}, "ViT": {"iou": Interval(-0.01, -0.03, 0.02)}}
    trace = charts.difference_intervals(rows).data[0]
    assert np.allclose(trace.x, [3.1, -1.0])
    assert np.allclose(trace.error_x.array, [1.4, 3.0])
    assert np.allclose(trace.error_x.arrayminus, [1.1, 2.0])
    assert trace.text == ("+3.1", "-1.0")
    sure, unsure = trace.marker.symbol
    assert sure != unsure


def test_learning_curves_have_a_panel_a_figure():
    steps = np.arange(3)
    stages = {
        "classify-cnn": {"Loss": (steps, steps * 0.1), "mAP": (steps, steps * 0.2)},
        "classify-vit": {"Loss": (steps, steps * 0.3)},
    }
    figure = charts.learning_curves({"run": stages})
    assert [annotation.text for annotation in figure.layout.annotations] == ["Loss", "mAP"]
    assert [(trace.name, trace.xaxis) for trace in figure.data] == [
        ("classify-cnn", "x"),
        ("classify-cnn", "x2"),
        ("classify-vit", "x"),
    ]
    assert sum(bool(trace.showlegend) for trace in figure.data) == 2


def test_two_runs_share_their_stages_colours_and_differ_by_dash():
    steps = np.arange(3)
    stages = {name: {"Loss": (steps, steps * 0.1)} for name in ("refine", "irn", "segment")}
    figure = charts.learning_curves({"a": stages, "b": stages})
    assert [trace.name for trace in figure.data[:2]] == ["refine · a", "irn · a"]
    ours, theirs = figure.data[:3], figure.data[3:]
    assert [trace.line.color for trace in ours] == [trace.line.color for trace in theirs]
    assert len({trace.line.color for trace in ours}) == 3
    assert {trace.line.dash for trace in ours}.isdisjoint(trace.line.dash for trace in theirs)


def test_class_counts_have_a_bar_a_split():
    figure = charts.class_counts(("cat", "dog"), {"train": np.array([3, 4]), "val": np.array([1, 0])})
    assert [(bar.name, tuple(bar.y)) for bar in figure.data] == [("train", (3, 4)), ("val", (1, 0))]


@pytest.mark.parametrize("selection", [{}, {"selection": {"points": []}}])
def test_nothing_clicked_is_none(selection: dict):
    assert clicked_thresholds(selection) is None
    assert clicked_image(selection) is None


def test_clicks_are_read_back():
    point = {"x": 0.25, "y": 0.5, "customdata": ["scene_0001"]}
    assert clicked_thresholds({"selection": {"points": [point]}}) == (0.5, 0.25)
    assert clicked_image({"selection": {"points": [point]}}) == "scene_0001"
    assert clicked_image({"selection": {"points": [point | {"customdata": "a/b"}]}}) == "a/b"
    assert clicked_image({"selection": {"points": [{"x": 0, "y": 0}]}}) is None


def test_images_keep_their_names_with_their_points():
    names = [f"image {i}" for i in range(5)]
    x = np.linspace(0, 1, 5)
    points = click_charts.image_scatter(names, x, 1 - x, "A", "B").data[1]
    for index, name in itertools.islice(enumerate(names), 5):
        assert (points.customdata[index], points.x[index], points.y[index]) == (name, x[index], 1 - x[index])


def test_images_that_do_not_pass_stay_in_sight_with_their_names():
    names, passes = [f"image {i}" for i in range(5)], np.array([True, False, False, True, True])
    x = np.linspace(0, 1, 5)
    _, faint, passing = click_charts.image_scatter(names, x, 1 - x, "A", "B", passes).data
    assert list(faint.customdata) == ["image 1", "image 2"]
    assert list(passing.customdata) == ["image 0", "image 3", "image 4"]
    assert passing.x.tolist() == x[passes].tolist()
    assert faint.marker.opacity < passing.marker.opacity
    assert len(click_charts.image_scatter(names, x, 1 - x, "A", "B", ~passes & passes).data) == 2


def test_figures_that_plotly_did_not_check_would_pass():
    interval = Interval(0.1, -0.1, 0.2)
    rows = {"CNN": dict.fromkeys(("precision", "recall", "iou"), interval)}
    for figure in (
        charts.metric_curves([curve("and")], THRESHOLDS, at=0.5),
        charts.difference_intervals(rows),
    ):
        assert go.Figure(figure.to_dict()).to_dict().keys() == figure.to_dict().keys()


def test_of_a_thousand_classes_those_are_shown_that_most_images_show():
    names = [f"class {k}" for k in range(1000)]
    counts = {"train": np.arange(1000), "val": np.zeros(1000, int)}
    train, val = charts.class_counts(names, counts).data
    assert list(train.x) == names[: -1 - MOST_CLASSES : -1]
    assert list(train.y) == list(range(999, 999 - MOST_CLASSES, -1))
    assert len(val.x) == MOST_CLASSES
    right = np.stack([np.arange(1000), np.ones(1000, int), np.ones(1000, int)], axis=1)
    assert set(who_is_right(names, right, "A", "B").data[0].y) == set(train.x)
