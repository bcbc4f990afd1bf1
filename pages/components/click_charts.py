"""Charts that are controls: an image or a pair of thresholds is chosen by a click.

Shapes: N images, G thresholds of a grid.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from pages.components.chart_style import COLOURS, NEUTRAL, styled

__all__ = ["clicked_image", "clicked_thresholds", "image_scatter", "surface"]

Array = np.ndarray

_SCALE = "Cividis"  # even in lightness, the same to colour-blind eyes


def image_scatter(
    image_ids: Sequence[str],
    x: Array,
    y: Array,
    x_label: str,
    y_label: str,
    passes: Array | None = None,
    height: int = 380,
) -> go.Figure:
    """Every image by its score under two sources; above the diagonal the second one is better.

    Args:
        image_ids: N names, kept with the points for `clicked_image`.
        x, y: (N,) fractions.
        passes: (N,) bool: the others stay in sight, faint and grey.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": NEUTRAL, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    passes = np.ones(len(x), bool) if passes is None else passes
    coloured = {
        "size": 7,
        "opacity": 0.75,
        "color": (y - x)[passes],
        "colorscale": [[0, COLOURS["vit"]], [0.5, "#B8B8B8"], [1, COLOURS["cnn"]]],
        "cmid": 0,
        "line": {"width": 0},
    }
    faint = {"size": 5, "opacity": 0.3, "color": NEUTRAL, "line": {"width": 0}}
    for points, marker in ((~passes, faint), (passes, coloured)):
        if points.any():
            figure.add_scatter(
                x=x[points],
                y=y[points],
                customdata=[image_ids[index] for index in np.flatnonzero(points)],
                mode="markers",
                marker=marker,
                hovertemplate=f"%{{customdata}}<br>{x_label} %{{x:.1%}}<br>{y_label} %{{y:.1%}}"
                "<extra></extra>",
            )
    figure.update_xaxes(range=[-0.02, 1.02], tickformat="~%", title_text=x_label)
    figure.update_yaxes(range=[-0.02, 1.02], tickformat="~%", title_text=y_label)
    figure.update_layout(showlegend=False, clickmode="event+select", dragmode=False)
    return styled(figure, height, hovermode="closest")


def surface(
    values: Array,
    thresholds: Array,
    at: tuple[float, float],
    row_label: str,
    column_label: str,
    title: str,
    details: Mapping[str, Array] | None = None,
    star: bool = True,
    height: int = 380,
) -> go.Figure:
    """A score over two thresholds, with the present pair and the best one marked.

    Args:
        values: (G, G) fractions, [row threshold, column threshold]; NaN is left blank.
        thresholds: (G,) ascending, the same for both.
        at: the present (row, column) pair.
        row_label, column_label: axis titles; rows go up, columns to the right.
        title: what `values` is.
        details: further (G, G) fractions by name, told under the pointer.
        star: mark the pair with the highest value.
    """
    details = details or {}
    figure = go.Figure()
    figure.add_heatmap(
        z=values,
        x=thresholds,
        y=thresholds,
        colorscale=_SCALE,
        hoverinfo="skip",
        colorbar={"tickformat": "~%", "thickness": 10, "outlinewidth": 0, "len": 0.9},
    )
    # Plotly tells no click on a heat map's cells; unseen points on every second one do.
    rows, columns = (grid.ravel() for grid in np.mgrid[0 : len(thresholds) : 2, 0 : len(thresholds) : 2])
    told = {title: values} | dict(details)
    figure.add_scatter(
        x=thresholds[columns],
        y=thresholds[rows],
        customdata=np.stack([np.round(grid[rows, columns], 4) for grid in told.values()], axis=1),
        mode="markers",
        marker={"size": 10, "opacity": 0, "symbol": "square"},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        hovertemplate=f"{column_label} %{{x:.3f}}, {row_label} %{{y:.3f}}<br>"
        + "<br>".join(f"{name} %{{customdata[{i}]:.1%}}" for i, name in enumerate(told))
        + "<extra>click to set</extra>",
    )
    if star and not np.isnan(values).all():
        best_row, best_column = np.unravel_index(np.nanargmax(values), values.shape)
        figure.add_scatter(
            x=[thresholds[best_column]],
            y=[thresholds[best_row]],
            mode="markers",
            cliponaxis=False,
            marker={
                "symbol": "star",
                "size": 13,
                "color": "#FFFFFF",
                "line": {"width": 1, "color": "#222222"},
            },
            hoverinfo="skip",
        )
    for width, colour in ((5, "#FFFFFF"), (2.5, "#CC3344")):
        figure.add_scatter(
            x=[at[1]],
            y=[at[0]],
            mode="markers",
            cliponaxis=False,
            marker={"symbol": "circle-open", "size": 16, "color": colour, "line": {"width": width}},
            hoverinfo="skip",
        )
    figure.update_xaxes(
        title_text=column_label, range=[0, thresholds[-1]], tickformat=".1f", constrain="domain"
    )
    figure.update_yaxes(title_text=row_label, range=[0, thresholds[-1]], tickformat=".1f")
    figure.update_layout(
        showlegend=False,
        clickmode="event+select",
        dragmode=False,
        hoverdistance=14,
        title={"text": title, "font": {"size": 13}, "x": 0, "xanchor": "left", "y": 0.99, "yanchor": "top"},
    )
    return styled(figure, height, hovermode="closest", top=30)


def clicked_thresholds(selection: Mapping) -> tuple[float, float] | None:
    """The (row, column) pair that was clicked in a `surface`; None where nothing was."""
    point = _clicked_point(selection)
    return None if point is None else (float(point["y"]), float(point["x"]))


def clicked_image(selection: Mapping) -> str | None:
    """The image that was clicked in an `image_scatter`; None where nothing was."""
    point = _clicked_point(selection)
    if point is None or not point.get("customdata"):
        return None
    image_id = point["customdata"]
    return str(image_id[0] if isinstance(image_id, list | tuple) else image_id)


def _clicked_point(selection: Mapping) -> Mapping | None:
    points = selection.get("selection", {}).get("points", [])
    return points[0] if points else None
