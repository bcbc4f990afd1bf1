"""Rules that choose a background threshold, and what each of them has to see to do it.

A rule returns a `ThresholdChoice` that remembers the images whose masks it has seen, so that the
protocol card can tell an honest threshold from one that was tuned on what it is scored on.

| rule | sees | chooses |
|---|---|---|
| fixed | nothing | what it is told |
| oracle | all masks scored | the best mean score: an upper bound |
| calibrated | k masks | the best mean score on those; scored on the rest |
| precision_target | masks | the smallest whose precision reaches a target, with confidence |
| precision_over_recall | masks | the smallest whose precision exceeds its recall (as published) |
| no_labels | two networks' maps | as much foreground as the two see between them |
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from orandnet_core.errors import DataError, RangeError
from orandnet_core.metrics.agreement import Agreement
from orandnet_core.metrics.confusion import MEANS, Metrics
from orandnet_core.metrics.intervals import bootstrap
from orandnet_core.metrics.levels import THRESHOLDS
from orandnet_core.metrics.sweep import Counts, Sweep, classes_counted, of_classes

__all__ = [
    "THRESHOLD_RULES",
    "Calibration",
    "ThresholdChoice",
    "ThresholdRule",
    "best_threshold",
    "calibrated",
    "calibration",
    "draw_images",
    "fixed",
    "no_labels",
    "oracle",
    "precision_bound",
    "precision_over_recall",
    "precision_target",
]

Array = np.ndarray


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold, and how it was come by.

    Attributes:
        value: the background threshold, in [0, 1].
        rule: a key of `THRESHOLD_RULES`.
        chosen_on: on which images, in words.
        seen_ids: the images whose masks the rule has seen; they decide what counts as oracle.
    """

    value: float
    rule: str
    chosen_on: str = "no images"
    seen_ids: frozenset[str] = field(default=frozenset(), repr=False)

    def unseen(self, image_ids: Iterable[str]) -> tuple[str, ...]:
        """The images on which this threshold can be scored honestly."""
        return tuple(image_id for image_id in image_ids if image_id not in self.seen_ids)


@dataclass(frozen=True)
class Calibration:
    """Thresholds chosen on k annotated images and scored on the rest, over many draws.

    Attributes:
        k: annotated images a draw.
        images: N, from which they were drawn.
        metric: what was maximised: the mean over classes of "iou", "precision", "recall" or "f1".
        thresholds: (D,) the threshold of each draw.
        iou, precision, recall, f1: (D,) its mean scores on the N - k images that were not drawn.
        best: (D,) the best score in `metric` that any threshold has on those same images.
    """

    k: int
    images: int
    metric: str
    thresholds: Array
    iou: Array
    precision: Array
    recall: Array
    f1: Array
    best: Array

    @property
    def regret(self) -> Array:
        """(D,) what choosing on k images costs against the oracle: a fraction, at least 0."""
        return self.best - getattr(self, self.metric)

    @property
    def chosen_on(self) -> str:
        return f"{self.k} of {self.images} images, scored on the rest; {len(self.thresholds)} draws"


@dataclass(frozen=True, kw_only=True)
class ThresholdRule:
    """A way to choose a threshold, as pages and recipes list it.

    Attributes:
        name: the key in `THRESHOLD_RULES`.
        label: the name on screen.
        needs: "nothing", "masks" or "two networks".
        description: one sentence for screen.
        choose: the function that carries it out; its first argument is a value, the `Counts`
            of images with masks, or an `Agreement`, as `needs` says.
    """

    name: str
    label: str
    needs: str
    description: str
    choose: Callable[..., ThresholdChoice]


def fixed(value: float) -> ThresholdChoice:
    """A threshold set beforehand, by hand or by a paper.

    Raises:
        RangeError: it is outside [0, 1].
    """
    if not 0 <= value <= 1:
        raise RangeError(f"threshold {value} is outside [0, 1]")
    return ThresholdChoice(float(value), "fixed")


def oracle(counts: Counts, metric: str = "iou") -> ThresholdChoice:
    """The threshold with the best mean score on these images (of equal ones, the smallest).

    Scored on the same images, it is an upper bound; carried over to other images it is an
    honest threshold, and their protocol card calls it `calibrated`.

    Args:
        counts: images with masks.
        metric: whose mean is maximised: "iou", "precision", "recall" or "f1".

    Raises:
        DataError: no pixel is counted in any of the images.
        RangeError: another metric.
    """
    return _chosen(_best_index(counts.total().metrics, metric), "oracle", counts)


def best_threshold(total: Sweep, metric: str = "iou") -> float:
    """The threshold of `oracle`, from the images' counts together. Errors as there."""
    return float(THRESHOLDS[_best_index(total.metrics, metric)])


def calibrated(counts: Counts, k: int = 20, metric: str = "iou", seed: int = 0) -> ThresholdChoice:
    """The best threshold on k images drawn at random; score it on `choice.unseen(...)`.

    Raises:
        RangeError: k is not between 1 and one less than the number of images.
    """
    drawn = draw_images(counts, k, seed, 0)
    index = _best_index(counts.select(drawn).total().metrics, metric)
    return ThresholdChoice(
        float(THRESHOLDS[index]), "calibrated", f"{k} of {len(counts.image_ids)} images", frozenset(drawn)
    )


