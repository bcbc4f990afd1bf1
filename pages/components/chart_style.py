"""How charts look: colours and markers by source, the axes' manners, and panels side by side.

Axes, fonts and background come from the app's theme, in the browser; only what carries meaning is
coloured here, in tones that keep a contrast of 3:1 on white and on the dark theme alike. Colour is
never alone: a source also has its own marker, a run its own dash.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

__all__ = [
    "AXIS",
    "CHART_CONFIG",
    "COLOURS",
    "DASHES",
    "MARKERS",
    "METRIC_LABELS",
    "MOST_CLASSES",
    "NEUTRAL",
    "Panels",
    "layout",
    "styled",
]

METRIC_LABELS = {"precision": "Precision", "recall": "Recall", "iou": "mIoU"}

# Told apart with protanopia, deuteranopia and tritanopia, and in print by their markers.
COLOURS = {
    "cnn": "#0077BB",
    "vit": "#D9631E",
    "mean": "#7F7F7F",
    "or": "#CC3344",
    "and": "#009988",
    "max": "#C2549D",
    "min": "#2C9BC9",
    "geometric_mean": "#8C6BB1",
    "xor": "#A08878",
    "noisy_or": "#A67C00",
    "refine": "#3F8F2F",
    "crf": "#7A6FF0",
    "walk": "#B0528A",
    "masks": "#7D8B00",
    "segment": "#C46A4A",
    "irn": "#4F8A8B",
}
MARKERS = {
    "cnn": "circle",
    "vit": "square",
    "mean": "x",
    "or": "triangle-up",
    "and": "diamond",
    "max": "triangle-left",
    "min": "triangle-right",
    "geometric_mean": "pentagon",
    "xor": "cross",
    "noisy_or": "hexagon",
    "refine": "triangle-down",
    "crf": "star-square",
    "walk": "star",
    "masks": "hourglass",
    "segment": "bowtie",
    "irn": "hexagram",
}
MOST_CLASSES = 40  # side by side; more names than that cannot be read
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
NEUTRAL = "#8A8F98"
_GAP = 0.05  # between panels, of the figure's width
# Margins are set, not found: Plotly finds them by drawing twice, while a slider moves.
AXIS = {"automargin": False, "title_standoff": 6}

CHART_CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d", "pan2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}


class Panels:
    """Charts side by side, gathered first and handed to Plotly once: it checks every piece that is
    added by itself, which takes several times as long, and these are drawn anew as a slider moves.

    Args:
        titles: one a panel.
        share_y: one vertical axis for all, labelled on the left.
    """

    def __init__(self, titles: Sequence[str], share_y: bool = False):
        self._count, self._share_y = len(titles), share_y
        width = (1 - _GAP * (len(titles) - 1)) / len(titles)
        self._domains = [(start, start + width) for start in np.arange(len(titles)) * (width + _GAP)]
        self._traces: list[dict] = []
        self._shapes: list[dict] = []
        self._titles = [
            {
                "text": title,
                "x": sum(domain) / 2,
                "y": 1,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "center",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 13},
            }
            for title, domain in zip(titles, self._domains, strict=True)
        ]

    def scatter(self, panel: int, **properties: object) -> None:
        """Add a trace to a panel; the first is 0."""
        x, y = _axes(panel)
        self._traces.append({"type": "scatter", "xaxis": x, "yaxis": y, **properties})

    def vertical(self, at: float, line: dict[str, object]) -> None:
        """A line from bottom to top of every panel."""
        for panel in range(self._count):
            x, y = _axes(panel)
            ends = {"x0": at, "x1": at, "y0": 0, "y1": 1, "xref": x, "yref": f"{y} domain"}
            self._shapes.append({"type": "line", "line": line, **ends})

    def figure(
        self, height: int, x: dict[str, object], y: dict[str, object], hovermode: str, **margins: int
    ) -> go.Figure:
        """The figure; `x` and `y` are properties of every panel's axes, `margins` as `layout` takes them."""
        axes: dict[str, object] = {"annotations": self._titles, "shapes": self._shapes}
        for panel, domain in enumerate(self._domains):
            own_x, own_y = _axes(panel)
            shared: dict[str, object] = {}
            if self._share_y and panel:
                shared = {"matches": "y", "showticklabels": False, "title": {"text": ""}}
            axes[own_x.replace("x", "xaxis")] = {"domain": domain, "anchor": own_y, **AXIS, **x}
            axes[own_y.replace("y", "yaxis")] = {"anchor": own_x, **AXIS, **y, **shared}
        content = {"data": self._traces, "layout": axes | layout(height, hovermode, **margins)}
        # Checked by tests, not at every move of a slider: that is most of what a figure costs.
        return go.Figure(content, _validate=False)


def _axes(panel: int) -> tuple[str, str]:
    """Plotly's names of a panel's axes: the first has no number."""
    return (f"x{panel + 1}", f"y{panel + 1}") if panel else ("x", "y")


def styled(figure: go.Figure, height: int, hovermode: str, **margins: int) -> go.Figure:
    """The figure with what all charts have in common; `margins` as `layout` takes them."""
    figure.update_layout(layout(height, hovermode, **margins))
    figure.update_xaxes(AXIS)
    figure.update_yaxes(AXIS)
    return figure


def layout(
    height: int, hovermode: str, *, top: int = 34, left: int = 58, bottom: int = 46
) -> dict[str, object]:
    """What all charts have in common; the legend lies above the plot, in `top` pixels."""
    return {
        "height": height,
        "margin": {"l": left, "r": 10, "t": top, "b": bottom},
        "hovermode": hovermode,
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
        },
        "hoverlabel": {"namelength": -1},
    }
