"""What a run is made of: frozen dataclasses, checked when they are made.

A recipe is a plain function that returns a full `Recipe`; an override makes a new one.
"""

from train.config.classifier import (
    OPTIMISERS,
    PRECISIONS,
    SCHEDULES,
    AugmentConfig,
    CamConfig,
    ClassifyConfig,
)
from train.config.crf import CrfConfig
from train.config.fields import from_dict, override, to_dict
from train.config.ir_labels import IrLabelConfig
from train.config.irn import NORMALISED_BY, IrnConfig, WalkConfig
from train.config.masks import MaskConfig
from train.config.recipe import DATASET_KINDS, DataConfig, FusionConfig, Recipe
from train.config.refine import REFINER_LOSSES, REFINERS, RefineConfig
from train.config.segment import (
    ARCHITECTURES,
    CURRICULA,
    SEGMENT_LOSSES,
    CurriculumConfig,
    EvaluateConfig,
    PairAugmentConfig,
    SegmentConfig,
)

__all__ = [
    "ARCHITECTURES",
    "CURRICULA",
    "DATASET_KINDS",
    "NORMALISED_BY",
    "OPTIMISERS",
    "PRECISIONS",
    "REFINERS",
    "REFINER_LOSSES",
    "SCHEDULES",
    "SEGMENT_LOSSES",
    "AugmentConfig",
    "CamConfig",
    "ClassifyConfig",
    "CrfConfig",
    "CurriculumConfig",
    "DataConfig",
    "EvaluateConfig",
    "FusionConfig",
    "IrLabelConfig",
    "IrnConfig",
    "MaskConfig",
    "PairAugmentConfig",
    "Recipe",
    "RefineConfig",
    "SegmentConfig",
    "WalkConfig",
    "from_dict",
    "override",
    "to_dict",
]
