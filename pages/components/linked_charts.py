"""Charts to brush: a box dragged over one says which images are meant.

Grey is the whole split, colour what passes the filter. Functions of numbers, without Streamlit.

Shapes: N images, T thresholds.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from pages.components.chart_style import CHART_CONFIG, COLOURS, NEUTRAL, styled

__all__ = [
    "BRUSH_CONFIG",
    "Box",
    "brushed",
    "clicked_names",
    "mark_box",
    "score_histogram",
    "with_best_thresholds",
]

Array = np.ndarray

# As other charts, with the button that brings the brush back after a zoom.
BRUSH_CONFIG = CHART_CONFIG | {
    "modeBarButtonsToRemove": [name for name in CHART_CONFIG["modeBarButtonsToRemove"] if name != "select2d"]
}
_SCORE_BINS = 20
_THRESHOLD_BINS = 32
_FAINT = 0.28  # of the bars of the whole split, which pass under the others


_MARK = {
    "line": {"color": NEUTRAL, "width": 1.4, "dash": "dash"},
    "fillcolor": NEUTRAL,
    "opacity": 0.16,
    "layer": "below",
}


class Box(NamedTuple):
    """What a brush covers: ranges in [0, 1] of a chart's axes."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float


def brushed(selection: Mapping) -> Box | None:
    """The newest box of a chart's selection, cut to [0, 1]; None where nothing was brushed."""
    boxes = selection.get("selection", {}).get("box", [])
    if not boxes:
        return None
    ends = [sorted(min(max(float(end), 0.0), 1.0) for end in boxes[-1][axis]) for axis in ("x", "y")]
    return Box(*ends[0], *ends[1])


def _brush_across(figure: go.Figure) -> go.Figure:
    """The figure with a brush along its horizontal axis in the place of the zoom."""
    return figure.update_layout(dragmode="select", selectdirection="h", clickmode="event+select")


def clicked_names(selection: Mapping) -> tuple[tuple[str, ...], bool]:
    """The names along the horizontal axis of what was selected, and whether by a brush (else by a click)."""
    found = selection.get("selection", {})
    names = dict.fromkeys(str(point["x"]) for point in found.get("points", []) if "x" in point)
    return tuple(names), bool(found.get("box"))


def score_histogram(
    scores: Array,
    passes: Array,
    label: str,
    rule: str,
    within: tuple[float, float] | None = None,
    height: int = 380,
) -> go.Figure:
    """How many images have which mIoU of their own under a source.

    Args:
        scores: (N,) fractions; NaN leaves an image out.
        passes: (N,) bool, which images pass the filter.
        label: the source's name on screen.
        rule: the source in `chart_style.COLOURS`.
        within: the range that filters, marked.
    """
    figure = go.Figure()
    _add_bars(
        figure, scores, passes, _SCORE_BINS, COLOURS.get(rule, NEUTRAL), "%{y:,} images, mIoU %{customdata}"
    )
    if within is not None:
        _mark(figure, within)
    figure.update_xaxes(
        range=[-0.01, 1.01], tickformat="~%", title_text=f"mIoU of {label}, each image by itself"
    )
    figure.update_yaxes(title_text="images", rangemode="tozero")
    _brush_across(figure).update_layout(barmode="overlay", bargap=0.06)
    return styled(figure, height, hovermode="closest")


def with_best_thresholds(
    figure: go.Figure, best: Array, passes: Array, label: str, within: tuple[float, float] | None = None
) -> go.Figure:
    """A chart over thresholds with how many images are best at which, as bars from its floor.

    Args:
        figure: of `charts.metric_curves`, with one panel.
        best: (N,) each image's own best threshold; NaN leaves it out.
        passes: (N,) bool, which images pass the filter.
        label: the source whose thresholds these are.
        within: the range that filters, marked.
    """
    told = f"%{{y:,}} images are best under {label} at %{{customdata}}"
    highest = _add_bars(figure, best, passes, _THRESHOLD_BINS, NEUTRAL, told, yaxis="y2")
    figure.update_layout(
        yaxis2={
            "overlaying": "y",
            "range": [0, 4 * max(highest, 1)],  # the curves keep the upper part
            "visible": False,
            "fixedrange": True,
        },
    )
    if within is not None:
        _mark(figure, within)
    _brush_across(figure).update_layout(barmode="overlay", bargap=0.06)
    return figure


def mark_box(figure: go.Figure, across: tuple[float, float], up: tuple[float, float]) -> None:
    """Mark the box that filters, by its ranges along both axes."""
    figure.add_shape(type="rect", x0=across[0], x1=across[1], y0=up[0], y1=up[1], **_MARK)


def _mark(figure: go.Figure, within: tuple[float, float]) -> None:
    figure.add_shape(type="rect", x0=within[0], x1=within[1], y0=0, y1=1, xref="x", yref="y domain", **_MARK)


def _add_bars(
    figure: go.Figure, values: Array, passes: Array, bins: int, colour: str, told: str, **axes: str
) -> int:
    """Bars of a histogram over [0, 1], of all and of what passes; returns the height of the highest."""
    edges = np.linspace(0, 1, bins + 1)
    known = ~np.isnan(values)
    counts = [np.histogram(values[each], edges)[0] for each in (known, known & passes)]
    ranges = [f"{low:.3g} to {high:.3g}" for low, high in zip(edges[:-1], edges[1:], strict=True)]
    filtered = not passes[known].all()
    shown = [(counts[0], NEUTRAL, _FAINT)] * filtered + [(counts[1], colour, 0.9)]
    for heights, fill, opacity in shown:
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=heights,
            width=1 / bins * 0.94,
            customdata=ranges,
            marker={"color": fill, "opacity": opacity, "line": {"width": 0}},
            hovertemplate=f"{told}<extra></extra>",
            showlegend=False,
            **axes,
        )
    return int(counts[0].max(initial=0))
