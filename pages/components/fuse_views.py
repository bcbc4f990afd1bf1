"""The Fuse page's view of the data set: curves, differences and surfaces at the present setting."""

import numpy as np
import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.metrics import (
    GRID_THRESHOLDS,
    THRESHOLD_RULES,
    THRESHOLDS,
    Bootstrap,
    ThresholdChoice,
    difference,
)
from orandnet_core.scoring import PairScores, Scores
from pages.components import charts, click_charts
from pages.components.chart_style import CHART_CONFIG, METRIC_LABELS
from pages.components.charts import Curve
from pages.components.fuse_setting import set_controls
from pages.components.protocol import card_line, protocol_popover
from pages.components.scores import Pair, choose, fusion_scores, intervals, pair_scores
from train.settings import FusionSetting

BASELINES = {"cnn": "CNN", "vit": "ViT", "mean": "Naive mean"}
VIEWS = {"curves": "Curves", "networks": "CNN × ViT", "trimap": "OR × AND"}
# Rules that give a baseline its threshold without a choice of the user's own.
BASELINE_RULES = ("oracle", "no_labels", "precision_over_recall")


def draw(pair: Pair, dataset: Dataset, setting: FusionSetting) -> None:
    """Draw the view that is chosen; only that one is computed."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(f"On {pair.split}", anchor=False)
        view = st.segmented_control(
            "View", list(VIEWS), default="curves", key="fuse_view", bind="query-params", required=True,
            format_func=VIEWS.get, label_visibility="collapsed",
        )  # fmt: skip
    scored = pair_scores(pair)
    if scored is None:
        return
    if view == "networks":
        _network_surfaces(scored, dataset, setting)
    elif view == "trimap":
        _trimap_surfaces(scored, setting)
    else:
        _curves(pair, scored, setting)


def _curves(pair: Pair, scored: PairScores, setting: FusionSetting) -> None:
    ours = fusion_scores(pair, setting.fusion)
    rule = setting.fusion.rule
    baselines = {
        name: scored.scores[name] for name in BASELINES if name != rule or ours is not scored.scores[name]
    }
    chosen_by = st.session_state.get("fuse_baselines_at", BASELINE_RULES[0])
    choices = {name: choose(chosen_by, scores) for name, scores in baselines.items()}
    curves = [
        _curve(scores, BASELINES[name], name, choices[name].value if choices[name] else None)
        for name, scores in baselines.items()
    ]
    if ours is not None:
        curves.append(_curve(ours, setting.name, rule, setting.background_threshold, strong=True))
    st.plotly_chart(
        charts.metric_curves(curves, THRESHOLDS, at=setting.background_threshold),
        config=CHART_CONFIG,
        key="fuse_curves",
        alt="Precision, recall and mIoU against the threshold: this setting, CNN, ViT and naive mean",
    )
    if ours is not None:
        _differences(ours, setting, baselines, choices)


def _differences(
    ours: Scores,
    setting: FusionSetting,
    baselines: dict[str, Scores],
    choices: dict[str, ThresholdChoice | None],
) -> None:
    """The scores of this setting, and what it gains over each baseline, with paired intervals over images."""
    metrics, card = ours.at(_present_choice(ours, setting.background_threshold))
    cards = [card] + [scores.at(choices[name])[1] for name, scores in baselines.items() if choices[name]]
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        for label, metric in (("Precision", "precision"), ("Recall", "recall"), ("mIoU", "iou")):
            st.metric(label, f"{metrics.mean(metric):.1%}", width="content")
        st.menu_button(
            "Threshold by rule",
            list(BASELINE_RULES),
            format_func=lambda name: (
                f"**{THRESHOLD_RULES[name].label}**: {THRESHOLD_RULES[name].description}"
            ),
            icon=":material/my_location:",
            key="fuse_choose",
            on_click=_set_by_rule,
            args=(ours,),
        )
        st.segmented_control(
            "Baselines at",
            list(BASELINE_RULES),
            default=BASELINE_RULES[0],
            key="fuse_baselines_at",
            required=True,
            format_func=lambda name: THRESHOLD_RULES[name].label,
            help="Which threshold CNN, ViT and naive mean get. The oracle is the hardest to beat.",
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(card_line(card))
        protocol_popover(cards, key="fuse_protocol")
    ours_bootstrap = intervals(ours)
    theirs = {name: intervals(scores) for name, scores in baselines.items() if choices[name]}
    if ours_bootstrap is None or not theirs or any(bootstrap is None for bootstrap in theirs.values()):
        return
    rows = {
        BASELINES[name]: _difference_row(
            ours_bootstrap, setting.background_threshold, bootstrap, choices[name].value
        )
        for name, bootstrap in theirs.items()
    }
    st.plotly_chart(
        charts.difference_intervals(rows),
        config=CHART_CONFIG,
        key="fuse_differences",
        alt="Differences of this setting to the CNN, the ViT and the naive mean, with 95% intervals",
    )


def _difference_row(ours: Bootstrap, at: float, theirs: Bootstrap, their_threshold: float) -> dict:
    return {
        metric: difference(ours, at, theirs, their_threshold, metric)
        for metric in ("precision", "recall", "iou")
    }


def _network_surfaces(scored: PairScores, dataset: Dataset, setting: FusionSetting) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = st.segmented_control(
            "Score", list(METRIC_LABELS), default="iou", key="fuse_surface_metric", required=True,
            format_func=METRIC_LABELS.get,
        )  # fmt: skip
        class_id = st.selectbox(
            "Class against the rest",
            [None, *map(int, scored.surfaces.class_ids)],
            format_func=lambda k: "mean over all classes" if k is None else dataset.class_names[k - 1],
            key="fuse_surface_class",
            width=260,
        )
    for column, how in zip(st.columns(2), ("or", "and"), strict=True):
        metrics = scored.surfaces.metrics(how, class_id)
        grids = {METRIC_LABELS[name]: metrics.mean(name) for name in METRIC_LABELS}
        label = METRIC_LABELS[metric]
        _surface(
            column,
            grids.pop(label),
            f"{label} where CNN {how.upper()} ViT exceeds its threshold",
            ("t_cnn", setting.cnn_threshold, "CNN threshold"),
            ("t_vit", setting.vit_threshold, "ViT threshold"),
            details=grids,
            key=f"fuse_surface_{how}",
        )
    _surface_caption(scored, starred=True)


def _trimap_surfaces(scored: PairScores, setting: FusionSetting) -> None:
    grids = {"Coverage": scored.trimaps.coverage, "Precision of decided pixels": scored.trimaps.precision}
    for column, (title, grid) in zip(st.columns(2), grids.items(), strict=True):
        _surface(
            column,
            grid,
            title,
            ("t_or", setting.or_threshold, "OR threshold"),
            ("t_and", setting.and_threshold, "AND threshold"),
            details={other: values for other, values in grids.items() if other != title},
            star=False,
            key=f"fuse_trimap_{title.split()[0].lower()}",
        )
    coverage, precision = scored.trimaps.at(setting.or_threshold, setting.and_threshold)
    st.caption(
        f"At OR {setting.or_threshold:.3f} and AND {setting.and_threshold:.3f} the trimap decides "
        f"**{coverage:.1%}** of the pixels and **{precision:.1%}** of those rightly."
    )
    _surface_caption(scored, starred=False)


def _surface(
    column,
    values: np.ndarray,
    title: str,
    row: tuple[str, float, str],
    across: tuple[str, float, str],
    details: dict[str, np.ndarray],
    key: str,
    star: bool = True,
) -> None:
    """A surface in a column; a click sets both controls."""
    figure = click_charts.surface(
        values, GRID_THRESHOLDS, (row[1], across[1]), row[2], across[2], title, details, star=star
    )
    column.plotly_chart(
        figure,
        config=CHART_CONFIG,
        key=key,
        on_select=lambda: _set_clicked(key, row[0], across[0]),
        selection_mode="points",
        alt=f"{title}, over the {row[2]} and the {across[2]}",
    )


def _surface_caption(scored: PairScores, starred: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        card = scored.scores["cnn"].card
        star = "★ is the best pair (oracle) · " if starred else ""
        st.caption(f"Click to set both thresholds · {star}{card_line(card)}")
        protocol_popover([scored.scores[name].card for name in ("cnn", "vit")], key="fuse_surface_protocol")


def _set_clicked(key: str, row: str, column: str) -> None:
    clicked = click_charts.clicked_thresholds(st.session_state[key])
    if clicked is not None:
        set_controls(**dict(zip((row, column), clicked, strict=True)))


def _set_by_rule(scores: Scores) -> None:
    choice = choose(st.session_state["fuse_choose"], scores)
    if choice is not None:
        set_controls(t=choice.value)
        st.session_state["fuse_choice"] = (scores.card, choice)


def _present_choice(scores: Scores, threshold: float) -> ThresholdChoice:
    """How the present threshold was come by: by a rule just now, or by hand."""
    card, choice = st.session_state.get("fuse_choice", (None, None))
    if choice is not None and choice.value == threshold and card == scores.card:
        return choice
    return ThresholdChoice(threshold, "fixed", "by hand, with these scores in sight")


def _curve(scores: Scores, label: str, rule: str, threshold: float | None, strong: bool = False) -> Curve:
    metrics = scores.sweep.metrics
    return Curve(
        label, rule, metrics.mean_precision, metrics.mean_recall, metrics.mean_iou, threshold, strong=strong
    )
