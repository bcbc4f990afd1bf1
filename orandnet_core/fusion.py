"""Fuse the class activation maps of two networks, pixel by pixel.

One table, `RULES`, holds every rule; a `Fusion` is a rule with its parameters. Before a rule
combines them, each network's map goes through the same three knobs:

    x = clip(weight * cam ** gamma + offset, 0, 1)

and afterwards a rule that is `normalised` is divided by its own maximum over the pixels of
each class, so that every class that has a pixel above 0 reaches 1.

Arithmetic: every step is rounded to float32, powers are taken in float64 and rounded once. So the
result depends on no machine's vector instructions, and the browser (assets/viewer/fusion.js),
which fuses while a slider moves, gets the same bits.

Shapes: K present classes, H x W pixels. All maps are float32 in [0, 1].
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np

from orandnet_core.errors import ConfigError, RangeError, ShapeError

__all__ = [
    "RULES",
    "Fusion",
    "Rule",
    "and_cam",
    "fuse",
    "geometric_mean_cam",
    "max_cam",
    "mean_cam",
    "min_cam",
    "noisy_or_cam",
    "or_cam",
    "reference_fusion",
    "xor_cam",
]

Array = np.ndarray

# Bilinear upsampling and float16 storage overshoot [0, 1] by less than this.
_ROUNDING = 1e-3
REFERENCE_VIT_OFFSET = 0.15


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How two maps become one.

    Attributes:
        name: the key in `RULES`, used in files and addresses.
        label: the name on screen.
        formula: what `combine` computes, for screen; a is the CNN's map, b the ViT's.
        combine: (a, b) -> map before normalisation; takes and gives (K, H, W) in [0, 1].
        normalised: whether the result is divided by its own maximum per class. The single
            networks keep their scale, and so does `xor`, where the scale *is* the finding:
            two networks that agree everywhere must not show a bright map.
    """

    name: str
    label: str
    formula: str
    combine: Callable[[Array, Array], Array]
    normalised: bool = True


def _or(a: Array, b: Array) -> Array:
    return a + b - a * b


def _xor(a: Array, b: Array) -> Array:
    # Not a + b - 2ab, which rounding can push below 0 where both are close to 1.
    return a * (1 - b) + b * (1 - a)


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(name="cnn", label="CNN", formula="a", combine=lambda a, b: a, normalised=False),
        Rule(name="vit", label="ViT", formula="b", combine=lambda a, b: b, normalised=False),
        Rule(name="mean", label="Naive mean", formula="(a + b) / 2", combine=lambda a, b: (a + b) * 0.5),
        Rule(name="or", label="OR", formula="a + b - ab", combine=_or),
        Rule(name="and", label="AND", formula="ab", combine=np.multiply),
        Rule(name="max", label="Maximum", formula="max(a, b)", combine=np.maximum),
        Rule(name="min", label="Minimum", formula="min(a, b)", combine=np.minimum),
        Rule(
            name="geometric_mean",
            label="Geometric mean",
            formula="√(ab)",
            combine=lambda a, b: np.sqrt(a * b),
        ),
        Rule(
            name="xor",
            label="Disagreement (XOR)",
            formula="a(1 - b) + b(1 - a)",
            combine=_xor,
            normalised=False,
        ),
        Rule(name="noisy_or", label="Noisy OR", formula="1 - (1 - a)^wa (1 - b)^wb", combine=_or),
    )
}


