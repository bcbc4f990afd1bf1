"""Dense CRF: labels and score maps that follow the edges of the photograph.

Mean-field inference in a fully connected CRF with Gaussian edge potentials (Krähenbühl and Koltun,
NIPS 2011, algorithm 1 and equation 3, with Potts compatibility). Every pixel i takes part in the
label of every other pixel j:

    Q_i(l)  ∝  exp(-U_i(l) + sum_m w_m sum_j k_m(i, j) Q_j(l))

    smoothness  k_1 = exp(-|p_i - p_j|² / 2 s²)                             p: position in pixels
    appearance  k_2 = exp(-|p_i - p_j|² / 2 a² - |I_i - I_j|² / 2 c²)       I: RGB in 0..255

where each kernel is divided by the square roots of both its pixels' sums. `pydensecrf2` does the
filtering, approximately, on a permutohedral lattice. It is imported when it is first needed, as it
does not build everywhere; it holds the GIL while it works, so share images among processes, not
threads. Its cost grows with the labels: pass the classes that are present.

Shapes: L labels, background first; K = L - 1 present classes; H x W pixels.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from orandnet_core.errors import ConfigError, RangeError, ShapeError
from orandnet_core.labels import BACKGROUND, IGNORE_INDEX

__all__ = [
    "DEEPLAB",
    "IRN",
    "PRESETS",
    "PSA",
    "CrfPreset",
    "background_score",
    "crf_cam",
    "crf_labels",
    "crf_preset",
    "crf_scores",
    "require_crf",
]

Array = np.ndarray

# Scores of 0 have no logarithm. As `pydensecrf` has it, which all published figures rest on.
_LEAST_SCORE = 1e-5


@dataclass(frozen=True, kw_only=True)
class CrfPreset:
    """The parameters of a dense CRF.

    Attributes:
        name: the key in `PRESETS`, used in recipes and files.
        smoothness_px, smoothness_weight: s and w_1.
        appearance_px, appearance_rgb, appearance_weight: a, c (in levels of 0..255) and w_2.
        certainty: probability that a given label is right, in (0, 1); for `crf_labels` alone.
        iterations: mean-field updates.
    """

    name: str
    smoothness_px: float
    smoothness_weight: float
    appearance_px: float
    appearance_rgb: float
    appearance_weight: float
    certainty: float = 0.7
    iterations: int = 10


# Labels, IRN (Ahn et al., CVPR 2019): what its code cleans its confident labels with.
IRN = CrfPreset(
    name="irn",
    smoothness_px=3,
    smoothness_weight=3,
    appearance_px=50,
    appearance_rgb=5,
    appearance_weight=10,
)
# Score maps, AffinityNet (Ahn and Kwak, CVPR 2018): what its code refines CAMs with; SEAM and others follow.
PSA = CrfPreset(
    name="psa",
    smoothness_px=3,
    smoothness_weight=3,
    appearance_px=80,
    appearance_rgb=13,
    appearance_weight=10,
)
# Score maps, DeepLab-v2 on ResNet-101 (Chen et al., TPAMI 2018): after a segmentation network.
DEEPLAB = CrfPreset(
    name="deeplab",
    smoothness_px=1,
    smoothness_weight=3,
    appearance_px=67,
    appearance_rgb=3,
    appearance_weight=4,
)
PRESETS: dict[str, CrfPreset] = {preset.name: preset for preset in (IRN, PSA, DEEPLAB)}


def crf_preset(name: str) -> CrfPreset:
    """The preset of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise ConfigError(f"no CRF preset {name!r}: choose one of {', '.join(PRESETS)}") from None


def crf_labels(image: Array, label_map: Array, class_ids: Array, preset: CrfPreset = IRN) -> Array:
    """Clean a label map: every given label is right with probability `preset.certainty`.

    Args:
        image: (H, W, 3) uint8 RGB.
        label_map: (H, W) uint8: 0, the class ids, or IGNORE_INDEX where any label is as likely. Or
            (N, H, W): several maps of one image, which share the work that only the image decides.
        class_ids: (K,) in 1..254, ascending: the labels that the result may have beside 0, whether
            or not the map shows them. What the map does not say is shared equally among them.

    Returns:
        The likeliest label of every pixel, as `label_map` in shape and type. Never IGNORE_INDEX.

    Raises:
        ShapeError: image and labels do not fit together.
        RangeError: a label that is neither 0 nor a class id nor IGNORE_INDEX.
        ConfigError: `pydensecrf2` is not installed.
    """
    labels = np.concatenate([[BACKGROUND], np.asarray(class_ids, np.int64)]).astype(np.uint8)
    label_map = np.asarray(label_map)
    image = _checked_image(image, label_map.shape[-2:])
    if label_map.ndim not in (2, 3):
        raise ShapeError(f"label_map is {label_map.shape}; it must be (H, W) or (N, H, W)")
    strange = np.setdiff1d(label_map, [*labels, IGNORE_INDEX])
    if strange.size:
        raise RangeError(
            f"label_map has label {strange[0]}; with class ids {labels[1:].tolist()} it may have those, "
            f"{BACKGROUND} and {IGNORE_INDEX}"
        )
    if len(labels) == 1:
        return np.full_like(label_map, BACKGROUND)
    maps = label_map.reshape(-1, *label_map.shape[-2:])
    unaries = (_energies_of_labels(each, labels, preset.certainty) for each in maps)
    likeliest = [labels[each.argmax(axis=0)] for each in _mean_field(image, unaries, len(labels), preset)]
    return np.stack(likeliest).reshape(label_map.shape).astype(label_map.dtype)


