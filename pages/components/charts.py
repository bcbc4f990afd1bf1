"""Charts as Plotly figures: functions of numbers, without a line of Streamlit.

Numbers are fractions inside and percent on screen. `chart_style` says how all of them look.

Shapes: T thresholds, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from orandnet_core.metrics import Interval
from pages.components.chart_style import (
    COLOURS,
    DASHES,
    MARKERS,
    METRIC_LABELS,
    MOST_CLASSES,
    NEUTRAL,
    Panels,
    styled,
)

__all__ = [
    "Curve",
    "class_bars",
    "class_counts",
    "difference_intervals",
    "joint_front",
    "learning_curves",
    "metric_curves",
    "precision_recall",
]

Array = np.ndarray


@dataclass(frozen=True)
class Curve:
    """One source over all thresholds.

    Attributes:
        label: the name in the legend.
        rule: a source in `chart_style.COLOURS`; decides colour and marker.
        precision, recall, iou: (T,) means over classes, in [0, 1].
        threshold: where a marker is drawn; None draws none.
        run: which of the runs on show it belongs to; decides the dash.
        strong: drawn thicker than the others.
        flat: it is of masks, the same at every threshold: one point instead of a curve.
    """

    label: str
    rule: str
    precision: Array
    recall: Array
    iou: Array
    threshold: float | None = None
    run: int = 0
    strong: bool = False
    flat: bool = False

    @property
    def line(self) -> dict[str, str | float]:
        return {
            "color": COLOURS.get(self.rule, NEUTRAL),
            "width": 3 if self.strong else 1.6,
            "dash": DASHES[self.run % len(DASHES)],
        }

    @property
    def marker(self) -> dict[str, str | float]:
        return {
            "color": COLOURS.get(self.rule, NEUTRAL),
            "symbol": MARKERS.get(self.rule, "circle"),
            "size": 11 if self.strong else 9,
            "line": {"width": 1, "color": "rgba(128,128,128,.4)"},
        }


def metric_curves(
    curves: Sequence[Curve],
    thresholds: Array,
    metrics: Sequence[str] = ("precision", "recall", "iou"),
    at: float | None = None,
    height: int = 300,
) -> go.Figure:
    """Means against the threshold, a panel a metric, each curve's own threshold marked.

    Args:
        curves: what to draw.
        thresholds: (T,) ascending.
        metrics: names in `METRIC_LABELS`.
        at: the present threshold, a vertical line through every panel.
    """
    titles = [METRIC_LABELS[metric] for metric in metrics]
    alone = len(metrics) == 1  # then its axis is titled: a legend of several lines would cover a heading
    panels = Panels([""] if alone else titles)
    for panel, metric in enumerate(metrics):
        for curve in curves:
            values = getattr(curve, metric)
            panels.scatter(
                panel,
                x=thresholds,
                y=values,
                mode="lines",
                name=curve.label,
                legendgroup=curve.label,
                showlegend=panel == 0,
                line=curve.line,
                hovertemplate="%{y:.1%}",
            )
            if curve.threshold is not None and not curve.flat:
                panels.scatter(
                    panel,
                    x=[curve.threshold],
                    y=[_at(values, thresholds, curve.threshold)],
                    mode="markers",
                    marker=curve.marker,
                    legendgroup=curve.label,
                    showlegend=False,
                    hoverinfo="skip",
                )
    if at is not None:
        panels.vertical(at, {"color": NEUTRAL, "width": 1.2, "dash": "dot"})
    return panels.figure(
        height,
        x={"range": [0, 1], "tickformat": ".1f", "hoverformat": ".3f", "title": {"text": "threshold"}},
        y={"tickformat": "~%", "rangemode": "tozero"} | ({"title": {"text": titles[0]}} if alone else {}),
        hovermode="x unified",
        top=54,
    )


def precision_recall(curves: Sequence[Curve], thresholds: Array, height: int = 380) -> go.Figure:
    """Precision against recall, every curve's threshold marked, and the front that none of them beats.

    The front is drawn over the points of all curves: whoever stands on it is not beaten in both
    precision and recall by any source at any threshold.
    """
    figure = go.Figure()
    front_recall, front_precision = joint_front(curves)
    figure.add_scatter(
        x=front_recall,
        y=front_precision,
        mode="lines",
        name="Pareto front",
        line={"color": NEUTRAL, "width": 9},
        opacity=0.28,
        hoverinfo="skip",
    )
    for curve in curves:
        figure.add_scatter(
            x=curve.recall[:1] if curve.flat else curve.recall,
            y=curve.precision[:1] if curve.flat else curve.precision,
            customdata=thresholds,
            mode="markers" if curve.flat else "lines",
            name=curve.label,
            legendgroup=curve.label,
            line=curve.line,
            marker=curve.marker,
            hovertemplate="recall %{x:.1%}, precision %{y:.1%}"
            + ("" if curve.flat else " at %{customdata:.3f}")
            + f"<extra>{curve.label}</extra>",
        )
        if curve.threshold is not None and not curve.flat:
            figure.add_scatter(
                x=[_at(curve.recall, thresholds, curve.threshold)],
                y=[_at(curve.precision, thresholds, curve.threshold)],
                mode="markers",
                marker=curve.marker,
                legendgroup=curve.label,
                showlegend=False,
                hoverinfo="skip",
            )
    figure.update_xaxes(tickformat="~%", title_text="recall (mean over classes)")
    figure.update_yaxes(tickformat="~%", title_text="precision (mean over classes)")
    return styled(figure, height, hovermode="closest")


def classes_by_score(scores: Array) -> Array:
    """(P,) the classes with pixels, that with the best of the scores (C,) first."""
    order = np.argsort(np.where(np.isnan(scores), -1, scores))[::-1]
    return order[~np.isnan(scores[order])]


def class_bars(
    class_names: Sequence[str],
    scores: Mapping[str, Array],
    rules: Mapping[str, str],
    order: Sequence[int],
    height: int = 320,
) -> go.Figure:
    """One metric per class, a bar a source.

    Args:
        class_names: C names, background included if it is scored.
        scores: (C,) fractions by source label; NaN where a class has no pixels.
        rules: rule by source label, for the colour.
        order: the classes to show, up to `MOST_CLASSES`, from left to right.
    """
    figure = go.Figure()
    names = [class_names[index] for index in order]
    for label, values in scores.items():
        figure.add_bar(
            x=names,
            y=values[order],
            name=label,
            marker={"color": COLOURS.get(rules[label], NEUTRAL), "line": {"width": 0}},
            hovertemplate="%{x}: %{y:.1%}<extra>" + label + "</extra>",
        )
    figure.update_xaxes(tickangle=-40)
    figure.update_yaxes(tickformat="~%")
    figure.update_layout(barmode="group", bargap=0.25, bargroupgap=0.05)
    return _with_room_for_names(styled(figure, height, hovermode="closest"))


def difference_intervals(rows: Mapping[str, Mapping[str, Interval]], height: int | None = None) -> go.Figure:
    """Differences with their intervals, a panel a metric, a line a baseline, and zero to compare with.

    Args:
        rows: by baseline label, then by a name in `METRIC_LABELS`.
    """
    metrics = list(next(iter(rows.values())))
    panels = Panels([f"{METRIC_LABELS[metric]}, difference in points" for metric in metrics], share_y=True)
    for panel, metric in enumerate(metrics):
        intervals = [row[metric] for row in rows.values()]
        value, low, high = 100 * np.array([(found.value, found.low, found.high) for found in intervals]).T
        panels.scatter(
            panel,
            x=value,
            y=[f"to {label}" for label in rows],
            error_x={
                "array": high - value,
                "arrayminus": value - low,
                "thickness": 2,
                "width": 5,
                "color": NEUTRAL,
            },
            mode="markers+text",
            text=[f"{points:+.1f}" for points in value],
            textposition="top center",
            marker={
                "size": 10,
                "color": [_verdict(found) for found in intervals],
                "symbol": ["diamond" if found.excludes_zero else "circle-open" for found in intervals],
            },
            customdata=np.stack([low, high], axis=1),
            hovertemplate="%{x:+.1f} points, 95% from %{customdata[0]:+.1f} to %{customdata[1]:+.1f}"
            "<extra></extra>",
            showlegend=False,
        )
    panels.vertical(0, {"color": NEUTRAL, "width": 1.2})
    return panels.figure(
        height or 96 + 44 * len(rows),
        x={"tickformat": "+", "zeroline": False},
        y={"range": [len(rows) - 0.4, -0.75]},
        hovermode="closest",
        left=112,
        bottom=28,
    )


def learning_curves(
    runs: Mapping[str, Mapping[str, Mapping[str, tuple[Array, Array]]]], height: int = 250
) -> go.Figure:
    """What the trainings of runs reported, a panel a figure (loss, mAP, ...), a line a stage and run.

    Colour and marker say which stage, the dash which run.

    Args:
        runs: by run, then by stage, then by figure, (items done, value).
    """
    lines = [
        (position, run, stage, figures)
        for position, (run, stages) in enumerate(runs.items())
        for stage, figures in stages.items()
    ]
    names = list(dict.fromkeys(name for *_, figures in lines for name in figures))
    panels = Panels(names)
    for position, run, stage, figures in lines:
        style = stage.rsplit("-", 1)[-1]
        label = stage if len(runs) == 1 else f"{stage} · {run}"
        for name, (done, values) in figures.items():
            panels.scatter(
                names.index(name),
                x=done,
                y=values,
                mode="lines+markers" if len(done) < 40 else "lines",
                name=label,
                legendgroup=label,
                showlegend=name == next(iter(figures)),
                line={
                    "color": COLOURS.get(style, NEUTRAL),
                    "width": 1.8,
                    "dash": DASHES[position % len(DASHES)],
                },
                marker={"symbol": MARKERS.get(style, "circle"), "size": 5},
                hovertemplate="%{y:.4g} after %{x:,}<extra>" + label + "</extra>",
            )
    return panels.figure(
        height,
        x={"title": {"text": "step"}, "tickformat": "~s"},
        y={"rangemode": "tozero"},
        hovermode="closest",
        top=54 + 18 * max(0, len(lines) // 3 - 1),
    )


def class_counts(class_names: Sequence[str], counts: Mapping[str, Array], height: int = 300) -> go.Figure:
    """How many images show a class, a bar a split; of many classes those that most images show.

    Args:
        class_names: C names without background.
        counts: (C,) images by split.
    """
    figure = go.Figure()
    shown = np.arange(len(class_names))
    if len(shown) > MOST_CLASSES:
        shown = np.argsort(-sum(counts.values()), kind="stable")[:MOST_CLASSES]
    for split, colour in zip(counts, (*COLOURS.values(),) * 2, strict=False):
        figure.add_bar(
            x=[class_names[index] for index in shown],
            y=counts[split][shown],
            name=split,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{x}: %{y:,} images<extra>" + split + "</extra>",
        )
    figure.update_xaxes(tickangle=-40)
    figure.update_yaxes(title_text="images")
    figure.update_layout(barmode="group", bargap=0.25, bargroupgap=0.05)
    return _with_room_for_names(styled(figure, height, hovermode="closest"))


def _at(values: Array, thresholds: Array, threshold: float) -> float:
    return float(values[np.abs(thresholds - threshold).argmin()])


def _with_room_for_names(figure: go.Figure) -> go.Figure:
    """Class names below the bars are as long as they are."""
    return figure.update_xaxes(automargin=True)


def _verdict(interval: Interval) -> str:
    """Blue where it is surely better, orange where it is surely worse, grey in between."""
    if not interval.excludes_zero:
        return NEUTRAL
    return COLOURS["cnn"] if interval.value > 0 else COLOURS["vit"]


def joint_front(curves: Sequence[Curve]) -> tuple[Array, Array]:
    """The points of all curves that no other one beats in both, in order of recall."""
    recall = np.concatenate([curve.recall for curve in curves]) if curves else np.zeros(0)
    precision = np.concatenate([curve.precision for curve in curves]) if curves else np.zeros(0)
    finite = ~(np.isnan(recall) | np.isnan(precision))
    recall, precision = recall[finite], precision[finite]
    order = np.lexsort((-precision, -recall))
    recall, precision = recall[order], precision[order]
    best_before = (
        np.concatenate([[-np.inf], np.maximum.accumulate(precision)[:-1]]) if len(precision) else precision
    )
    on_front = precision > best_before
    return recall[on_front][::-1], precision[on_front][::-1]
