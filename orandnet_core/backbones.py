"""Multi-label classifiers that localise: a timm network and a head that keeps positions.

Shape legend: B images, C foreground classes, T heads, D channels, (h, w) the grid of the
last feature map or of the patch tokens.

Both kinds answer the same two questions: `forward(images)` gives the logits of every head,
`class_maps(images)` the score of every class at every position.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import timm
import torch
from timm.models import group_modules, group_parameters
from torch import Tensor, nn

from orandnet_core.errors import ConfigError
from orandnet_core.weights import build_backbone, load_described, save_described

HEADS = {"cnn": ("conv",), "vit": ("cls", "patch", "cls+patch")}
POOLINGS = ("mean", "top", "log_sum_exp")
TOP_SHARE = 0.25
LOG_SUM_EXP_SHARPNESS = 4.0


@dataclass(frozen=True, kw_only=True)
class Network:
    """What a classifier is made of; saved beside its weights, so that a file is enough.

    Attributes:
        model: a timm name; a plain ViT or a CNN.
        head: `conv` for a CNN; `cls`, `patch` or `cls+patch` for a ViT.
        class_names: the C foreground classes.
        pooling: how position scores become one logit: `mean`; `top`, the mean of the
            highest quarter; `log_sum_exp`, a soft maximum (Pinheiro and Collobert, CVPR 2015).
        output_stride: 16 keeps the last stage of a CNN at double resolution; None leaves
            the network as timm has it.
        image_px: the side a ViT's position embedding is made for; None takes timm's.
        depth: leading blocks of a ViT that are kept; None keeps all. The last blocks of a
            self-supervised ViT can know less of classes than those before them.
    """

    model: str
    head: str
    class_names: tuple[str, ...]
    pooling: str = "mean"
    output_stride: int | None = None
    image_px: int | None = None
    depth: int | None = None

    def __post_init__(self):
        if self.kind not in HEADS or self.head not in HEADS[self.kind]:
            raise ConfigError(f"head {self.head!r}: a CNN takes 'conv', a ViT one of {HEADS['vit']}")
        if self.pooling not in POOLINGS:
            raise ConfigError(f"pooling {self.pooling!r}: choose one of {POOLINGS}")
        if not timm.is_model(self.model.split(".")[0]):
            near = ", ".join(timm.list_models(f"*{self.model[:6]}*")[:5])
            raise ConfigError(f"timm has no model {self.model!r}" + (f"; near: {near}" if near else ""))

    @property
    def kind(self) -> str:
        """`cnn` or `vit`."""
        return "cnn" if self.head == "conv" else "vit"


class Classifier(nn.Module):
    """What both kinds share: the backbone, the normalisation it expects, pooling."""

    def __init__(self, network: Network, backbone: nn.Module):
        super().__init__()
        self.network = network
        self.backbone = backbone
        self.class_count = len(network.class_names)
        self._frozen: list[nn.Module] = []
        config = backbone.pretrained_cfg
        self.register_buffer("mean", torch.tensor(config["mean"]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config["std"]).view(3, 1, 1), persistent=False)

    def normalise(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] or uint8 -> what the backbone was trained on."""
        if images.dtype == torch.uint8:
            images = images.float() / 255
        return (images - self.mean) / self.std

    def freeze(self, stages: int) -> None:
        """Keep the weights and batch statistics of the first `stages` parts of the backbone.

        The stem (a ViT's patch and position embedding) is the first part, then follow a
        CNN's stages or a ViT's blocks, as timm groups them.
        """
        matcher = self.backbone.group_matcher(coarse=True)
        parts = group_parameters(self.backbone, matcher, reverse=True)
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(parts[name] >= stages)
        parts = group_modules(self.backbone, matcher, reverse=True)
        self._frozen = [self.backbone.get_submodule(name) for name, part in parts.items() if part < stages]

    def train(self, mode: bool = True) -> "Classifier":
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def predict(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) images -> (B, C) probabilities, the mean over heads."""
        return torch.sigmoid(self(self.normalise(images)).mean(1))


class CnnClassifier(Classifier):
    """A CNN and a 1x1 convolution on its last feature map, averaged over positions.

    The average of the class maps equals the usual linear layer on averaged features, so
    the maps are the CAM before its ReLU (Zhou et al., CVPR 2016), without a second pass.
    """

    def __init__(self, network: Network, backbone: nn.Module):
        super().__init__(network, backbone)
        self.head = nn.Conv2d(backbone.num_features, self.class_count, 1, bias=False)
        nn.init.normal_(self.head.weight, std=0.01)

    def class_maps(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, C, h, w) unbounded scores."""
        return self.head(self.backbone.forward_features(images))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, T = 1, C) logits."""
        return pool(self.class_maps(images), self.network.pooling)[:, None]


class VitClassifier(Classifier):
    """A plain ViT with a linear layer on its class token, a 1x1 convolution on its patches, or both."""

    def __init__(self, network: Network, backbone: nn.Module):
        super().__init__(network, backbone)
        width = backbone.num_features
        self.cls_head = nn.Linear(width, self.class_count) if "cls" in network.head else None
        self.patch_head = nn.Conv2d(width, self.class_count, 1) if "patch" in network.head else None
        for head in filter(None, (self.cls_head, self.patch_head)):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    @property
    def patch_px(self) -> int:
        """Side of a patch in pixels; image sides must be multiples of it."""
        return self.backbone.patch_embed.patch_size[0]

    def class_maps(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised, sides multiples of the patch -> (B, C, h, w) unbounded scores.

        Raises:
            ConfigError: the network has no patch head.
        """
        if self.patch_head is None:
            raise ConfigError(
                f"{self.network.model} has no patch head: train with head='cls+patch', or use an attribution"
            )
        tokens = self.backbone.forward_features(images)[:, self.backbone.num_prefix_tokens :]
        grid = tokens.transpose(1, 2).unflatten(2, self._grid_hw(images))
        return self.patch_head(grid)

    def forward(self, images: Tensor, *, with_maps: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """(B, 3, H, W) normalised -> (B, T, C) logits; class token first where there are two heads.

        Args:
            with_maps: give the class maps too, of the same pass (needs a patch head and every patch).
        """
        tokens = self.backbone.forward_features(images)
        logits = []
        if self.cls_head is not None:
            logits.append(self.cls_head(tokens[:, 0]))
        if self.patch_head is not None:
            # Patch dropout thins the tokens in training, so there may be no grid: a row will do.
            row = self.patch_head(tokens[:, self.backbone.num_prefix_tokens :].transpose(1, 2)[:, :, None])
            logits.append(pool(row, self.network.pooling))
        stacked = torch.stack(logits, 1)
        return (stacked, row.squeeze(2).unflatten(2, self._grid_hw(images))) if with_maps else stacked

    def _grid_hw(self, images: Tensor) -> tuple[int, int]:
        return images.shape[-2] // self.patch_px, images.shape[-1] // self.patch_px


def pool(maps: Tensor, pooling: str) -> Tensor:
    """(B, C, h, w) position scores -> (B, C) logits, by a rule of `POOLINGS`."""
    flat = maps.flatten(2)
    if pooling == "mean":
        return flat.mean(2)
    if pooling == "top":
        return flat.topk(max(1, round(TOP_SHARE * flat.shape[2])), dim=2).values.mean(2)
    sharp = LOG_SUM_EXP_SHARPNESS
    # The mean inside the logarithm keeps the logit independent of the number of positions.
    return (torch.logsumexp(sharp * flat, 2) - torch.log(torch.tensor(flat.shape[2]))) / sharp


def build_classifier(
    network: Network, weights: str | Path = "none", *, patch_drop: float = 0.0, drop_path: float = 0.0
) -> Classifier:
    """Make a classifier with a fresh head.

    Args:
        network: what to build.
        weights: where the backbone's weights come from; see `build_backbone`.
        patch_drop: share of patch tokens left out of each training step (ViT).
        drop_path: stochastic depth.

    Raises:
        WeightsError: the weights cannot be found or do not fit.
        ConfigError: timm cannot build the network as asked.
    """
    options = {"global_pool": "", "drop_path_rate": drop_path}
    if network.kind == "vit":
        options |= {"dynamic_img_size": True, "patch_drop_rate": patch_drop}
        if network.image_px:
            options["img_size"] = network.image_px
    elif network.output_stride:
        options["output_stride"] = network.output_stride
    try:
        backbone = build_backbone(network.model, weights, **options)
    except TypeError as error:
        raise ConfigError(
            f"{network.model} cannot be built as a {network.kind} ({error}); "
            "head='conv' is for CNNs, the others for plain ViTs"
        ) from None
    if network.kind == "vit" and network.depth:
        backbone.blocks = backbone.blocks[: network.depth]
    if "cls" in network.head and not getattr(backbone, "has_class_token", True):
        raise ConfigError(f"{network.model} has no class token: take head='patch', or another ViT")
    return (CnnClassifier if network.kind == "cnn" else VitClassifier)(network, backbone)


def save_classifier(path: Path, classifier: Classifier, *, half: bool = False) -> None:
    """Write network and weights to one safetensors file, atomically.

    Args:
        half: store float16, for release; training continues from checkpoints, not from here.
    """
    save_described(path, classifier, "network", asdict(classifier.network), half=half)


def load_classifier(path: Path | str) -> Classifier:
    """Rebuild a classifier from a file of `save_classifier`, in evaluation mode.

    Raises:
        WeightsError: the file is missing, damaged, or holds something else.
    """
    return load_described(
        Path(path),
        "network",
        "classifier",
        "python -m train classify",
        lambda fields: build_classifier(Network(**fields | {"class_names": tuple(fields["class_names"])})),
    )
