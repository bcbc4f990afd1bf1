"""Named recipes: plain functions that return a full config."""

from collections.abc import Callable

from orandnet_core.errors import ConfigError
from train.config import (
    AugmentConfig,
    CamConfig,
    ClassifyConfig,
    CrfConfig,
    CurriculumConfig,
    DataConfig,
    EvaluateConfig,
    IrnConfig,
    PairAugmentConfig,
    Recipe,
    RefineConfig,
    SegmentConfig,
)


def scenes() -> Recipe:
    """Two small networks from nothing on procedural scenes.

    Command:  python -m train run --recipe scenes

    All stages, from nothing to the segmentation's scores, took 10 min 28 s on two cores with no
    other work, 20 minutes of CPU time and 1.6 GB (the sample was drawn before).

    The networks in `assets/weights` come from more scenes than the built-in sample has, so
    that the sample's images are new to them:

        python -m train data scenes <folder> --images 960 --seed 1
        python -m train classify --recipe scenes --data <folder>
        python -m train release --recipe scenes

    Measured on two cores that were busy with other work: 44 and 15 minutes of training (CNN,
    ViT), mAP 95.5 and 75.6 on the 240 held-out scenes of that folder. Alone, the ViT learns the
    backgrounds and hardly localises (11.8 mIoU, mAP 66.5); with the CNN as its teacher it does.
    """
    return Recipe(
        name="scenes",
        data=DataConfig(kind="scenes"),
        cnn=ClassifyConfig(
            model="resnet10t",
            head="conv",
            weights="none",
            augment=AugmentConfig(crop_px=128, area=(0.3, 1.0), colour_jitter=0.2),
            eval_px=192,
            epochs=25,
            batch_size=16,
            learning_rate=1e-3,
            head_rate_factor=1.0,
            warmup_share=0.1,
        ),
        vit=ClassifyConfig(
            model="vit_tiny_patch16_224",
            head="cls+patch",
            pooling="log_sum_exp",
            weights="none",
            teacher="cnn",
            depth=2,
            image_px=160,
            augment=AugmentConfig(crop_px=160, area=(0.3, 1.0), colour_jitter=0.2),
            eval_px=224,
            epochs=16,
            batch_size=16,
            learning_rate=1e-3,
            head_rate_factor=1.0,
            warmup_share=0.1,
        ),
        cnn_cams=CamConfig(method="cam", scales=(0.5, 1.0), output_stride=16),
        # Scores may all be negative: lowest to highest, so that no class has an empty map.
        vit_cams=CamConfig(method="patch_cam", scales=(1.0, 1.5), options=(("normalise", "minmax"),)),
        refine=RefineConfig(crop_px=192),
        # No other network has seen such pictures.
        irn=IrnConfig(
            model="resnet10t",
            weights="cnn",
            backbone_rate_factor=1.0,
            augment=PairAugmentConfig(crop_px=192, resize=(0.75, 1.25), colour_jitter=0.0),
            epochs=12,
        ),
        segment=SegmentConfig(
            encoder="resnet10t",
            weights="cnn",
            frozen_statistics=False,
            augment=PairAugmentConfig(crop_px=192, resize=(0.6, 1.2), colour_jitter=0.2),
            curriculum=CurriculumConfig(kind="scale"),
        ),
        evaluate=EvaluateConfig(scales=(0.75, 1.0)),
    )


def voc12_cpu() -> Recipe:
    """A light CNN and a small ViT on a part of VOC 2012, for two cores without a GPU.

    Command:  python -m train run --recipe voc12_cpu --data <VOC root> --weights <folder of weights>

    Measured on 3,357 images, two cores of an EPYC that had other work: 30 minutes for the CNN, 58
    (with AVX512_BF16) for the ViT, 20 to 30 for the CAMs of 913 images; mAP 83.2 (CNN) and 79.5
    (ViT) on 250 held-out images (83.4 and 79.9 when trained again; the ViT's second training took
    84 minutes beside other work). With the CNN as teacher the ViT reaches 53.6 mAP after its first epoch,
    without it 33. At the oracle threshold of 663 images, plain CAMs have 43.2 and 40.6 mIoU; spread by
    affinity, as here, 51.3 and 54.9; refined 55.3, walked within IRN's boundaries 56.3. From the CAMs to the
    walk it took 20 minutes. How far scores spread, and what the CRF and the segmentation take, was chosen
    on 150, 25 and 663 images of `train` by their masks.

    Both networks are part of the repository: `python -m train adopt --recipe voc12_cpu --data <VOC
    root>` takes them in place of training, and the rest needs neither a hub nor other weights.
    """
    return Recipe(
        name="voc12_cpu",
        data=DataConfig(kind="voc12", train_split="train_aug"),
        cnn=ClassifyConfig(
            model="tf_efficientnet_lite0",
            head="conv",
            frozen_stages=3,
            augment=AugmentConfig(crop_px=288, area=(0.25, 1.0)),
            eval_px=320,
            epochs=5,
            batch_size=16,
            learning_rate=3e-4,
            weight_decay=0.02,
            precision="float32",  # its depthwise convolutions are slower in bfloat16 on a CPU
        ),
        vit=ClassifyConfig(
            model="vit_small_patch14_dinov2",
            head="cls+patch",
            pooling="log_sum_exp",
            depth=11,
            teacher="cnn",
            augment=AugmentConfig(crop_px=224, area=(0.3, 1.0)),
            eval_px=280,
            epochs=5,
            batch_size=16,
            learning_rate=1e-4,
            layer_decay=0.75,
        ),
        cnn_cams=CamConfig(
            method="cam",
            scales=(0.5, 1.0, 1.5, 2.0),
            output_stride=16,
            options=(("affinity_steps", 4), ("normalise", "minmax")),
        ),
        vit_cams=CamConfig(
            method="patch_cam",
            scales=(1.0,),
            long_side_px=448,
            options=(("affinity_steps", 4), ("affinity", "features"), ("normalise", "minmax")),
        ),
        # Maps that are spread by affinity have few zeros: background is given less, within PSA's range.
        crf=CrfConfig(background_power=8.0),
        irn=IrnConfig(weights="cnn"),
        segment=SegmentConfig(weights="cnn", learning_rate=1e-4, head_rate_factor=10.0),
    )