def crf_scores(image: Array, scores: Array, preset: CrfPreset = PSA) -> Array:
    """Refine score maps.

    Args:
        image: (H, W, 3) uint8 RGB.
        scores: (L, H, W) in [0, 1], probabilities up to a factor for each pixel: what counts are the
            ratios of a pixel's scores. Scores below 1e-5 count as 1e-5.

    Returns:
        (L, H, W) float32: the probabilities of every pixel's labels, which sum to 1.

    Raises:
        ShapeError: image and scores do not fit together, or there is no label.
        RangeError: a score is not a number or outside [0, 1].
        ConfigError: `pydensecrf2` is not installed.
    """
    scores = np.asarray(scores, np.float32)
    if scores.ndim != 3 or not len(scores):
        raise ShapeError(f"scores are {scores.shape}; they must be (L, H, W) with one label or more")
    image = _checked_image(image, scores.shape[1:])
    if not (scores.min() >= 0 and scores.max() <= 1):  # also for not-a-number
        raise RangeError(f"scores from {scores.min():g} to {scores.max():g}; they must lie in [0, 1]")
    if len(scores) == 1:
        return np.ones_like(scores)
    return next(_mean_field(image, [-np.log(scores.clip(_LEAST_SCORE, 1))], len(scores), preset))


def background_score(cam: Array, power: float) -> Array:
    """What is left for background where the best class has a score: (1 - max_k cam_k)^power.

    Ahn and Kwak, CVPR 2018, section 3.1, equation 2. The larger the power, the weaker background.

    Args:
        cam: (K, H, W) in [0, 1]; K may be 0, and then all is background.
        power: above 0; 1 or more in the paper.

    Returns:
        (H, W) float32 in [0, 1].
    """
    best = cam.max(axis=0, initial=0.0).astype(np.float32)
    return (1 - best.clip(0, 1)) ** np.float32(power)


def crf_cam(image: Array, cam: Array, background_power: float, preset: CrfPreset = PSA) -> Array:
    """CAMs after a dense CRF over the classes present and background.

    Args:
        image: (H, W, 3) uint8 RGB.
        cam: (K, H, W) in [0, 1].
        background_power: see `background_score`.

    Returns:
        (K, H, W) float32 in [0, 1]: each class's probability after the CRF, divided by its own
        maximum, so that the largest pixel of a class is 1. A class without a score stays all 0.

    Raises:
        ShapeError, RangeError, ConfigError: as `crf_scores`.
    """
    background = background_score(cam, background_power)
    refined = crf_scores(image, np.concatenate([background[None], cam.astype(np.float32)]), preset)[1:]
    peak = refined.max(axis=(1, 2), keepdims=True)
    # A class that no pixel speaks for keeps some probability, which must not be stretched into a finding.
    found = (cam.max(axis=(1, 2), keepdims=True) > 0) & (peak > 0)
    return np.divide(refined, peak, out=np.zeros_like(refined), where=found)


def require_crf() -> ModuleType:
    """The module that does the filtering.

    Raises:
        ConfigError: it is not installed; the message says how to get it and what to do without.
    """
    try:
        from pydensecrf import densecrf
    except ImportError as error:
        raise ConfigError(
            f"the dense CRF needs pydensecrf2 ({error}): `pip install pydensecrf2` with a C++ compiler on "
            "Python 3.11 or 3.12 (it does not build on 3.13 and later), or do without a CRF"
        ) from None
    return densecrf


def _mean_field(
    image: Array, unaries: Iterable[Array], label_count: int, preset: CrfPreset
) -> Iterator[Array]:
    """Energies (L, H, W) to probabilities (L, H, W) float32; the image's lattices are built once."""
    height, width = image.shape[:2]
    crf = require_crf().DenseCRF2D(width, height, label_count)
    crf.addPairwiseGaussian(sxy=preset.smoothness_px, compat=preset.smoothness_weight)
    crf.addPairwiseBilateral(
        sxy=preset.appearance_px, srgb=preset.appearance_rgb, rgbim=image, compat=preset.appearance_weight
    )
    for unary in unaries:
        crf.setUnaryEnergy(np.ascontiguousarray(unary.reshape(label_count, -1), np.float32))
        probabilities = np.array(crf.inference(preset.iterations), np.float32)
        yield probabilities.reshape(label_count, height, width)


def _energies_of_labels(label_map: Array, labels: Array, certainty: float) -> Array:
    """(L, H, W) float32: -log of each label's probability, given the map's."""
    others = (1 - certainty) / (len(labels) - 1)
    given = label_map == labels[:, None, None]
    energies = np.where(given, np.float32(-np.log(certainty)), np.float32(-np.log(others)))
    energies[:, label_map == IGNORE_INDEX] = 0  # a constant for all labels is no preference
    return energies


def _checked_image(image: Array, size_hw: tuple[int, ...]) -> Array:
    """The image as `pydensecrf` takes it: contiguous and writable, so a copy."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ShapeError(f"image is {image.shape} of {image.dtype}; it must be (H, W, 3) uint8")
    if image.shape[:2] != tuple(size_hw):
        raise ShapeError(f"image is {image.shape[:2]} and its maps {tuple(size_hw)}; they must be the same")
    return np.array(image, order="C")
