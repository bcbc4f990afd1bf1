"""Complement: who is right where two sources differ, and what a rule for each class would gain."""

from functools import partial

import numpy as np
import pyarrow as pa
import streamlit as st

from orandnet_core.class_rules import CANDIDATES, CrossValidated, cross_validated
from orandnet_core.complement import Complement, complement
from orandnet_core.datasets import Dataset
from orandnet_core.fusion import RULES
from orandnet_core.labels import class_name
from orandnet_core.metrics import THRESHOLD_RULES, ThresholdChoice
from pages.components import loaders
from pages.components.chart_style import CHART_CONFIG, COLOURS, NEUTRAL
from pages.components.comparison import csv_bytes, parquet_bytes
from pages.components.complement_charts import Reached, reached_scores, who_is_right
from pages.components.empty import require_cams, require_dataset
from pages.components.protocol import card_line, protocol_popover
from pages.components.scores import NETWORKS, choose, pair_of, pair_scores, source_scores, task_key
from pages.components.selection import Selection, current_selection
from pages.components.sources import map_names, source_of, store_label, style_of
from pages.components.tasks import ask_for_pass, result_or_progress
from train.workspace import cache_dir

AT = ("no_labels", "oracle")
FUSED = ("or", "and", "mean")


def choose_sources(selection: Selection, dataset: Dataset) -> tuple[tuple[str, str], str]:
    """Draw the choice of two sources and of the rule that gives each its threshold."""
    names = map_names(selection, dataset)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = tuple(
            st.selectbox(
                label, list(names), index=list(names).index(network), key=f"complement_{label.lower()}",
                bind="query-params", format_func=names.get, width=220,
            )
            for label, network in zip(("First", "Second"), NETWORKS, strict=True)
        )  # fmt: skip
        rule = st.segmented_control(
            "Threshold", AT, default=AT[0], key="complement_at", bind="query-params", required=True,
            format_func=lambda each: THRESHOLD_RULES[each].label,
            help="How each source gets its threshold; the oracle has seen the masks that are scored.",
        )  # fmt: skip
    return chosen, rule


def compared(
    selection: Selection, names: tuple[str, str], choices: list[ThresholdChoice]
) -> Complement | None:
    """Both sources' masks against each other, counted once and kept."""
    dataset = loaders.open_dataset_cached(selection.dataset)
    sources = tuple(source_of(selection, dataset, name) for name in names)
    key = task_key(
        "complement", dataset.fingerprint(selection.split), selection.split,
        *(source.fingerprint for source in sources), *(f"{each.value} {each.rule}" for each in choices),
    )  # fmt: skip

    def work(report) -> Complement:
        return complement(
            dataset, selection.split, sources, tuple(choices), cache_dir=cache_dir() / "complement",
            progress=report,
        )  # fmt: skip

    what = f"Comparing {' and '.join(map(_label, names))}"
    return result_or_progress(
        key, what, work, ask=ask_for_pass(what, len(dataset.image_ids(selection.split))), look_first=True
    )


def class_rules(selection: Selection, dataset: Dataset) -> CrossValidated | None:
    """A rule for each class from both networks, cross-validated."""
    scored = pair_scores(pair_of(selection))
    if scored is None:
        return None
    cnn, vit = (source_of(selection, dataset, name) for name in NETWORKS)
    key = task_key("class rules", dataset.fingerprint(selection.split), selection.split, cnn.fingerprint,
                   vit.fingerprint)  # fmt: skip
    work = partial(
        cross_validated, dataset, selection.split, cnn, vit, scored, cache_dir=cache_dir() / "rules"
    )
    what = "Choosing a rule for each class"
    return result_or_progress(
        key, what, lambda report: work(progress=report),
        ask=ask_for_pass(what, len(dataset.image_ids(selection.split))), look_first=True,
    )  # fmt: skip


def show_reached(
    selection: Selection, found: Complement, labels: tuple[str, str], rule: str, rules: CrossValidated | None
) -> None:
    """What each source has, what fusions of it get, and what picking the right one of both would get."""
    colours = [COLOURS.get(name, NEUTRAL) for name in (found.first.source, found.second.source)]
    ways = [
        Reached(label, metrics, colour)
        for label, metrics, colour in zip(labels, found.metrics, colours, strict=True)
    ]
    cards = [found.first, found.second]
    if rules is not None:
        scored = pair_scores(pair_of(selection))
        for name in FUSED:
            choice = choose(rule, scored.scores[name])
            if choice is not None:
                metrics, card = scored.scores[name].at(choice)
                ways.append(Reached(RULES[name].label, metrics, COLOURS[name]))
                cards.append(card)
        ways += [
            Reached("Best rule for all ×", rules.single, COLOURS["geometric_mean"]),
            Reached("A rule for each class ×", rules.per_class, COLOURS["max"]),
        ]
        cards.append(rules.card)
    ways.append(Reached("Upper bound of picking", found.bound, NEUTRAL, honest=False))
    st.plotly_chart(
        reached_scores(ways), config=CHART_CONFIG, key="complement_reached",
        alt="Precision, recall and mIoU of both sources, their fusions, and the upper bound of picking",
    )  # fmt: skip
    first, second = (float(metrics.mean_iou) for metrics in found.metrics)
    gap = float(found.bound.mean_iou) - max(first, second)
    with st.container(horizontal=True, vertical_alignment="center"):
        crossed = (
            "× cross-validated; the other folds choose thresholds too, which may pass this bound · "
            if rules
            else ""
        )
        st.caption(
            f"Both label **{found.agree:.1%}** of the pixels alike. Picking the right one "
            f"wherever they differ would gain up to **{100 * gap:.1f}** points of mIoU over the better of "
            f"the two; no rule that picks one of both labels at a pixel can gain more. {crossed}"
            f"{card_line(found.first)}"
        )
        protocol_popover(cards, key="complement_protocol")


