"""The protocol card: what has to stand beside a number before anyone can compare it."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

from orandnet_core.metrics.thresholds import ThresholdChoice

__all__ = ["ProtocolCard"]


@dataclass(frozen=True, kw_only=True)
class ProtocolCard:
    """How a number was come by.

    Attributes:
        dataset, split: whose images were scored.
        images: how many were scored.
        skipped: how many of the split were passed over (no mask, damaged, sizes that differ).
        num_classes: with background.
        source: name of the CAM source.
        source_hash: fingerprint of its files and of the fusion.
        data_hash: fingerprint of the split: ids, image-level labels, classes.
        ignored: what happened to pixels of 255.
        means: over what the means are taken.
        threshold: the background threshold, or None for curves over all of them.
        threshold_rule: how it was chosen; `oracle` whenever masks of scored images were seen.
        chosen_on: on which images, in words.
        subset: which images of the split were scored, in words, where it is not all that could be;
            thresholds then still come from the whole split.
    """

    dataset: str
    split: str
    images: int
    skipped: int
    num_classes: int
    source: str
    source_hash: str
    data_hash: str
    ignored: str = "ground-truth pixels of 255 are dropped"
    means: str = "over classes with pixels, background included"
    threshold: float | None = None
    threshold_rule: str = "every threshold"
    chosen_on: str = "no images"
    subset: str = "all"

    def as_dict(self) -> dict[str, str | int | float | None]:
        """Plain values, ready for JSON or a table's columns."""
        return asdict(self)

    @property
    def extent(self) -> str:
        """How many images, and which where they are not all: `37 images (only showing cat)`."""
        only = "" if self.subset == ProtocolCard.subset else f" (only {self.subset})"
        return f"{self.images:,} images{only}"

    def with_threshold(self, choice: ThresholdChoice, scored_ids: Collection[str]) -> "ProtocolCard":
        """The card of the scores at a chosen threshold.

        Args:
            choice: the threshold, with the ids of all images whose masks it has seen.
            scored_ids: the images that this card's numbers come from.

        Returns:
            The same card with the threshold. Where any image is both seen and scored the rule
            is called `oracle`, whatever its own name; and an oracle's threshold that is carried
            over to other images is `calibrated`.
        """
        rule, chosen_on = choice.rule, choice.chosen_on
        leaked = not choice.seen_ids.isdisjoint(scored_ids)
        if leaked and rule != "oracle":
            rule, chosen_on = "oracle", f"{chosen_on} by the rule {rule}, some of them scored"
        elif rule == "oracle" and not leaked:
            rule, chosen_on = "calibrated", f"{chosen_on}, none of them scored"
        if self.subset != ProtocolCard.subset and rule != "fixed":
            chosen_on = f"{chosen_on}, of the whole split"
        return replace(
            self,
            images=len(scored_ids),
            threshold=choice.value,
            threshold_rule=rule,
            chosen_on=chosen_on,
        )
