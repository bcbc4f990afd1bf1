"""Charts of the Errors page: slices by what they would give back."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from orandnet_core.mining import KINDS, Slice
from orandnet_core.mining.picture import SIDE_ERRORS
from orandnet_core.render import error_colours
from pages.components.chart_style import NEUTRAL, styled

__all__ = ["SIDE_COLOURS", "clicked_slice", "slice_bars"]

SIDE_COLOURS = {
    side: "#{:02X}{:02X}{:02X}".format(*error_colours()[error][:3]) for side, error in SIDE_ERRORS.items()
}
_BAR_PX = 30


def slice_bars(slices: Sequence[Slice], labels: Mapping[str, str], by: str, metric: str) -> go.Figure:
    """Horizontal bars, the slice that gives back most on top; a click tells which.

    Args:
        slices: in the order to draw.
        labels: by slice key.
        by: the mean: "iou", "precision" or "recall".
        metric: its name on screen.
    """
    figure = go.Figure()
    for side, colour in SIDE_COLOURS.items():
        mine = [each for each in slices if KINDS[each.where["kind"]].side == side]
        figure.add_bar(
            x=[100 * each.gains[by] for each in mine],
            y=[labels[each.key] for each in mine],
            customdata=[[each.key, each.pixels, each.images] for each in mine],
            name=side,
            orientation="h",
            marker={"color": colour, "line": {"width": 0}},
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            hovertemplate=f"%{{y}}<br>%{{x:+.2f}} points of {metric}, %{{customdata[1]:,}} pixels in "
            "%{customdata[2]:,} images<extra>click to see them</extra>",
        )
    figure.update_yaxes(
        categoryorder="array", categoryarray=[labels[each.key] for each in slices], autorange="reversed"
    )
    figure.update_xaxes(title_text=f"points of {metric} given back", zeroline=True, zerolinecolor=NEUTRAL)
    figure.update_layout(barmode="overlay", bargap=0.28, clickmode="event+select", dragmode=False)
    styled(figure, 96 + _BAR_PX * len(slices), hovermode="closest")
    return figure.update_yaxes(automargin=True)  # labels are as long as they are


def clicked_slice(selection: Mapping) -> str | None:
    """The key of the slice whose bar was clicked; None where none was."""
    points = selection.get("selection", {}).get("points", [])
    return str(points[0]["customdata"][0]) if points and points[0].get("customdata") else None
