"""Charts of the Complement page: what picking between two sources is worth, and who is right per class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from orandnet_core.metrics import Metrics
from pages.components.chart_style import COLOURS, METRIC_LABELS, MOST_CLASSES, NEUTRAL, Panels, styled

__all__ = ["Reached", "reached_scores", "who_is_right"]

FIRST, NEITHER, SECOND = COLOURS["cnn"], "#B8BCC4", COLOURS["vit"]


@dataclass(frozen=True)
class Reached:
    """What one way to a mask reaches.

    Attributes:
        label: the way.
        metrics: its scores.
        colour: of its marker.
        honest: whether it could be had without seeing what is scored; hollow where not.
    """

    label: str
    metrics: Metrics
    colour: str
    honest: bool = True


def reached_scores(ways: Sequence[Reached]) -> go.Figure:
    """A panel a score, a line a way, from first to last as given."""
    panels = Panels([METRIC_LABELS[name] for name in METRIC_LABELS], share_y=True)
    for panel, name in enumerate(METRIC_LABELS):
        values = [float(way.metrics.mean(name)) for way in ways]
        panels.scatter(
            panel,
            x=values,
            y=[way.label for way in ways],
            mode="markers+text",
            text=[f"{value:.1%}" for value in values],
            textposition="middle right",
            marker={
                "size": 11,
                "color": [way.colour for way in ways],
                "symbol": ["circle" if way.honest else "circle-open" for way in ways],
                "line": {"width": 2, "color": [way.colour for way in ways]},
            },
            cliponaxis=False,
            showlegend=False,
            hovertemplate="%{y}: %{x:.2%}<extra></extra>",
        )
    return panels.figure(
        64 + 30 * len(ways),
        x={"tickformat": "~%", "range": _range(ways)},
        y={"range": [len(ways) - 0.5, -0.5]},
        hovermode="closest",
        left=190,
        bottom=28,
    )


def who_is_right(class_names: Sequence[str], right: np.ndarray, first: str, second: str) -> go.Figure:
    """Of the pixels of a class on which both differ, the shares that one, none or the other has right.

    Of many classes those that have most such pixels.

    Args:
        class_names: C names with background.
        right: (C, 3) pixels: only the first right, only the second, neither.
        first, second: names of the sources.
    """
    total = right.sum(axis=1)
    shares = right / np.maximum(total, 1)[:, None]
    most = set(np.argsort(-total, kind="stable")[:MOST_CLASSES].tolist())
    order = [
        label for label in np.argsort(shares[:, 0] - shares[:, 1]).tolist() if total[label] and label in most
    ]
    names = [class_names[label] for label in order]
    figure = go.Figure()
    for column, name, colour in (
        (0, f"{first} right", FIRST), (2, "neither", NEITHER), (1, f"{second} right", SECOND)
    ):  # fmt: skip
        figure.add_bar(
            x=[shares[label, column] for label in order],
            y=names,
            customdata=[int(right[label, column]) for label in order],
            name=name,
            orientation="h",
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{y}: %{x:.1%}, %{customdata:,} pixels<extra>" + name + "</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.22, legend_traceorder="normal")
    figure.update_xaxes(tickformat="~%", title_text="of the pixels on which both differ", range=[0, 1])
    figure.add_vline(0.5, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
    return styled(figure, 96 + 24 * len(order), hovermode="closest").update_yaxes(automargin=True)


def _range(ways: Sequence[Reached]) -> list[float]:
    """One range for all panels, with room for the numbers."""
    values = [float(way.metrics.mean(name)) for way in ways for name in METRIC_LABELS]
    low, high = np.nanmin(values), np.nanmax(values)
    return [max(0.0, low - 0.08), min(1.15, high + 0.16)]
