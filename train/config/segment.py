"""The segmentation network, the curriculum that trains it, and how it is evaluated."""

from dataclasses import dataclass, field

from orandnet_core.mask_scaling import SCALINGS
from train.config.classifier import OPTIMISERS, PRECISIONS, SCHEDULES
from train.config.fields import check

ARCHITECTURES = ("deeplabv3plus", "segformer")
SEGMENT_LOSSES = ("cross_entropy", "smoothed_bce")
CURRICULA = ("none", "scale", "equal_compute")
CROP_UNIT_PX = 32


@dataclass(frozen=True, kw_only=True)
class CurriculumConfig:
    """Scale scheduling: small images and masks first, the original size last (Park and Shim, 2024).

    Attributes:
        kind: `scale` follows the phases; `none` trains at the original size throughout;
            `equal_compute`, the control, does so too, and stops when it has shown the network as
            many pixels as `scale` would have.
        phases: (share of the steps, scale) pairs; the shares sum to 1, the last scale is 1. On a
            command line `0.3:0.5,0.3:0.75,0.4:1`.
        mask_scaling: how pseudo-masks shrink with their images: `nearest` takes the label at the
            centre of a pixel, `majority` the label of most of its area, and ignores ties.
        grow_batch: as many more images a step as fit into the pixels of a full-size step.
    """

    kind: str = "none"
    phases: tuple[tuple[float, float], ...] = ((0.3, 0.5), (0.3, 0.75), (0.4, 1.0))
    mask_scaling: str = "majority"
    grow_batch: bool = True

    def __post_init__(self):
        check(self.kind in CURRICULA, f"curriculum.kind {self.kind!r}: choose one of {CURRICULA}")
        check(
            self.mask_scaling in SCALINGS,
            f"mask_scaling {self.mask_scaling!r}: choose one of {SCALINGS}",
        )
        shares = [share for share, _ in self.phases]
        check(
            bool(shares) and min(shares) > 0 and abs(sum(shares) - 1) < 1e-6,
            f"curriculum.phases {self.phases}: the shares must be positive and sum to 1",
        )
        check(
            all(0 < scale <= 1 for _, scale in self.phases) and self.phases[-1][1] == 1,
            f"curriculum.phases {self.phases}: scales lie in (0, 1], and the last is 1, the original size",
        )


@dataclass(frozen=True, kw_only=True)
class PairAugmentConfig:
    """How a photograph and its mask become a training crop.

    Attributes:
        crop_px: side of the square crop at the original size; a multiple of 32.
        resize: the photograph is first scaled by a random factor in this range, then cropped, with
            padding (ignored in the mask) where it is smaller.
        colour_jitter: strength of random brightness, contrast and saturation, 0 to 1.
        flip: mirror half of the images.
    """

    crop_px: int = 192
    resize: tuple[float, float] = (0.4, 1.0)
    colour_jitter: float = 0.3
    flip: bool = True

    def __post_init__(self):
        check(
            self.crop_px > 0 and self.crop_px % CROP_UNIT_PX == 0,
            f"augment.crop_px {self.crop_px}: must be a multiple of {CROP_UNIT_PX}",
        )
        check(0 < self.resize[0] <= self.resize[1], f"augment.resize {self.resize}: give least, most")
        check(0 <= self.colour_jitter <= 1, f"augment.colour_jitter {self.colour_jitter}: must be 0 to 1")


@dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """The segmentation network and how pseudo-masks train it.

    Attributes:
        architecture: `deeplabv3plus` or `segformer`.
        encoder: timm name; for `segformer` any network with features at strides 4 to 32.
        weights: of the encoder: `hub`, `none`, a file or a folder; `cnn` takes the backbone of the
            run's own CNN, which must be the same model.
        output_stride: of the encoder under `deeplabv3plus`, 8 or 16.
        frozen_statistics: the encoder's batch normalisation keeps the statistics that came with its
            weights, as in DeepLab-v2; small batches of small crops spoil them. With weights `none`
            they are learned all the same.
        masks: what it learns from: `masks`, the run's pseudo-masks; `truth`, the data set's own
            masks, an upper bound; or a folder of `<image id>.png`.
        loss: `cross_entropy`, or `smoothed_bce`, binary cross entropy of every class against the rest.
        label_smoothing: of `smoothed_bce`: its targets are 1 - s / 2 and s / 2.
        epochs, batch_size: of the whole training at the original size, over all devices together.
        optimiser, momentum, learning_rate, head_rate_factor, weight_decay: the decoder learns
            `head_rate_factor` times faster than the encoder; momentum is that of `sgd`.
        schedule: `poly` (power 0.9) or `cosine`, after `warmup_share` of the steps.
        clip_norm: largest gradient norm.
        precision: `auto` takes bfloat16 or float16 where the device is fast at it.
        accumulate: steps whose gradients are added before the weights move.
    """

    architecture: str = "deeplabv3plus"
    encoder: str = "tf_efficientnet_lite0"
    weights: str = "hub"
    output_stride: int = 16
    frozen_statistics: bool = True
    masks: str = "masks"
    loss: str = "cross_entropy"
    label_smoothing: float = 0.1
    augment: PairAugmentConfig = field(default_factory=PairAugmentConfig)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    epochs: int = 8
    batch_size: int = 8
    optimiser: str = "adamw"
    momentum: float = 0.9
    learning_rate: float = 2e-4
    head_rate_factor: float = 5.0
    weight_decay: float = 0.01
    schedule: str = "poly"
    warmup_share: float = 0.05
    clip_norm: float = 1.0
    precision: str = "auto"
    accumulate: int = 1

    def __post_init__(self):
        check(
            self.architecture in ARCHITECTURES,
            f"architecture {self.architecture!r}: choose one of {ARCHITECTURES}",
        )
        check(self.loss in SEGMENT_LOSSES, f"loss {self.loss!r}: choose one of {SEGMENT_LOSSES}")
        check(self.optimiser in OPTIMISERS, f"optimiser {self.optimiser!r}: choose one of {OPTIMISERS}")
        check(self.schedule in SCHEDULES, f"schedule {self.schedule!r}: choose one of {SCHEDULES}")
        check(self.precision in PRECISIONS, f"precision {self.precision!r}: choose one of {PRECISIONS}")
        check(bool(self.masks), "masks is empty: 'masks', 'truth' or a folder")
        check(0 <= self.label_smoothing < 1, f"label_smoothing {self.label_smoothing}: must lie in [0, 1)")
        check(self.epochs > 0, f"epochs {self.epochs}: must be positive")
        check(
            self.accumulate > 0 and self.batch_size > 0 and self.batch_size % self.accumulate == 0,
            f"accumulate {self.accumulate}: must divide batch_size {self.batch_size}, both positive",
        )
        check(self.learning_rate > 0, f"learning_rate {self.learning_rate}: must be positive")
        check(0 <= self.momentum < 1, f"momentum {self.momentum}: must lie in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """How the segmentation network is evaluated.

    Attributes:
        splits: what is predicted, and scored where there are masks.
        scales: factors on the photograph's size; probabilities are averaged. A single scale
            without mirroring is scored as well, beside this.
        flip: add the mirrored image's probabilities.
        crf: preset of the dense CRF that sharpens the probabilities; empty is none.
    """

    splits: tuple[str, ...] = ("val",)
    scales: tuple[float, ...] = (0.5, 0.75, 1.0)
    flip: bool = True
    crf: str = ""

    def __post_init__(self):
        check(bool(self.splits), "evaluate.splits is empty: name at least one split")
        check(
            bool(self.scales) and all(scale > 0 for scale in self.scales),
            f"scales {self.scales}: at least one, all positive",
        )
