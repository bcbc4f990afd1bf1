"""Compare's charts: curves, classes and single images; a brush in one of them filters the whole page.

Every function takes the rows as they are shown, of the images that pass the filter, and the filter itself.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.image_filter import BestThresholdWithin, Condition, ScoresWithin, ScoreWithin, Shows
from orandnet_core.metrics import THRESHOLDS
from pages.components import charts, click_charts, comparison, linked_charts, linked_filter
from pages.components.chart_style import CHART_CONFIG, METRIC_LABELS, MOST_CLASSES
from pages.components.compare_table import choose_row, keep_choice
from pages.components.comparison import Row
from pages.components.going import inspect_image
from pages.components.linked_charts import BRUSH_CONFIG, brushed
from pages.components.linked_images import Linked
from pages.components.scores import NETWORKS

__all__ = ["show_classes", "show_curves", "show_images"]

MOST_POINTS = 2000  # of the scatter of images; the browser draws each
_MOUSE = {"open": "click opens", "keep": "drag keeps"}
MOST_BARS = 5  # sources a class; more are a thicket


def show_curves(rows: Sequence[Row], linked: Linked | None, so_far: str) -> None:
    """Precision against recall, and mIoU against the threshold, which can be brushed."""
    curves = [comparison.curve_of(row) for row in rows]
    left, right = st.columns(2)
    left.plotly_chart(
        charts.precision_recall(curves, THRESHOLDS),
        config=CHART_CONFIG,
        key="compare_pr",
        alt="Precision against recall of every source, with the Pareto front",
    )
    figure = charts.metric_curves(curves, THRESHOLDS, metrics=("iou",), height=380)
    keys = {row.candidate.label: row.candidate.key for row in rows}
    labels = [label for label, key in keys.items() if linked and key in linked.facts.best_thresholds]
    with right:
        if not labels:
            st.plotly_chart(
                figure, config=CHART_CONFIG, key="compare_miou", alt="mIoU of every source by threshold"
            )
            return
        slot = st.container()
        of = choose_row("Bars: images by their own best threshold under", labels, "compare_best", so_far)
        key = keys[of]
        linked_charts.with_best_thresholds(
            figure,
            linked.facts.best_thresholds[key],
            linked.passes,
            of,
            _range_of(linked.conditions, BestThresholdWithin, key),
        )
        with slot:
            st.plotly_chart(
                figure,
                config=BRUSH_CONFIG,
                key="compare_miou",
                on_select=partial(_take_range, "compare_miou", BestThresholdWithin, key),
                selection_mode="box",
                alt="mIoU of every source against the threshold; brush the images that are best at some",
            )


@st.fragment
def show_classes(rows: Sequence[Row], dataset: Dataset, conditions: Sequence[Condition], so_far: str) -> None:
    """Scores per class at each source's threshold; a class is chosen by a click or a brush."""
    linked_filter.follow(conditions)
    usable = {row.candidate.label: row for row in rows if row.metrics is not None}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        keep_choice("compare_class_metric", list(METRIC_LABELS))
        metric = st.segmented_control(
            "Per class", list(METRIC_LABELS), default="iou", required=True, key="compare_class_metric",
            bind="query-params", format_func=lambda name: {"iou": "IoU"}.get(name, METRIC_LABELS[name]),
        )  # fmt: skip
        keep_choice(f"compare_class_sources{so_far}", list(usable))
        chosen = st.multiselect(
            "Sources",
            list(usable),
            default=_first_choice(usable),
            max_selections=MOST_BARS,
            key=f"compare_class_sources{so_far}",
            **({} if so_far else {"bind": "query-params"}),
            width=420,
        )
        names = ("background", *dataset.class_names)
        st.session_state["linked_classes"] = [name for name in _classes_of(conditions) if name in names]
        st.multiselect(
            "Only images that show any of",
            names,
            key="linked_classes",
            on_change=lambda: linked_filter.set_classes(st.session_state["linked_classes"]),
            placeholder="Any class, or click a bar",
            width=300,
        )
    if not chosen:
        st.caption("Choose a source to see its classes.")
        return
    scores = {label: getattr(usable[label].metrics, metric) for label in chosen}
    order = charts.classes_by_score(scores[chosen[0]])
    pages = -(-len(order) // MOST_CLASSES)
    page = st.pagination(pages, key=f"compare_class_page{so_far}") if pages > 1 else 1
    figure = charts.class_bars(
        names,
        scores,
        {label: usable[label].candidate.rule for label in chosen},
        order[(page - 1) * MOST_CLASSES : page * MOST_CLASSES],
        height=340,
    )
    # A click chooses; Streamlit tells no clicks while a drag makes a box, which the chart's menu offers.
    st.plotly_chart(
        figure.update_layout(dragmode=False),
        config=BRUSH_CONFIG,
        key="compare_classes",
        on_select=_take_classes,
        selection_mode=("points", "box"),
        alt="Scores per class of the chosen sources; click a class for the images that show it",
    )


@st.fragment
def show_images(rows: Sequence[Row], linked: Linked, so_far: str) -> None:
    """Every image under one source and under two, to brush; a click on a point opens it."""
    linked_filter.follow(linked.chosen)
    usable = {row.candidate.label: row for row in rows if row.candidate.key in linked.facts.scores}
    labels = list(usable)
    left, right = st.columns(2)
    with left:
        of = choose_row("Images by their mIoU under", labels, "compare_histogram", so_far)
        _histogram(usable[of], linked)
    with right:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            across = choose_row("Per image, across", labels, "compare_x", so_far)
            up = choose_row("and up", labels, "compare_y", so_far, default=-1)
            keep_choice("compare_mouse", list(_MOUSE))
            # Streamlit tells no clicks while a drag makes a box: it is the one or the other.
            mouse = st.segmented_control(
                "Mouse", list(_MOUSE), default="open", required=True, key="compare_mouse",
                bind="query-params", format_func=_MOUSE.get,
            )  # fmt: skip
        _scatter(usable[across], usable[up], linked, by_box=mouse == "keep")


def _histogram(row: Row, linked: Linked) -> None:
    key = row.candidate.key
    st.plotly_chart(
        linked_charts.score_histogram(
            linked.facts.scores[key],
            linked.passes,
            row.candidate.label,
            row.candidate.rule,
            _range_of(linked.conditions, ScoreWithin, key),
        ),
        config=BRUSH_CONFIG,
        key="compare_hist",
        on_select=partial(_take_range, "compare_hist", ScoreWithin, key),
        selection_mode="box",
        alt=f"How many images have which mIoU under {row.candidate.label}",
    )
    st.caption("Each image's mean over the classes that it shows · drag across to keep a range")


def _scatter(across: Row, up: Row, linked: Linked, by_box: bool) -> None:
    x, y = (linked.facts.scores[row.candidate.key] for row in (across, up))
    names = across.candidate.label, up.candidate.label
    shown = _spread_first(y - x, linked.passes, MOST_POINTS)
    figure = click_charts.image_scatter(
        [linked.facts.image_ids[index] for index in shown], x[shown], y[shown], f"mIoU of {names[0]}",
        f"mIoU of {names[1]}", linked.passes[shown],
    )  # fmt: skip
    keys = across.candidate.key, up.candidate.key
    for condition in linked.conditions:
        if isinstance(condition, ScoresWithin) and (condition.across.source, condition.up.source) == keys:
            ends = condition.across, condition.up
            linked_charts.mark_box(figure, *((each.low, each.high) for each in ends))
    st.plotly_chart(
        figure.update_layout(dragmode="select" if by_box else False),
        config=BRUSH_CONFIG,
        key="compare_images",
        on_select=partial(_take_box_or_open, *keys),
        selection_mode=("points", "box"),
        alt=f"mIoU of every image under {names[0]} and {names[1]}",
    )
    both = linked.passes & ~np.isnan(y - x)
    better = int((y > x)[both].sum())
    capped = f"{len(shown):,} points, spread over all differences · " if len(shown) == MOST_POINTS else ""
    st.caption(
        f"{capped}{names[1]} is better on {better:,} of {int(both.sum()):,} images · "
        f"{'drag a box to keep its images' if by_box else 'click a point to open it in Inspect'}"
    )


def _spread_first(differences: np.ndarray, passes: np.ndarray, most: int) -> np.ndarray:
    """Places of the images to draw: those that pass before the others."""
    first = comparison.spread(np.where(passes, differences, np.nan), most)
    left = most - len(first)
    rest = comparison.spread(np.where(passes, np.nan, differences), left) if left > 1 else first[:0]
    return np.concatenate([rest, first])


def _take_range(chart: str, kind: type[ScoreWithin], source: str) -> None:
    box = brushed(st.session_state[chart])
    if box is not None:
        linked_filter.add(kind(source, box.x_low, box.x_high))


def _take_box_or_open(across: str, up: str) -> None:
    selection = st.session_state["compare_images"]
    box = brushed(selection)
    if box is not None:
        linked_filter.add(
            ScoresWithin(ScoreWithin(across, box.x_low, box.x_high), ScoreWithin(up, box.y_low, box.y_high))
        )
        return
    image_id = click_charts.clicked_image(selection)
    if image_id is not None:
        inspect_image(image_id)


def _take_classes() -> None:
    """A brush means the classes under it; a click adds a class, or takes it away again."""
    names, by_brush = linked_charts.clicked_names(st.session_state["compare_classes"])
    if not names:
        return
    chosen = _classes_of(linked_filter.current_filter())
    if not by_brush:
        (name,) = names[:1]
        names = tuple(each for each in chosen if each != name) if name in chosen else (*chosen, name)
    linked_filter.set_classes(names)


def _classes_of(conditions: Sequence[Condition]) -> tuple[str, ...]:
    return next((each.class_names for each in conditions if isinstance(each, Shows)), ())


def _range_of(
    conditions: Sequence[Condition], kind: type[ScoreWithin], source: str
) -> tuple[float, float] | None:
    """The range of the condition of that kind (not of one derived from it) about a source."""
    for condition in conditions:
        if type(condition) is kind and condition.source == source:
            return condition.low, condition.high
    return None


def _first_choice(rows: Mapping[str, Row]) -> list[str]:
    """Both networks, and the best of what was fused from them."""
    fused = {
        label: float(row.metrics.mean_iou)
        for label, row in rows.items()
        if row.candidate.rule not in NETWORKS
    }
    best = [max(fused, key=fused.get)] if fused else []
    return list(dict.fromkeys([*list(rows)[:2], *best]))