@dataclass(frozen=True)
class Fusion:
    """A rule with its parameters: everything that decides a fused map, hashable and comparable.

    Attributes:
        rule: a key of `RULES`.
        offset_cnn, offset_vit: added to the map, in [-1, 1]; lifts (or sinks) every pixel.
        gamma_cnn, gamma_vit: exponent of the map, in [0.01, 10]; below 1 widens, above 1 sharpens.
        weight_cnn, weight_vit: factor of the map, in [0, 10]. In `noisy_or` the weight is instead
            the exponent in 1 - (1 - a)^weight_cnn (1 - b)^weight_vit: how many independent
            witnesses the network counts for.
        clip: keep the transformed maps in [0, 1]. Only the published code's setting
            (`reference_fusion`) turns it off, for `or` and `and` alone, whose results stay in [0, 1]
            as long as offsets are at least 0 and weights at most 1.

    Raises:
        ConfigError: an unknown rule or a parameter out of its range; the message names both.
    """

    rule: str = "or"
    offset_cnn: float = 0.0
    offset_vit: float = 0.0
    gamma_cnn: float = 1.0
    gamma_vit: float = 1.0
    weight_cnn: float = 1.0
    weight_vit: float = 1.0
    clip: bool = True

    def __post_init__(self):
        if self.rule not in RULES:
            raise ConfigError(f"rule {self.rule!r} is not one of {', '.join(RULES)}")
        for knob, low, high in (("offset", -1.0, 1.0), ("gamma", 0.01, 10.0), ("weight", 0.0, 10.0)):
            for network in ("cnn", "vit"):
                value = getattr(self, f"{knob}_{network}")
                if not low <= value <= high:
                    raise ConfigError(f"{knob}_{network} is {value}; it must be in [{low:g}, {high:g}]")
        if not self.clip and (
            self.rule not in ("or", "and")
            or min(self.offset_cnn, self.offset_vit) < 0
            or max(self.weight_cnn, self.weight_vit) > 1
        ):
            raise ConfigError(
                "clip=False is for rules or and and with offsets of 0 or more and weights of 1 or less: "
                "others leave [0, 1]"
            )

    def as_dict(self) -> dict[str, str | float | bool]:
        """Plain values, ready for JSON; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, object]) -> "Fusion":
        """The inverse of `as_dict`; what is left out keeps its default.

        Raises:
            ConfigError: a name that is not a field, or a value of the wrong kind.
        """
        known = {field.name: type(field.default) for field in fields(cls)}
        if unknown := set(settings) - set(known):
            raise ConfigError(f"Fusion has no {', '.join(sorted(unknown))}; it takes {', '.join(known)}")
        try:
            return cls(**{name: known[name](value) for name, value in settings.items()})
        except (TypeError, ValueError) as error:
            raise ConfigError(f"Fusion: {error}") from None

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any setting."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:12]


def reference_fusion(rule: str = "or") -> Fusion:
    """The published code's setting: +0.15 on the ViT's map, not clipped. Never a default.

    The lifted map exceeds 1 where the ViT is sure (b > 0.85), and there the OR of it *falls* as
    the CNN rises: d/da (a + b' - ab') = 1 - b' < 0. It is here to reproduce numbers, no more.

    Raises:
        ConfigError: a rule other than `or` and `and`, which are all that was published.
    """
    return Fusion(rule=rule, offset_vit=REFERENCE_VIT_OFFSET, clip=False)


def fuse(cnn_cam: Array, vit_cam: Array, fusion: Fusion) -> Array:
    """Fuse two networks' maps of the same classes.

    Args:
        cnn_cam: (K, H, W) in [0, 1].
        vit_cam: same shape, same class order.
        fusion: the rule and its parameters.

    Returns:
        (K, H, W) float32 in [0, 1]. Where the rule is normalised, the largest pixel of every
        class that has one above 0 is 1. The inputs are left as they are; for the rules `cnn`
        and `vit` with no knob turned, the result may be the input itself.

    Raises:
        ShapeError: the shapes differ or are not (K, H, W); the message gives both.
        RangeError: a map leaves [0, 1] or holds NaN; the message gives its range.
    """
    a = _checked(cnn_cam, "cnn_cam")
    b = _checked(vit_cam, "vit_cam")
    if a.shape != b.shape:
        raise ShapeError(f"cnn_cam is {a.shape} and vit_cam {b.shape}; both must be the same (K, H, W)")
    witnesses = fusion.rule == "noisy_or"
    a = _transformed(
        a, fusion.gamma_cnn, 1.0 if witnesses else fusion.weight_cnn, fusion.offset_cnn, fusion.clip
    )
    b = _transformed(
        b, fusion.gamma_vit, 1.0 if witnesses else fusion.weight_vit, fusion.offset_vit, fusion.clip
    )
    if witnesses:
        a, b = _as_witnesses(a, fusion.weight_cnn), _as_witnesses(b, fusion.weight_vit)
    rule = RULES[fusion.rule]
    fused = rule.combine(a, b)
    return _normalised(fused) if rule.normalised else fused


def or_cam(cnn_cam: Array, vit_cam: Array) -> Array:
    """Keep a pixel if either network finds the class (ORANDNet, OR CAM).

    Args:
        cnn_cam: (K, H, W) in [0, 1].
        vit_cam: same shape, same class order.

    Returns:
        (K, H, W) float32 in [0, 1]; the largest pixel of every class that has one is 1.

    Raises:
        ShapeError: the shapes differ; the message gives both.
        RangeError: a map leaves [0, 1] or holds NaN.
    """
    return fuse(cnn_cam, vit_cam, Fusion("or"))


def and_cam(cnn_cam: Array, vit_cam: Array) -> Array:
    """Keep a pixel only if both networks find the class (ORANDNet, AND CAM). As `or_cam`."""
    return fuse(cnn_cam, vit_cam, Fusion("and"))


def mean_cam(cnn_cam: Array, vit_cam: Array) -> Array:
    """The naive ensemble: the average of both maps, normalised. As `or_cam`."""
    return fuse(cnn_cam, vit_cam, Fusion("mean"))


def max_cam(cnn_cam: Array, vit_cam: Array) -> Array:
    """The surer network at every pixel, normalised. As `or_cam`."""
    return fuse(cnn_cam, vit_cam, Fusion("max"))


def min_cam(cnn_cam: Array, vit_cam: Array) -> Array:
    """The less sure network at every pixel, normalised. As `or_cam`."""
    return fuse(cnn_cam, vit_cam, Fusion("min"))


def geometric_mean_cam(cnn_cam: Array, vit_cam: Array) -> Array:
    """The square root of AND: its order of pixels, at the scale of the maps. As `or_cam`."""
    return fuse(cnn_cam, vit_cam, Fusion("geometric_mean"))


def xor_cam(cnn_cam: Array, vit_cam: Array) -> Array:
    """How much the networks disagree: 1 where one finds the class and the other does not.

    As `or_cam`, but not normalised: networks that agree give a dark map.
    """
    return fuse(cnn_cam, vit_cam, Fusion("xor"))


def noisy_or_cam(cnn_cam: Array, vit_cam: Array, cnn_weight: float = 1.0, vit_weight: float = 1.0) -> Array:
    """OR where a network counts for `weight` independent witnesses: 1 - (1-a)^wa (1-b)^wb.

    With both weights 1 this is `or_cam`; a weight of 0 leaves that network out.
    """
    return fuse(cnn_cam, vit_cam, Fusion("noisy_or", weight_cnn=cnn_weight, weight_vit=vit_weight))


def _checked(cam: Array, name: str) -> Array:
    """The map as float32 in [0, 1], rounding errors of upsampling clipped away."""
    cam = np.asarray(cam, np.float32)
    if cam.ndim != 3:
        raise ShapeError(f"{name} is {cam.shape}; it must be (K, H, W)")
    if cam.size == 0:
        return cam
    low, high = cam.min(), cam.max()
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # also False for NaN
        raise RangeError(
            f"{name} spans {low:g} to {high:g}; divide it by its maximum first: it must be in [0, 1]"
        )
    return cam if low >= 0 and high <= 1 else cam.clip(0, 1)


def _transformed(cam: Array, gamma: float, weight: float, offset: float, clip: bool) -> Array:
    """clip(weight * cam ** gamma + offset, 0, 1), doing only what changes something."""
    if gamma != 1:
        cam = _power(cam, gamma)
    if weight != 1:
        cam = cam * np.float32(weight)
    if offset != 0:
        cam = cam + np.float32(offset)
    return cam.clip(0, 1) if clip and (weight > 1 or offset != 0) else cam


def _as_witnesses(cam: Array, weight: float) -> Array:
    """1 - (1 - cam)^weight: OR of `weight` copies of the map."""
    return cam if weight == 1 else 1 - _power(1 - cam, weight)


def _power(cam: Array, exponent: float) -> Array:
    """cam ** exponent in float64, rounded once to float32."""
    return np.power(cam, exponent, dtype=np.float64).astype(np.float32)


def _normalised(cam: Array) -> Array:
    """Divide each class by its maximum; a class without a pixel above 0 stays all 0."""
    if cam.size == 0:
        return cam
    peak = cam.max(axis=(1, 2), keepdims=True)
    return np.divide(cam, peak, out=np.zeros_like(cam), where=peak > 0)
