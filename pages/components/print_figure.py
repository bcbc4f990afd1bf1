"""The comparison as a picture for papers and slides, with its protocol below it."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from orandnet_core.protocol import ProtocolCard
from pages.components.charts import Curve, joint_front

_LINES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-.", "longdash": (0, (8, 3))}
_DPI = 200


def comparison_png(curves: Sequence[Curve], thresholds: np.ndarray, cards: Sequence[ProtocolCard]) -> bytes:
    """Precision against recall with the Pareto front, and mIoU against the threshold.

    Args:
        curves: what to draw.
        thresholds: (T,) of the curves.
        cards: of the marked points; what they share is printed below the figure.

    Returns:
        A PNG at 200 dots an inch on white.
    """
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    recall, precision = joint_front(curves)
    left.plot(
        recall, precision, color="0.75", linewidth=6, solid_capstyle="round", label="Pareto front", zorder=0
    )
    for curve in curves:
        style = {"color": curve.line["color"], "linestyle": _LINES[curve.line["dash"]], "linewidth": 1.4}
        left.plot(curve.recall, curve.precision, label=curve.label, **style)
        right.plot(thresholds, curve.iou, label=curve.label, **style)
        if curve.threshold is not None:
            at = int(np.abs(thresholds - curve.threshold).argmin())
            left.plot(curve.recall[at], curve.precision[at], "o", color=curve.line["color"], markersize=5)
            if not curve.flat:
                right.plot(thresholds[at], curve.iou[at], "o", color=curve.line["color"], markersize=5)
    left.set(xlabel="recall (mean over classes)", ylabel="precision (mean over classes)")
    right.set(xlabel="background threshold", ylabel="mIoU", xlim=(0, 1))
    left.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for axes in (left, right):
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, fontsize=8)
    figure.supxlabel(_footnote(cards), fontsize=7, color="0.35")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def _footnote(cards: Sequence[ProtocolCard]) -> str:
    if not cards:
        return ""
    card = cards[0]
    rules = sorted({f"{card.threshold_rule}: {card.chosen_on}" for card in cards})
    scored = f"{card.extent} ({card.skipped:,} passed over), {card.num_classes} classes"
    return (
        f"{card.dataset} {card.split}, {scored}; {card.ignored}; means {card.means}.\n"
        f"Points: thresholds {'; '.join(rules)}. Data {card.data_hash}."
    )
