"""The refiner, and how it is trained."""

from dataclasses import dataclass

from train.config.classifier import OPTIMISERS, PRECISIONS, SCHEDULES
from train.config.fields import check

REFINERS = ("small", "fcn8s")
REFINER_LOSSES = ("binary", "reference")


@dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """The OR -> AND network and how it is trained; it reads OR maps and says what AND would be.

    Attributes:
        architecture: `small`, made for two cores, or `fcn8s`, the paper's FCN-8s on VGG-16.
        weights: where VGG-16's come from: `hub`, `none`, a file or a folder; `small` takes `none`.
        guidance: show it the photo beside the map (not in the paper).
        loss: `binary` cross entropy against the soft AND, or `reference`, the published softmax
            over the classes present, which learns nothing from images with one class.
        cell_px: pixels of the photo to a side of a cell of its maps: 4 takes CAMs as they are
            stored, 1 enlarges them to the photo's size.
        crop_px: side of the square training crop in pixels of the photo; what a photo lacks of it
            does not count.
        flip: mirror half of the crops.
        epochs, batch_size: of the whole training, in images, over all devices together.
        optimiser, learning_rate, weight_decay: `sgd` has a momentum of 0.9.
        schedule: `poly` (power 0.9) or `cosine`, after `warmup_share` of the steps.
        clip_norm: largest gradient norm.
        precision: `auto` takes bfloat16 or float16 where the device is fast at it.
        accumulate: steps whose gradients are added before the weights move.
    """

    architecture: str = "small"
    weights: str = "none"
    guidance: bool = False
    loss: str = "binary"
    cell_px: int = 4
    crop_px: int = 384
    flip: bool = True
    epochs: int = 8
    batch_size: int = 8
    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    schedule: str = "poly"
    warmup_share: float = 0.05
    clip_norm: float = 1.0
    precision: str = "auto"
    accumulate: int = 1

    def __post_init__(self):
        for name, known in (
            ("architecture", REFINERS),
            ("loss", REFINER_LOSSES),
            ("optimiser", OPTIMISERS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
        ):
            value = getattr(self, name)
            check(value in known, f"refine.{name} {value!r}: choose one of {known}")
        check(
            self.architecture == "fcn8s" or self.weights == "none",
            f"refine.weights {self.weights!r}: the small refiner starts from nothing, 'none'",
        )
        check(self.cell_px > 0, f"refine.cell_px {self.cell_px}: must be positive")
        check(
            self.crop_px >= self.cell_px,
            f"refine.crop_px {self.crop_px}: must be at least cell_px, {self.cell_px}",
        )
        check(self.epochs > 0, f"refine.epochs {self.epochs}: must be positive")
        check(self.batch_size > 0, f"refine.batch_size {self.batch_size}: must be positive")
        check(
            self.accumulate > 0 and self.batch_size % self.accumulate == 0,
            f"refine.accumulate {self.accumulate}: must divide batch_size {self.batch_size}",
        )
        check(self.learning_rate > 0, f"refine.learning_rate {self.learning_rate}: must be positive")
