"""IR labels, which train the affinity network."""

from dataclasses import dataclass

from orandnet_core.crf import PRESETS
from train.config.fields import check


@dataclass(frozen=True, kw_only=True)
class IrLabelConfig:
    """What the affinity network learns from: surely a class, surely background, or left out.

    Attributes:
        source: whose maps: a CAM store of the run, such as `refine`; `fusion`, what the recipe's
            rule fuses; a rule such as `and`; or `trimap`: plain AND says what is foreground, plain
            OR what is background, as the Fuse page shows it.
        foreground_threshold: foreground where the best class exceeds it.
        background_threshold: background where no class exceeds it.
        crf: preset of the dense CRF that cleans both decisions; empty is none.
        workers: processes at the same time; 0 is one for every core.
    """

    source: str = "refine"
    foreground_threshold: float = 0.30
    background_threshold: float = 0.05
    crf: str = "irn"
    workers: int = 0

    def __post_init__(self):
        check(bool(self.source), "ir_labels.source is empty: name a source")
        for name in ("foreground_threshold", "background_threshold"):
            value = getattr(self, name)
            check(0 <= value <= 1, f"ir_labels.{name} {value}: must lie in [0, 1]")
        check(
            self.crf in ("", *PRESETS),
            f"ir_labels.crf {self.crf!r}: choose one of {', '.join(PRESETS)}, or leave it empty",
        )
        check(self.workers >= 0, f"ir_labels.workers {self.workers}: must not be negative")