def calibration(
    counts: Counts, k: int = 20, draws: int = 100, metric: str = "iou", seed: int = 0
) -> Calibration:
    """How well `calibrated` does: its first draw is draw 0 of these.

    Raises:
        RangeError: k is not between 1 and one less than the number of images.
    """
    drawn = [draw_images(counts, k, seed, draw) for draw in range(draws)]
    classes = classes_counted(counts.total())
    # Read what was drawn once; each draw is then a selection in memory.
    annotated = counts.select(dict.fromkeys(image_id for ids in drawn for image_id in ids))
    annotated = of_classes(annotated, classes)
    everything = of_classes(counts.total(), classes).metrics
    rows = []
    for ids in drawn:
        seen = annotated.select(ids).total().metrics
        index = _best_index(seen, metric)
        rest = Metrics(
            everything.true_positive - seen.true_positive,
            everything.predicted - seen.predicted,
            everything.target - seen.target,
        )
        means = [rest.mean(name) for name in MEANS]
        rows.append((THRESHOLDS[index], *(mean[index] for mean in means), np.nanmax(rest.mean(metric))))
    return Calibration(k, len(counts.image_ids), metric, *np.array(rows).T)


def precision_target(
    counts: Counts, target: float, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> ThresholdChoice:
    """The smallest threshold whose mean precision is at least `target`, with confidence.

    The lower bound of the precision is the `1 - confidence` quantile over resampled images.

    Raises:
        RangeError: no threshold reaches the target; the message gives the highest bound.
    """
    bound = precision_bound(counts, confidence, resamples, seed)
    reached = np.flatnonzero(bound >= target)
    if not len(reached):
        best = int(bound.argmax())
        raise RangeError(
            f"no threshold has a precision of {target:.1%} with {confidence:.0%} confidence; the highest "
            f"lower bound is {bound[best]:.1%}, at {THRESHOLDS[best]:.3f}: ask for less, or annotate more"
        )
    return _chosen(reached[0], "precision_target", counts)


def precision_bound(counts: Counts, confidence: float = 0.95, resamples: int = 1000, seed: int = 0) -> Array:
    """(T,) what the mean precision at every threshold is at least, with confidence, over resampled images."""
    return np.quantile(bootstrap(counts, resamples, seed).precision[1:], 1 - confidence, axis=0)


def precision_over_recall(counts: Counts) -> ThresholdChoice:
    """The published rule: the smallest threshold at which mean precision exceeds mean recall.

    Precision mostly grows with the threshold, so this is where a mask stops trading precision
    away for recall that nobody needs to have.

    Raises:
        RangeError: precision exceeds recall at no threshold.
    """
    metrics = counts.total().metrics
    exceeds = np.flatnonzero(metrics.mean_precision > metrics.mean_recall)
    if not len(exceeds):
        raise RangeError("precision exceeds recall at no threshold; choose by another rule")
    return _chosen(exceeds[0], "precision_over_recall", counts)


def no_labels(agreement: Agreement) -> ThresholdChoice:
    """A threshold without any mask: as much foreground as the two networks see between them.

    Otsu's method splits each network's scores in two by themselves; the average of both areas is
    how much foreground there is, and the source gets the threshold at which it has as much. An
    area survives what fusing does to the scale of the scores, which a threshold does not.

    Args:
        agreement: counts over images, with or without masks.

    Raises:
        DataError: no pixel was counted.
    """
    if not agreement.source.any():
        raise DataError("no pixel was counted, so there is nothing to choose by")
    index = agreement.source_index
    return ThresholdChoice(float(THRESHOLDS[index]), "no_labels", "the maps of two networks, no masks")


THRESHOLD_RULES: dict[str, ThresholdRule] = {
    rule.name: rule
    for rule in (
        ThresholdRule(
            name="fixed",
            label="Fixed",
            needs="nothing",
            description="Set beforehand, by hand or by a paper.",
            choose=fixed,
        ),
        ThresholdRule(
            name="oracle",
            label="Oracle",
            needs="masks",
            description="The best on the very images that are scored: an upper bound, not a result.",
            choose=oracle,
        ),
        ThresholdRule(
            name="calibrated",
            label="Calibrated",
            needs="masks",
            description="The best on a few annotated images; scored on the others.",
            choose=calibrated,
        ),
        ThresholdRule(
            name="precision_target",
            label="Precision target",
            needs="masks",
            description="The smallest whose precision reaches a target with 95% confidence.",
            choose=precision_target,
        ),
        ThresholdRule(
            name="precision_over_recall",
            label="Precision > recall",
            needs="masks",
            description="The smallest at which precision exceeds recall, as published.",
            choose=precision_over_recall,
        ),
        ThresholdRule(
            name="no_labels",
            label="No labels",
            needs="two networks",
            description="As much foreground as the two networks see between them; needs no mask.",
            choose=no_labels,
        ),
    )
}


def _best_index(metrics: Metrics, metric: str) -> int:
    scores = metrics.mean(metric)
    if np.isnan(scores).all():
        raise DataError("no counted pixel: choose on images whose masks show something other than 255")
    return int(np.nanargmax(scores))


def _chosen(index: int, rule: str, counts: Counts) -> ThresholdChoice:
    image_ids = frozenset(counts.image_ids)
    return ThresholdChoice(float(THRESHOLDS[index]), rule, f"{len(image_ids)} images", image_ids)


def draw_images(counts: Counts, k: int, seed: int, draw: int) -> tuple[str, ...]:
    """The k images that a draw annotates; RangeError unless one at least is annotated and one is left."""
    image_ids = counts.image_ids
    if not 0 < k < len(image_ids):
        raise RangeError(f"k is {k}; of {len(image_ids)} images it can be 1 to {len(image_ids) - 1}")
    positions = np.random.default_rng((seed, draw)).choice(len(image_ids), k, replace=False)
    return tuple(image_ids[position] for position in positions)
