"""Methods of the `grad-cam` package on one photograph, to be looked at beside our own."""

import copy
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from orandnet_core.backbones import Classifier, pool
from orandnet_core.cams.borrow import borrowed
from orandnet_core.cams.checks import checked_size_hw, class_indices
from orandnet_core.cams.gradcam import layer_named, tokens_to_map
from orandnet_core.cams.scales import input_hw, merged, side_unit_px, views
from orandnet_core.errors import ConfigError

# Which networks each method fits. Left out: wrappers around other methods (FinerCAM, RefineCAM,
# SESS); for a ViT, FullGrad, which wants biases of convolutions, and ShapleyCAM, which fails on tokens.
PACKAGE_METHODS: dict[str, tuple[str, ...]] = {
    "GradCAM": ("cnn", "vit"),
    "GradCAMPlusPlus": ("cnn", "vit"),
    "GradCAMElementWise": ("cnn", "vit"),
    "HiResCAM": ("cnn", "vit"),
    "XGradCAM": ("cnn", "vit"),
    "LayerCAM": ("cnn", "vit"),
    "EigenCAM": ("cnn", "vit"),
    "EigenGradCAM": ("cnn", "vit"),
    "SegEigenCAM": ("cnn", "vit"),
    "KPCA_CAM": ("cnn", "vit"),
    "FEM": ("cnn", "vit"),
    "ScoreCAM": ("cnn", "vit"),
    "AblationCAM": ("cnn", "vit"),
    "RandomCAM": ("cnn", "vit"),
    "ShapleyCAM": ("cnn",),
    "FullGrad": ("cnn",),
}


def package_cam(
    classifier: Classifier,
    image: np.ndarray,
    class_ids: Sequence[int] | np.ndarray,
    method: str,
    *,
    layer: str = "",
    long_side_px: int | None = None,
) -> np.ndarray:
    """Run a method of the `grad-cam` package, class by class, at one scale.

    The package hooks, re-wires and back-propagates into what it is given, so it is given a
    copy: the network itself stays as it is, whatever happens. `ScoreCAM` and `AblationCAM`
    run the network once a channel, which takes minutes on a CPU.

    Args:
        classifier, image, class_ids, long_side_px: as for `compute_cam`.
        method: a name of `PACKAGE_METHODS` that fits the network.
        layer: name of a module of the backbone; by default the last feature map of a CNN,
            and the normalisation before the last attention of a ViT.

    Returns:
        (K, H, W) float32 in [0, 1], each class stretched over it as the package does.

    Raises:
        ShapeError, RangeError: the image or a class id cannot be used.
        ConfigError: no such method for this kind of network, no such layer, or the package
            cannot make anything of that layer.
    """
    kind = classifier.network.kind
    if kind not in PACKAGE_METHODS.get(method, ()):
        fitting = [name for name, kinds in PACKAGE_METHODS.items() if kind in kinds]
        raise ConfigError(f"grad-cam's {method!r} is not for a {kind}: choose one of {', '.join(fitting)}")
    size_hw = checked_size_hw(image)
    classes = class_indices(class_ids, classifier)
    maps = [np.zeros((0, *size_hw), np.float32)]
    with torch.inference_mode(False), torch.enable_grad():
        with borrowed(classifier):
            model = _Described(copy.deepcopy(classifier)).eval().requires_grad_()
        view_hw = input_hw(size_hw, 1.0, side_unit_px(classifier), long_side_px)
        (view,) = views(classifier, image, [view_hw], flip=False)
        explain = _explainer(model, method, layer, view)
        for index in classes.tolist():
            try:
                found = explain(view, index)
            except Exception as error:  # foreign code on a layer of the user's choice
                raise ConfigError(
                    f"grad-cam's {method} fails on layer {layer or 'by default'!r} of "
                    f"{classifier.network.model} ({type(error).__name__}: {error}); choose another layer"
                ) from error
            maps.append(merged(torch.from_numpy(found)[None], size_hw).numpy())
    return np.concatenate(maps).clip(0, 1)


class _Described(nn.Module):
    """A classifier as the package wants one: (B, C) logits, and a module that gives the last feature map."""

    def __init__(self, classifier: Classifier):
        super().__init__()
        self.classifier = classifier
        self.features = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        if self.classifier.network.kind == "vit":
            return self.classifier(images)[:, 0]
        maps = self.classifier.head(self.features(self.classifier.backbone.forward_features(images)))
        return pool(maps, self.classifier.network.pooling)


def _explainer(
    model: _Described, method: str, layer: str, view: Tensor
) -> Callable[[Tensor, int], np.ndarray]:
    """The package's object, as a function from (1, 3, h, w) and a class's index to a (1, h, w) map."""
    # Imported here: it takes a second, which only those pay who use it.
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    vit = model.classifier.network.kind == "vit"
    options = {}
    if vit:
        options["reshape_transform"] = partial(tokens_to_map, model.classifier, images=view)
    if method == "AblationCAM":
        # Its default is one object for all calls in the process.
        kind = pytorch_grad_cam.AblationLayerVit if vit else pytorch_grad_cam.AblationLayer
        options["ablation_layer"] = kind()
    module = model.features if not layer and not vit else layer_named(model.classifier, layer)
    # FullGrad finds its layers by itself and says so, on the terminal, when given one.
    explain = getattr(pytorch_grad_cam, method)(model, [] if method == "FullGrad" else [module], **options)
    return lambda images, index: explain(images, [ClassifierOutputTarget(index)])
