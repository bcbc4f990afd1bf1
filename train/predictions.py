"""Predicted masks against the ground truth: counts, intervals, protocol cards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from orandnet_core.datasets import Dataset
from orandnet_core.errors import DataError
from orandnet_core.labels import class_name
from orandnet_core.mask_store import MaskStore
from orandnet_core.metrics import MASK_THRESHOLD, Bootstrap, ImageCounts, Interval, bootstrap, mask_counts
from orandnet_core.protocol import ProtocolCard
from train.results_page import Row

METRICS = {"miou": "iou", "precision": "precision", "recall": "recall"}


@dataclass(frozen=True)
class Predictions:
    """Predicted masks of a split, counted against the ground truth.

    Attributes:
        card: the protocol card of their scores.
        class_names: the C - 1 foreground classes.
        counts: of every image that could be scored.
        skipped: why the others were not, by image id.
    """

    card: ProtocolCard
    class_names: tuple[str, ...]
    counts: ImageCounts = field(repr=False)
    skipped: Mapping[str, str] = field(default_factory=dict)

    def resampled(self) -> Bootstrap:
        """The scores of 1,000 resamples of the images."""
        return bootstrap(self.counts)

    def row(self) -> Row:
        """The scores with intervals and the card, as plain values, fractions; `per_class` by class name."""
        metrics = self.counts.total().at(MASK_THRESHOLD)
        names = [class_name(self.class_names, label) for label in range(self.card.num_classes)]
        per_class = {
            name: {metric: _number(getattr(metrics, metric)[label]) for metric in METRICS.values()}
            for label, name in enumerate(names)
        }
        return self.card.as_dict() | score_columns(self.resampled()) | {"per_class": per_class}


def score_predictions(
    dataset: Dataset, split: str, store: MaskStore, *, source: str, source_hash: str, rule: str
) -> Predictions:
    """Count the predictions of a split; VOC's protocol.

    One confusion over the data set, pixels of 255 in the ground truth dropped. Images without a
    mask or a prediction are passed over and listed.

    Args:
        source, source_hash, rule: for the protocol card; `rule` stands where thresholded sources
            say how their threshold was chosen.

    Raises:
        DataError: no image could be scored, or there is no such split.
    """
    image_ids = dataset.image_ids(split)
    parts: list[ImageCounts] = []
    skipped: dict[str, str] = {}
    for image_id in image_ids:
        try:
            parts.append(_count(dataset, image_id, store))
        except DataError as error:
            skipped[image_id] = str(error)
    if not parts:
        reason = next(iter(skipped.values()), "it has no images")
        raise DataError(
            f"{dataset.name}, {split}: none of {len(image_ids)} could be scored; the first: {reason}"
        )
    card = ProtocolCard(
        dataset=dataset.name,
        split=split,
        images=len(parts),
        skipped=len(skipped),
        num_classes=dataset.num_classes,
        source=source,
        source_hash=source_hash,
        data_hash=dataset.fingerprint(split),
        threshold_rule=rule,
    )
    counts = ImageCounts.merged(parts, dataset.num_classes)
    return Predictions(card, dataset.class_names, counts, skipped)


def score_columns(resampled: Bootstrap) -> Row:
    """`miou`, `precision` and `recall` with the ends of their 95% intervals."""
    row: Row = {}
    for column, metric in METRICS.items():
        row |= interval_columns(column, resampled.interval(metric, MASK_THRESHOLD))
    return row


def interval_columns(name: str, interval: Interval) -> Row:
    """An interval as three columns."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def mean_of(resampled: Sequence[Bootstrap]) -> Bootstrap:
    """The mean over trainings that differ in their seed, each scored on the same resamples.

    Raises:
        DataError: they were not scored on the same images.
    """
    first = resampled[0]
    if len({(each.image_ids, each.seed) for each in resampled}) > 1:
        raise DataError("the trainings were not scored on the same images: evaluate all on the same split")
    means = (
        np.mean([getattr(each, metric) for each in resampled], axis=0)
        for metric in ("precision", "recall", "iou", "f1")
    )
    return Bootstrap(first.image_ids, first.seed, *means)


def _count(dataset: Dataset, image_id: str, store: MaskStore) -> ImageCounts:
    target = dataset.mask(image_id)
    if target is None:
        raise DataError(f"{dataset.mask_path_of(image_id)}: no mask to score {image_id} against")
    return mask_counts(store.read(image_id), target, dataset.num_classes, image_id)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