def class_table(
    dataset: Dataset, found: Complement, labels: tuple[str, str], rules: CrossValidated | None
) -> pa.Table:
    """A row a class that is there or claimed: scores, lone claims, who to trust, what rule; percent."""
    first, second = found.metrics
    precision = 100 * found.claims[..., 1] / np.maximum(found.claims.sum(axis=2), 1)
    precision[found.claims.sum(axis=2) == 0] = np.nan
    columns: dict[str, list] = {
        "Class": [class_name(dataset.class_names, label) for label in range(dataset.num_classes)],
        "Trust": ["–" if who < 0 else labels[who] for who in found.trust],
    }
    if rules is not None:
        columns["Suggested rule"] = ["–", *(RULES[rule].label for rule in rules.suggested.rules)]
        columns["IoU of it ×"] = (100 * rules.per_class.iou).tolist()
    columns |= {
        f"IoU {labels[0]}": (100 * first.iou).tolist(),
        f"IoU {labels[1]}": (100 * second.iou).tolist(),
        "IoU, bound": (100 * found.bound.iou).tolist(),
        f"Lone, {labels[0]}": precision[:, 0].tolist(),
        f"Lone, {labels[1]}": precision[:, 1].tolist(),
    }
    if rules is not None:
        by_fold = zip(*(each.rules for each in rules.chosen), strict=True)
        columns["Chosen in folds"] = ["–", *map(_votes, by_fold)]
    known = sum(metrics.target + metrics.predicted for metrics in found.metrics) > 0
    return pa.table(columns).filter(pa.array(known))


def show_classes(
    dataset: Dataset, found: Complement, labels: tuple[str, str], rules: CrossValidated | None
) -> None:
    """Who is right per class, and the table behind it."""
    names = [class_name(dataset.class_names, label) for label in range(dataset.num_classes)]
    table = class_table(dataset, found, labels, rules)
    bars, beside = st.columns([0.4, 0.6], gap="medium")
    with bars:
        st.plotly_chart(
            who_is_right(names, found.right, *labels), config=CHART_CONFIG, key="complement_right",
            alt="Per class, which source is right where both differ",
        )  # fmt: skip
    with beside:
        number = st.column_config.NumberColumn(format="%.1f%%")
        st.dataframe(
            table, hide_index=True, placeholder="–",
            column_config={
                "Class": st.column_config.TextColumn(pinned=True),
                **{name: number for name in table.column_names if name.startswith(("IoU", "Lone"))},
            },
            alt="Per class: scores of both sources, how often their lone claims are right, whom to trust",
        )  # fmt: skip
        st.caption(
            "*Lone*: of the pixels that this source alone gives to the class, how many are right. *Trust*: "
            "the source for which that is more."
        )
    if rules is not None:
        gain = round(100 * float(rules.per_class.mean_iou - rules.single.mean_iou), 1) + 0.0
        seen = 100 * float(rules.optimistic.mean_iou - rules.per_class.mean_iou)
        verdict = "pays" if gain > 0 else "does not pay"
        st.info(
            f"On images that did not choose it, a rule for each class reaches "
            f"**{rules.per_class.mean_iou:.1%}** mIoU against **{rules.single.mean_iou:.1%}** of the best "
            f"rule for all ({gain:+.1f} points): it "
            f"{verdict} here. Chosen on the very images that are scored (oracle) it would look "
            f"{seen:+.1f} points better.",
            title="A rule for each class",
            icon=":material/rule:",
        )
    else:
        st.caption(":material/info: Choose the CNN and the ViT, in this order, for a rule for each class.")
    stem = f"complement-{found.first.dataset}-{found.first.split}-{found.first.source}-{found.second.source}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Download the classes", width="content")
        for label, make, suffix in (("CSV", csv_bytes, "csv"), ("Parquet", parquet_bytes, "parquet")):
            st.download_button(
                label, partial(make, table), f"{stem}.{suffix}", on_click="ignore", type="tertiary",
                icon=":material/download:",
            )  # fmt: skip


def _label(name: str) -> str:
    return store_label(style_of(name))


def _votes(rules: tuple[str, ...]) -> str:
    """`OR 3, AND 2`: how often each rule was chosen."""
    counted = {rule: rules.count(rule) for rule in CANDIDATES if rule in rules}
    return ", ".join(
        f"{RULES[rule].label} {count}" for rule, count in sorted(counted.items(), key=lambda e: -e[1])
    )


current = current_selection()
opened = require_dataset(current)
require_cams(current)
chosen_names, threshold_rule = choose_sources(current, opened)
if chosen_names[0] == chosen_names[1]:
    st.info("Choose two different sources above to see what each knows that the other does not.")
    st.stop()
scores_of_both = [source_scores(current, name) for name in chosen_names]
if None in scores_of_both:
    st.stop()  # what is under way is said above
both_choices = [choose(threshold_rule, scores) for scores in scores_of_both]
if None in both_choices:
    st.info(f"{THRESHOLD_RULES[threshold_rule].label} has no answer for one of the two; choose another rule.")
    st.stop()
joint = compared(current, chosen_names, both_choices)
if joint is None:
    st.stop()
per_class = class_rules(current, opened) if chosen_names == NETWORKS else None
both_labels = tuple(map(_label, chosen_names))
show_reached(current, joint, both_labels, threshold_rule, per_class)
show_classes(opened, joint, both_labels, per_class)
