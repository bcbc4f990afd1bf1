"""The inter-pixel relation network, how it is trained, and the random walk within its boundaries."""

from dataclasses import dataclass, field

from train.config.classifier import OPTIMISERS, PRECISIONS, SCHEDULES
from train.config.fields import check
from train.config.segment import PairAugmentConfig

NORMALISED_BY = ("image", "class")
MAX_EXP_TIMES = 16


@dataclass(frozen=True, kw_only=True)
class IrnConfig:
    """The network that learns boundaries and displacements from IR labels, and how it is trained.

    Attributes:
        model: timm name of a CNN with features at several strides.
        weights: of the backbone: `hub`, `none`, a file or a folder; `cnn` takes the backbone of the
            run's own CNN, which must be the same model.
        output_stride: 16 keeps the last stage of a ResNet at double resolution; None as timm has it.
        boundary_channels, displacement_channels: width of each branch, 32 and 256 as published.
            The random walk reads boundaries alone.
        backbone_rate_factor: the backbone learns so many times faster than the branches; 0 keeps
            its weights and batch statistics, as published.
        displacement_rate_factor: the displacement branch learns so many times faster than the
            boundary branch.
        radius: pairs are nearer than this, in cells of 4 pixels.
        epochs, batch_size: of the whole training, over all devices together.
        optimiser, momentum, learning_rate, weight_decay: momentum is that of `sgd`.
        schedule: `poly` (power 0.9) or `cosine`, after `warmup_share` of the steps.
        clip_norm: largest gradient norm.
        precision: `auto` takes bfloat16 or float16 where the device is fast at it.
        accumulate: steps whose gradients are added before the weights move.
    """

    model: str = "tf_efficientnet_lite0"
    weights: str = "hub"
    output_stride: int | None = None
    boundary_channels: int = 32
    displacement_channels: int = 32
    backbone_rate_factor: float = 0.0
    displacement_rate_factor: float = 1.0
    radius: int = 10
    augment: PairAugmentConfig = field(
        default_factory=lambda: PairAugmentConfig(crop_px=256, resize=(0.5, 1.5), colour_jitter=0.0)
    )
    epochs: int = 4
    batch_size: int = 8
    optimiser: str = "adamw"
    momentum: float = 0.9
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    schedule: str = "poly"
    warmup_share: float = 0.05
    clip_norm: float = 1.0
    precision: str = "auto"
    accumulate: int = 1

    def __post_init__(self):
        for name, known in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            value = getattr(self, name)
            check(value in known, f"irn.{name} {value!r}: choose one of {known}")
        check(
            self.backbone_rate_factor >= 0,
            f"irn.backbone_rate_factor {self.backbone_rate_factor}: must not be negative",
        )
        check(
            self.weights != "none" or self.backbone_rate_factor > 0,
            "irn.weights 'none' with irn.backbone_rate_factor 0: a backbone that starts from nothing has "
            "to learn; set the factor to 1, or name weights",
        )
        check(
            self.displacement_rate_factor > 0,
            f"irn.displacement_rate_factor {self.displacement_rate_factor}: must be positive",
        )
        check(self.radius >= 2, f"irn.radius {self.radius}: from 2 on a pixel has neighbours")
        check(self.epochs > 0, f"irn.epochs {self.epochs}: must be positive")
        check(
            self.accumulate > 0 and self.batch_size > 0 and self.batch_size % self.accumulate == 0,
            f"irn.accumulate {self.accumulate}: must divide batch_size {self.batch_size}, both positive",
        )
        check(self.learning_rate > 0, f"irn.learning_rate {self.learning_rate}: must be positive")
        check(0 <= self.momentum < 1, f"irn.momentum {self.momentum}: must lie in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class WalkConfig:
    """How a source's scores walk within the boundaries that the IRN found.

    Attributes:
        source: whose maps: a CAM store of the run, such as `refine`; `fusion`, what the recipe's
            rule fuses; or a rule such as `and`.
        radius: a step reaches pixels nearer than this, in cells of 4 pixels.
        beta: exponent of the affinities, above 0; larger keeps scores from weak boundaries too.
        exp_times: the walk has 2^exp_times steps.
        normalised_by: maps are divided by the largest score of the `image`, as published, or each
            by that of its own `class`.
    """

    source: str = "refine"
    radius: int = 5
    beta: float = 10.0
    exp_times: int = 8
    normalised_by: str = "image"

    def __post_init__(self):
        check(bool(self.source), "walk.source is empty: name a source")
        check(self.radius >= 2, f"walk.radius {self.radius}: from 2 on a pixel has neighbours")
        check(self.beta > 0, f"walk.beta {self.beta}: must be positive")
        check(
            0 <= self.exp_times <= MAX_EXP_TIMES,
            f"walk.exp_times {self.exp_times}: must lie in [0, {MAX_EXP_TIMES}]",
        )
        check(
            self.normalised_by in NORMALISED_BY,
            f"walk.normalised_by {self.normalised_by!r}: choose one of {NORMALISED_BY}",
        )
