"""Every way to a CAM, by name."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from orandnet_core.backbones import Classifier
from orandnet_core.cams.attribution import transformer_attribution
from orandnet_core.cams.cnn import cam
from orandnet_core.cams.gradcam import grad_cam
from orandnet_core.cams.patch import patch_cam
from orandnet_core.cams.rollout import attention_rollout, gradient_rollout
from orandnet_core.errors import ConfigError

NORMALISATIONS = ("relu", "minmax")


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to a CAM.

    Attributes:
        kinds: the kinds of network that it fits, of `cnn` and `vit`.
        maps: (classifier, images (B, 3, H, W) normalised, classes (K,) from 0, **options)
            -> (B, K, h, w).
        doc: one line for a menu.
        in_logits: its values mean the same at every image size, so maps of several scales
            are added as they are; otherwise each is first divided by its maximum.
    """

    kinds: tuple[str, ...]
    maps: Callable[..., Tensor]
    doc: str
    in_logits: bool = False

    @property
    def options(self) -> dict[str, object]:
        """The further settings that `maps` takes, with their defaults."""
        parameters = inspect.signature(self.maps).parameters.values()
        return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}

    def check(self, *, normalise: str = NORMALISATIONS[0], **options: object) -> None:
        """Raise ConfigError unless these are settings that the method takes."""
        if normalise not in NORMALISATIONS:
            raise ConfigError(f"normalise {normalise!r}: choose one of {NORMALISATIONS}")
        for name, value in options.items():
            if name not in self.options:
                known = ", ".join(("normalise", *self.options))
                raise ConfigError(f"{self.maps.__name__} has no option {name!r}; it has {known}")
            kind = typing.get_type_hints(self.maps)[name]
            if not isinstance(value, kind):
                raise ConfigError(f"{self.maps.__name__}: {name} takes {kind}, got {value!r}")


METHODS: dict[str, Method] = {
    "cam": Method(
        kinds=("cnn",),
        maps=cam,
        doc="Class-weighted features of the last map (Zhou et al., 2016), or spread by likeness (SEAM)",
        in_logits=True,
    ),
    "patch_cam": Method(
        kinds=("vit",),
        maps=patch_cam,
        doc="Class scores of the patch tokens, on request refined by attention (MCTformer, TS-CAM)",
        in_logits=True,
    ),
    "transformer_attribution": Method(
        kinds=("vit",),
        maps=transformer_attribution,
        doc="Relevance times gradient of every attention, rolled out (Chefer et al., CVPR 2021)",
    ),
    "gradient_rollout": Method(
        kinds=("vit",),
        maps=gradient_rollout,
        doc="Attention times its gradient, rolled out (Chefer et al., ICCV 2021)",
    ),
    "attention_rollout": Method(
        kinds=("vit",),
        maps=attention_rollout,
        doc="Attention alone, rolled out; the same for every class (Abnar and Zuidema, 2020)",
    ),
    "grad_cam": Method(
        kinds=("cnn", "vit"),
        maps=grad_cam,
        doc="Features of any layer, weighted by the mean gradient of their channel (Selvaraju et al., 2017)",
    ),
}


def method_for(name: str, classifier: Classifier) -> Method:
    """The method of that name, if it fits the network.

    Raises:
        ConfigError: there is none, or it is for the other kind; the message lists those that fit.
    """
    kind = classifier.network.kind
    fitting = [known for known, method in METHODS.items() if kind in method.kinds]
    if name not in fitting:
        reason = "is not for" if name in METHODS else "is unknown; for"
        raise ConfigError(f"method {name!r} {reason} a {kind}: choose one of {', '.join(fitting)}")
    return METHODS[name]
