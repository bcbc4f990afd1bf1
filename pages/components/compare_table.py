"""Compare's table: sources with their intervals, thresholds and differences to one of them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import streamlit as st

from pages.components import comparison
from pages.components.comparison import AT_RECALL, Row
from pages.components.protocol import protocol_popover, rule_label

__all__ = ["choose_row", "keep_choice", "show_table"]


def show_table(rows: Sequence[Row], so_far: str) -> Row | None:
    """The table of sources; returns the one that the others are compared to."""
    usable = [row for row in rows if row.choice is not None]
    for row in rows:
        if row.choice is None:
            st.caption(f":material/info: **{row.candidate.label}**: {row.problem}")
    if not usable:
        return None
    labels = [row.candidate.label for row in usable]
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        against = choose_row("Differences to", labels, "compare_against", so_far, width=240)
        protocol_popover([row.card for row in usable], key="compare_protocol")
    reference = usable[labels.index(against)]
    _say_unpaired(usable, reference)
    ordered = sorted(usable, key=lambda row: -float(np.nan_to_num(row.metrics.mean_iou)))
    st.dataframe(
        _shown_table(comparison.table_of(ordered, reference)),
        hide_index=True,
        placeholder="–",
        column_config=_column_config(reference.candidate.label),
        alt="Sources with mIoU, precision and recall, their 95% intervals, thresholds and differences",
    )
    card = usable[0].card
    st.caption(
        f"{card.dataset} {card.split} · {card.extent} · {card.num_classes} classes · means over "
        "classes with pixels, background included · 95% over resampled images; differences paired"
    )
    return reference


def _say_unpaired(rows: Sequence[Row], reference: Row) -> None:
    """Why some differences are not there: pairs need the same images."""
    scored = {row.candidate.label: set(row.candidate.scores.counts.image_ids) for row in rows}
    ours = scored[reference.candidate.label]
    others = [f"{label} ({len(ids):,} images)" for label, ids in scored.items() if ids != ours]
    if others:
        st.caption(
            f":material/info: Scored on other images than {reference.candidate.label} ({len(ours):,}), so no "
            f"difference is given: {', '.join(others)}"
        )


def choose_row(
    label: str, labels: Sequence[str], key: str, so_far: str, default: int = 0, **settings: object
) -> str:
    """A select box of the sources compared, in the address once all of them are there.

    Args:
        so_far: ends the key while sources are still to come; empty afterwards.
        default: the place of the one that is chosen at first.
    """
    bind = {} if so_far else {"bind": "query-params"}
    key = f"{key}{so_far}"
    keep_choice(key, labels)
    return st.selectbox(label, labels, index=default % len(labels), key=key, **bind, **settings)


def keep_choice(key: str, options: Sequence[str]) -> None:
    """Have a choice outlast runs of the page that end before it is drawn, in the address, too.

    Args:
        key: of the control.
        options: what there is to choose from now; a choice that is none of them starts anew.
    """
    if key in st.session_state:
        chosen = st.session_state[key]
        if set(chosen if isinstance(chosen, list) else [chosen]) <= set(options):
            st.session_state[key] = chosen
        else:
            del st.session_state[key]


def _shown_table(table: pa.Table) -> pa.Table:
    """The columns for screen: numbers in percent, intervals as text beside them."""
    columns: dict[str, list] = {"source": table["label"].to_pylist()}
    for name in ("miou", "precision", "recall", "precision_at_recall_70"):
        if name not in table.column_names:
            continue  # read off resampled curves, which are still to come
        columns[name] = [_percent(value) for value in table[name].to_pylist()]
        columns[f"{name}_interval"] = _intervals(table, name)
    if "miou_difference" in table.column_names:
        columns["difference"] = [_percent(value or 0.0) for value in table["miou_difference"].to_pylist()]
        columns["difference_interval"] = _intervals(table, "miou_difference", "+.1f")
    columns["threshold"] = table["threshold"].to_pylist()
    columns["rule"] = [rule_label(name) for name in table["threshold_rule"].to_pylist()]
    columns["chosen_on"] = table["chosen_on"].to_pylist()
    if "regret_miou" in table.column_names:
        columns["regret"] = [_percent(value) for value in table["regret_miou"].to_pylist()]
    return pa.table(columns)


def _column_config(reference: str) -> dict[str, object]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    labels = {"miou": "mIoU", "precision": "Precision", "recall": "Recall",
              "precision_at_recall_70": f"P at R {AT_RECALL:.0%}"}  # fmt: skip
    config: dict[str, object] = {"source": text("Source", pinned=True)}
    for name, label in labels.items():
        config[name] = number(label, format="%.1f%%")
        config[f"{name}_interval"] = text("95%", width=96)
    return config | {
        "difference": number(f"mIoU − {reference}", format="%+.1f"),
        "difference_interval": text("95%, paired", width=104),
        "threshold": number("Threshold", format="%.3f"),
        "rule": text("Rule"),
        "chosen_on": text("Chosen on"),
        "regret": number(
            "Regret", format="%.1f", help="mIoU lost to the oracle, mean over 100 draws, in points"
        ),
    }


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _intervals(table: pa.Table, name: str, form: str = ".1f") -> list[str]:
    ends = zip(table[f"{name}_low"].to_pylist(), table[f"{name}_high"].to_pylist(), strict=True)
    return ["" if low is None else f"{100 * low:{form}} to {100 * high:{form}}" for low, high in ends]
