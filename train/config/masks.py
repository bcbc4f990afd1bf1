"""Pseudo-masks, which train the segmentation network."""

from dataclasses import dataclass

from orandnet_core.crf import PRESETS
from train.config.fields import check


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """The pseudo-masks that the segmentation network learns from.

    Attributes:
        source: whose maps: a CAM store of the run, such as `walk`; `fusion`, what the recipe's rule
            fuses; or a rule such as `and`.
        background_threshold: foreground where the best class exceeds it; empty takes the fusion's,
            as the Fuse page sets it.
        margin: ignored (255) where the best class is nearer to the threshold than this; 0 ignores nothing.
        crf: preset of the dense CRF that cleans the masks; empty is none.
        workers: processes at the same time; 0 is one for every core.
    """

    source: str = "walk"
    background_threshold: float | None = 0.25
    margin: float = 0.0
    crf: str = ""
    workers: int = 0

    def __post_init__(self):
        check(bool(self.source), "masks.source is empty: name a source")
        threshold = self.background_threshold
        check(
            threshold is None or 0 <= threshold <= 1,
            f"masks.background_threshold {threshold}: must lie in [0, 1]",
        )
        check(0 <= self.margin <= 1, f"masks.margin {self.margin}: must lie in [0, 1]")
        check(
            self.crf in ("", *PRESETS),
            f"masks.crf {self.crf!r}: choose one of {', '.join(PRESETS)}, or leave it empty",
        )
        check(self.workers >= 0, f"masks.workers {self.workers}: must not be negative")