def voc12_paper() -> Recipe:
    """The paper's two networks on VOC 2012 train_aug: ResNet-50 and DeiT-B/16 at 512 px.

    Command:  python -m train run --recipe voc12_paper --data <VOC root>
    Hardware: one GPU of 24 GB. As published, not run here.

    The CNN follows IRN (Ahn et al., CVPR 2019): SGD with a poly schedule, five epochs of batch 16, long
    side 320 to 640, crops of 512; the last two of ResNet-50's four stages and the head learn. IRN's code
    trains at 0.1 with hardly any momentum, as it hands its optimiser the weight decay in that place; with
    the momentum meant, 0.9, a tenth of the rate takes steps of the same length. This still differs: what
    learns here decays, and its batch normalisation follows the batches, where IRN's keeps ImageNet's
    statistics. The ViT follows Park and Shim
    (2024, section 4.1): DeiT-B/16 at 512 px with transformer attribution. The refiner is their
    FCN-8s on VGG-16, trained as the CNN is, with our loss: `refine.loss=reference` is theirs. IRN and
    its random walk have the settings of their authors' code (run_sample.py). The segmentation
    network is DeepLabV3+ on ResNet-101, trained as DeepLab-v2 is on pseudo-masks (Chen et al., TPAMI
    2018: SGD at 0.00025, its decoder ten times faster, 20,000 steps of batch 10, crops of 320), with
    scale scheduling.
    """
    crop = AugmentConfig(crop_px=512, long_side_px=(320, 640), colour_jitter=0.0)
    return Recipe(
        name="voc12_paper",
        data=DataConfig(kind="voc12", train_split="train_aug", cam_splits=("train_aug", "val")),
        cnn=ClassifyConfig(
            model="resnet50",
            head="conv",
            output_stride=16,
            frozen_stages=3,  # the stem is the first
            augment=crop,
            eval_px=512,
            epochs=5,
            batch_size=16,
            optimiser="sgd",
            learning_rate=0.01,  # published 0.1; see above
            weight_decay=1e-4,
            schedule="poly",
            warmup_share=0.0,
            clip_norm=1e6,  # published without
        ),
        vit=ClassifyConfig(
            model="deit_base_patch16_384",
            head="cls",
            image_px=512,
            augment=crop,
            eval_px=512,
            epochs=10,
            batch_size=16,
            learning_rate=5e-5,
            layer_decay=0.75,
        ),
        cnn_cams=CamConfig(method="cam", scales=(0.5, 1.0, 1.5, 2.0)),
        vit_cams=CamConfig(method="transformer_attribution", scales=(1.0,)),
        refine=RefineConfig(
            architecture="fcn8s",
            weights="hub",
            cell_px=1,
            crop_px=512,
            epochs=5,
            batch_size=16,
            optimiser="sgd",
            learning_rate=0.01,  # published 0.1, as for the CNN
            weight_decay=1e-4,
            schedule="poly",
            warmup_share=0.0,
            clip_norm=1e6,
        ),
        irn=IrnConfig(
            model="resnet50",
            output_stride=16,
            displacement_channels=256,
            displacement_rate_factor=10.0,
            augment=PairAugmentConfig(crop_px=512, resize=(0.5, 1.5), colour_jitter=0.0),
            epochs=3,
            batch_size=32,
            optimiser="sgd",
            learning_rate=0.01,  # published 0.1, as for the CNN
            weight_decay=1e-4,
            schedule="poly",
            warmup_share=0.0,
            clip_norm=1e6,
        ),
        segment=SegmentConfig(
            encoder="resnet101",
            loss="smoothed_bce",
            augment=PairAugmentConfig(crop_px=320, resize=(0.5, 1.5), colour_jitter=0.0),
            curriculum=CurriculumConfig(kind="scale"),
            epochs=19,  # 20,000 steps
            batch_size=10,
            optimiser="sgd",
            learning_rate=2.5e-4,
            head_rate_factor=10.0,
            weight_decay=5e-4,
            warmup_share=0.0,
            clip_norm=1e6,  # published without
        ),
        evaluate=EvaluateConfig(scales=(0.5, 0.75, 1.0, 1.25, 1.5), crf="deeplab"),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "scenes": scenes,
    "voc12_cpu": voc12_cpu,
    "voc12_paper": voc12_paper,
}


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    try:
        return RECIPES[name]()
    except KeyError:
        raise ConfigError(f"no recipe {name!r}: choose one of {', '.join(RECIPES)}") from None
