"""The protocol card on screen: in one line beside a number, and whole on a click."""

from collections.abc import Sequence

import pyarrow as pa
import streamlit as st

from orandnet_core.metrics import THRESHOLD_RULES
from orandnet_core.protocol import ProtocolCard

_LABELS = {
    "source": "Source",
    "dataset": "Data set",
    "split": "Split",
    "images": "Images scored",
    "subset": "Which images",
    "skipped": "Images passed over",
    "num_classes": "Classes, with background",
    "threshold": "Background threshold",
    "threshold_rule": "Threshold rule",
    "chosen_on": "Threshold chosen on",
    "ignored": "Ignored pixels",
    "means": "Means",
    "source_hash": "Hash of the source",
    "data_hash": "Hash of the data",
}


def card_line(card: ProtocolCard) -> str:
    """The card in one line: `voc12 val · 250 images · 21 classes · threshold 0.289 · oracle: 250 images`."""
    skipped = f" ({card.skipped:,} passed over)" if card.skipped else ""
    parts = [
        f"{card.dataset} {card.split}",
        f"{card.extent}{skipped}",
        f"{card.num_classes} classes",
    ]
    if card.threshold is not None:
        rule = rule_label(card.threshold_rule)
        parts.append(f"threshold {card.threshold:.3f} · {rule}: {card.chosen_on}")
    return " · ".join(parts)


def rule_label(name: str) -> str:
    """How a threshold was chosen, in small letters; what decided masks in its place is called what it is."""
    return THRESHOLD_RULES[name].label.lower() if name in THRESHOLD_RULES else name


def protocol_popover(cards: Sequence[ProtocolCard], key: str) -> None:
    """A button that opens the cards of the numbers beside it."""
    with st.popover("Protocol", icon=":material/fact_check:", type="tertiary", key=key):
        shared, own = _split(cards)
        st.table(shared, border="horizontal")
        if own is not None:
            st.dataframe(own, hide_index=True, alt="What differs between the sources' protocol cards")


def _split(cards: Sequence[ProtocolCard]) -> tuple[dict[str, str], pa.Table | None]:
    """What all cards have in common, and a table of what they have not."""
    rows = [_texts(card) for card in cards]
    shared = {label: text for label, text in rows[0].items() if all(row[label] == text for row in rows)}
    rest = [label for label in rows[0] if label not in shared]
    if not rest:
        return shared, None
    return shared, pa.table({label: [row[label] for row in rows] for label in rest})


def _texts(card: ProtocolCard) -> dict[str, str]:
    values = card.as_dict()
    texts = {
        label: f"{values[name]:,}" if isinstance(values[name], int) else str(values[name])
        for name, label in _LABELS.items()
    }
    if card.threshold is None:
        unchosen = card.threshold_rule == ProtocolCard.threshold_rule
        return texts | {_LABELS["threshold"]: "all 256" if unchosen else "none"}
    return texts | {_LABELS["threshold"]: f"{card.threshold:.4f}"}
