"""Slices of errors as plain records, for tables, pages and the results."""

from collections.abc import Iterable, Sequence

from orandnet_core.mining import FACETS, Mined, ranked, slice_label
from orandnet_core.mining.kinds import KINDS
from train.results_page import Row

__all__ = ["GAIN_OF", "slice_records"]

# The column of a record that holds what a mean gets back.
GAIN_OF = {"iou": "miou_gain", "precision": "precision_gain", "recall": "recall_gain"}


def slice_records(
    mined: Mined, class_names: Sequence[str], facets: Iterable[str] = tuple(FACETS), by: str = "iou"
) -> list[Row]:
    """A record a slice of each facet, best first, with the protocol card's columns behind it.

    Gains are fractions: what the mean gets once all pixels of the slice are right.

    Args:
        by: the mean that ranks, as `mining.ranked` takes it.
    """
    records = []
    for name in facets:
        for rank, each in enumerate(ranked(mined, FACETS[name], by), start=1):
            kind = KINDS[each.where["kind"]]
            records.append(
                {
                    "facet": name,
                    "rank": rank,
                    "slice": slice_label(each.where, class_names, mined.backgrounds.names),
                    "slice_key": each.key,
                    "kind": kind.name,
                    "side": kind.side,
                    "pixels": each.pixels,
                    "slice_images": each.images,
                    "background_lift": None if each.lift != each.lift else each.lift,
                }
                | {column: each.gains[mean] for mean, column in GAIN_OF.items()}
                | mined.card.as_dict()
            )
    return records
