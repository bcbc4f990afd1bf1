"""The dense CRF as a CAM source of its own."""

from dataclasses import dataclass

from orandnet_core.crf import PRESETS
from train.config.fields import check


@dataclass(frozen=True, kw_only=True)
class CrfConfig:
    """How a dense CRF sharpens score maps, as a source of its own.

    Attributes:
        source: whose maps: a CAM store of the run, such as `refine`; `fusion`, what the recipe's
            rule fuses; or a rule such as `and`.
        preset: parameters of the CRF; `psa` is for CAMs.
        background_power: background scores (1 - best class)^power: the larger, the weaker (PSA: 4 to 32).
        workers: processes at the same time; 0 is one for every core.
    """

    source: str = "refine"
    preset: str = "psa"
    background_power: float = 4.0
    workers: int = 0

    def __post_init__(self):
        check(bool(self.source) and self.source != "crf", f"crf.source {self.source!r}: name another source")
        check(self.preset in PRESETS, f"crf.preset {self.preset!r}: choose one of {', '.join(PRESETS)}")
        check(self.background_power > 0, f"background_power {self.background_power}: must be positive")
        check(self.workers >= 0, f"crf.workers {self.workers}: must not be negative")
