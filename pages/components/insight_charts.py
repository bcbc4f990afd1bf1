"""Charts of Compare's closer looks: differences per class, and regret against annotated images."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from orandnet_core.metrics import THRESHOLD_RULES
from orandnet_core.metrics.budget import Budget
from orandnet_core.metrics.paired import PairedTest
from pages.components.chart_style import COLOURS, NEUTRAL, styled

__all__ = ["budget_curves", "class_differences"]

SIGNIFICANT = 0.05
_RULES = {
    "calibrated": (COLOURS["cnn"], "circle"),
    "precision_over_recall": (COLOURS["vit"], "square"),
    "precision_target": (COLOURS["or"], "triangle-up"),
    "no_labels": (COLOURS["and"], "diamond"),
    "fixed": (NEUTRAL, "x"),
}


def class_differences(class_names: Sequence[str], test: PairedTest, metric: str) -> go.Figure:
    """A class a line: the difference in points with its interval, filled where it is more than chance.

    Args:
        class_names: C names with background.
        test: of one score.
        metric: its name on screen, for one class.
    """
    order = [label for label in np.argsort(test.per_class) if not np.isnan(test.per_class[label])]
    value, low, high = (100 * each[order] for each in (test.per_class, test.low, test.high))
    sure = test.p_holm[order] < SIGNIFICANT
    colours = [
        NEUTRAL if not certain else COLOURS["cnn"] if points > 0 else COLOURS["vit"]
        for certain, points in zip(sure, value, strict=True)
    ]
    figure = go.Figure()
    figure.add_scatter(
        x=value,
        y=[class_names[label] for label in order],
        error_x={
            "array": high - value,
            "arrayminus": value - low,
            "color": NEUTRAL,
            "thickness": 1.6,
            "width": 4,
        },
        mode="markers",
        marker={
            "size": 9,
            "color": colours,
            "symbol": ["diamond" if each else "circle-open" for each in sure],
        },
        customdata=np.stack([low, high, test.p_class[order], test.p_holm[order]], axis=1),
        hovertemplate="%{y}: %{x:+.1f} points, 95% from %{customdata[0]:+.1f} to %{customdata[1]:+.1f}<br>"
        "p %{customdata[2]:.4f}, corrected %{customdata[3]:.4f}<extra></extra>",
        showlegend=False,
    )
    figure.add_vline(0, line={"color": NEUTRAL, "width": 1.2})
    figure.update_xaxes(title_text=f"difference in {metric}, points", tickformat="+", zeroline=False)
    return styled(figure, 76 + 22 * len(order), hovermode="closest").update_yaxes(automargin=True)


def budget_curves(found: Budget, height: int = 380) -> go.Figure:
    """Regret against annotated images, a line a rule, with the band of the middle 95% of the draws."""
    figure = go.Figure()
    sizes = list(found.sizes)
    for rule in found.regret:
        colour, symbol = _RULES[rule]
        mean, low, high = (100 * each for each in found.band(rule))
        label = THRESHOLD_RULES[rule].label
        figure.add_scatter(
            x=sizes + sizes[::-1], y=[*high, *low[::-1]], fill="toself", mode="lines",
            fillcolor=_faint(colour),
            line={"width": 0}, hoverinfo="skip", showlegend=False, legendgroup=rule,
        )  # fmt: skip
        figure.add_scatter(
            x=sizes, y=mean, name=label, legendgroup=rule, mode="lines+markers",
            line={"color": colour, "width": 2, "dash": "solid" if found.needs_masks[rule] else "dot"},
            marker={"symbol": symbol, "size": 8},
            customdata=np.stack([low, high], axis=1),
            hovertemplate="%{x:,} images: %{y:.2f} points, 95% of draws from %{customdata[0]:.2f} to "
            "%{customdata[1]:.2f}<extra>" + label + "</extra>",
        )  # fmt: skip
    figure.update_xaxes(type="log", tickvals=sizes, title_text="annotated images")
    figure.update_yaxes(title_text="regret in mIoU, points", rangemode="tozero")
    return styled(figure, height, hovermode="closest")


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.14)"


def spread_table(scores: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, list[object]]:
    """Mean, standard deviation and range of each source's scores over seeds, percent.

    Args:
        scores: by source, of each seed, fractions by "iou", "precision" and "recall".
    """
    columns: dict[str, list[object]] = {"Source": [], "Seeds": []}
    for label, of_seeds in scores.items():
        columns["Source"].append(label)
        columns["Seeds"].append(len(of_seeds))
        for name, title in (("iou", "mIoU"), ("precision", "Precision"), ("recall", "Recall")):
            values = 100 * np.array([each[name] for each in of_seeds])
            columns.setdefault(title, []).append(float(values.mean()))
            columns.setdefault(f"{title} ±", []).append(float(values.std(ddof=1)))
            columns.setdefault(f"{title} range", []).append(f"{values.min():.1f} to {values.max():.1f}")
    return columns
