"""The two classifiers, how they are trained, and how their CAMs are computed."""

from dataclasses import dataclass, field
from typing import Any

from train.config.fields import check

SCHEDULES = ("cosine", "poly")
OPTIMISERS = ("adamw", "sgd")
PRECISIONS = ("auto", "float32", "float16", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How a photograph becomes a training crop.

    Attributes:
        crop_px: side of the square crop.
        area: share of the photograph's area a crop covers, (least, most). Used where
            `long_side_px` is empty.
        long_side_px: the long side is first scaled to a random length in this range, then
            cropped, with padding where it is shorter (the way of IRN).
        colour_jitter: strength of random brightness, contrast and saturation, 0 to 1.
        flip: mirror half of the images.
    """

    crop_px: int = 224
    area: tuple[float, float] = (0.35, 1.0)
    long_side_px: tuple[int, ...] = ()
    colour_jitter: float = 0.3
    flip: bool = True

    def __post_init__(self):
        check(self.crop_px > 0, f"augment.crop_px {self.crop_px}: must be positive")
        check(0 < self.area[0] <= self.area[1] <= 1, f"augment.area {self.area}: must lie in (0, 1]")
        check(len(self.long_side_px) in (0, 2), "augment.long_side_px takes two lengths, least and most")


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig:
    """One classifier and how it is trained.

    Attributes:
        model: timm name.
        head: `conv` for a CNN; `cls`, `patch` or `cls+patch` for a ViT.
        pooling: `mean`, `top` or `log_sum_exp`.
        weights: `hub`, `none`, a file or a folder; see `build_classifier`.
        output_stride: of a CNN while it trains; None as timm has it.
        image_px: side of a ViT's position embedding; None as timm has it.
        depth: leading blocks of a ViT that are kept; None keeps all.
        frozen_stages: leading stages (CNN) or blocks (ViT) that keep their weights.
        patch_drop: share of patches left out of a training step (ViT).
        drop_path: stochastic depth.
        teacher: where a trained CNN comes from that shows a ViT's patch head the positions of
            the classes present: `cnn` is the run's own, otherwise a classifier's file; empty is none.
        teacher_weight: of the teacher's loss beside that of the image labels.
        epochs, batch_size: of the whole training, over all devices together.
        optimiser, learning_rate, head_rate_factor, layer_decay, weight_decay: the head
            learns `head_rate_factor` times faster, each layer `layer_decay` times slower
            than the one after it.
        schedule: `cosine` or `poly` (power 0.9), after `warmup_share` of the steps.
        clip_norm: largest gradient norm.
        precision: `auto` takes bfloat16 or float16 where the device is fast at it.
        accumulate: steps whose gradients are added before the weights move.
    """

    model: str
    head: str
    pooling: str = "mean"
    weights: str = "hub"
    output_stride: int | None = None
    image_px: int | None = None
    depth: int | None = None
    frozen_stages: int = 0
    patch_drop: float = 0.0
    drop_path: float = 0.0
    teacher: str = ""
    teacher_weight: float = 1.0
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    eval_px: int = 224
    epochs: int = 5
    batch_size: int = 16
    optimiser: str = "adamw"
    learning_rate: float = 1e-4
    head_rate_factor: float = 10.0
    layer_decay: float = 1.0
    weight_decay: float = 0.05
    schedule: str = "cosine"
    warmup_share: float = 0.05
    clip_norm: float = 1.0
    precision: str = "auto"
    accumulate: int = 1

    def __post_init__(self):
        check(self.optimiser in OPTIMISERS, f"optimiser {self.optimiser!r}: choose one of {OPTIMISERS}")
        check(self.schedule in SCHEDULES, f"schedule {self.schedule!r}: choose one of {SCHEDULES}")
        check(self.precision in PRECISIONS, f"precision {self.precision!r}: choose one of {PRECISIONS}")
        check(self.epochs > 0, f"epochs {self.epochs}: must be positive")
        check(self.batch_size > 0, f"batch_size {self.batch_size}: must be positive")
        check(
            self.accumulate > 0 and self.batch_size % self.accumulate == 0,
            f"accumulate {self.accumulate}: must divide batch_size {self.batch_size}",
        )
        check(self.learning_rate > 0, f"learning_rate {self.learning_rate}: must be positive")
        check(0 <= self.patch_drop < 1, f"patch_drop {self.patch_drop}: must lie in [0, 1)")
        check(
            not self.teacher or ("patch" in self.head and not self.patch_drop),
            f"teacher {self.teacher!r}: needs a head with 'patch' and patch_drop 0",
        )


@dataclass(frozen=True, kw_only=True)
class CamConfig:
    """How a trained classifier's CAMs are computed.

    Attributes:
        method: a name of `orandnet_core.cams.METHODS`.
        scales: factors on the image's size; the maps are summed.
        flip: add the mirrored image's maps.
        long_side_px: long side of the image at scale 1; None takes the image as it is, reduced to
            640 x 640 pixels where it has more.
        output_stride: of a CNN while it infers; None keeps the training's.
        options: further settings of the method, as (name, value) pairs.
    """

    method: str
    scales: tuple[float, ...] = (1.0,)
    flip: bool = True
    long_side_px: int | None = None
    output_stride: int | None = None
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self):
        check(
            bool(self.scales) and all(scale > 0 for scale in self.scales),
            f"scales {self.scales}: at least one, all positive",
        )
