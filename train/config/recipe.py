"""A whole run."""

from dataclasses import dataclass, field

from train.config.classifier import CamConfig, ClassifyConfig
from train.config.crf import CrfConfig
from train.config.fields import check
from train.config.ir_labels import IrLabelConfig
from train.config.irn import IrnConfig, WalkConfig
from train.config.masks import MaskConfig
from train.config.refine import RefineConfig
from train.config.segment import EvaluateConfig, SegmentConfig

DATASET_KINDS = ("auto", "voc12", "coco", "folder", "scenes")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which images.

    Attributes:
        kind: layout of the data set; `auto` recognises it.
        root: its folder; empty means the built-in sample, or what `--data` says.
        train_split: images that the classifiers learn from, by their image-level labels.
        eval_split: held-out images for the classifiers' mAP.
        cam_splits: images that get CAMs.
    """

    kind: str = "auto"
    root: str = ""
    train_split: str = "train"
    eval_split: str = "val"
    cam_splits: tuple[str, ...] = ("train", "val")

    def __post_init__(self):
        check(self.kind in DATASET_KINDS, f"data.kind {self.kind!r}: choose one of {DATASET_KINDS}")


@dataclass(frozen=True, kw_only=True)
class FusionConfig:
    """The fusion and thresholds that pseudo-masks are made with; the Fuse page writes one."""

    rule: str = "and"
    background_threshold: float | None = None
    offset_cnn: float = 0.0
    offset_vit: float = 0.0
    gamma_cnn: float = 1.0
    gamma_vit: float = 1.0
    weight_cnn: float = 1.0
    weight_vit: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run: data, two classifiers, their CAMs, the fusion, and the seed of it all."""

    name: str
    data: DataConfig
    cnn: ClassifyConfig
    vit: ClassifyConfig
    cnn_cams: CamConfig
    vit_cams: CamConfig
    fusion: FusionConfig = field(default_factory=FusionConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    crf: CrfConfig = field(default_factory=CrfConfig)
    ir_labels: IrLabelConfig = field(default_factory=IrLabelConfig)
    irn: IrnConfig = field(default_factory=IrnConfig)
    walk: WalkConfig = field(default_factory=WalkConfig)
    masks: MaskConfig = field(default_factory=MaskConfig)
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    seed: int = 0

    def classifier(self, source: str) -> ClassifyConfig:
        """The classifier of a source, `cnn` or `vit`."""
        return {"cnn": self.cnn, "vit": self.vit}[source]

    def cams(self, source: str) -> CamConfig:
        """The CAM settings of a source, `cnn` or `vit`."""
        return {"cnn": self.cnn_cams, "vit": self.vit_cams}[source]
