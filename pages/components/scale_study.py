"""What small scales do to pseudo-masks: any source of a run as masks, scaled and counted, and drawn.

Shapes: (H, W) an image's size.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import plotly.graph_objects as go

from orandnet_core.datasets import Dataset
from orandnet_core.labels import IGNORE_INDEX, class_name
from orandnet_core.mask_scaling import SCALINGS, ScaleCounts, scale_mask, scaled_hw
from orandnet_core.metrics import Metrics
from orandnet_core.protocol import ProtocolCard
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.render import label_colours
from orandnet_core.scoring import MaskSource
from pages.components.chart_style import METRIC_LABELS, Panels
from pages.components.scores import task_key
from pages.components.selection import Selection
from pages.components.sources import source_names, source_of
from pages.components.tasks import Report
from pages.components.viewer import Pane, label_pane
from train.scales import SCALES, count_scales, spread

_COLOURS = {"nearest": "#0077BB", "majority": "#D9631E"}
_SYMBOLS = {"nearest": "circle", "majority": "square"}


@dataclass(frozen=True)
class Study:
    """Counts over the images of a split, and what they are counts of.

    Attributes:
        counts: for every way of scaling and scale.
        card: the protocol card; the threshold is left out where the masks are the run's own.
    """

    counts: tuple[ScaleCounts, ...]
    card: ProtocolCard


def masks_of(selection: Selection, dataset: Dataset, key: str, threshold: float) -> MaskSource:
    """A source by its key; its maps turned to masks at a background threshold, masks as they are."""
    source = source_of(selection, dataset, key)
    if isinstance(source, MaskSource):
        return source

    def mask_of(image_id: str) -> np.ndarray:
        return pseudo_mask(*source.cam_of(image_id), threshold)

    return MaskSource(
        source_names(selection, dataset)[key],
        task_key(source.fingerprint, str(threshold))[:12],
        mask_of,
        threshold,
        "fixed",
        "by hand, with these scores in sight",
    )


def study_key(dataset: Dataset, split: str, source: MaskSource, most: int) -> str:
    """Changes with everything that `study` depends on."""
    return task_key("scales", dataset.fingerprint(split), source.fingerprint, str(most), str(SCALES))


def study(dataset: Dataset, split: str, source: MaskSource, most: int, report: Report) -> Study:
    """Scale masks of a split and hold them against the ground truth.

    Args:
        most: images to take, evenly out of those that have ground truth.
        report: told of progress as (done, total).

    Raises:
        DataError: no image has both a mask and ground truth.
    """
    masked = [image_id for image_id in dataset.image_ids(split) if dataset.has_mask(image_id)]
    ids = spread(masked, most)
    counts, skipped = count_scales(dataset, ids, source.mask_of, report=report)
    card = ProtocolCard(
        dataset=dataset.name,
        split=split,
        images=len(ids) - len(skipped),
        skipped=len(skipped),
        num_classes=dataset.num_classes,
        source=source.name,
        source_hash=source.fingerprint,
        data_hash=task_key(dataset.fingerprint(split), *ids)[:12],
        threshold=source.threshold,
        threshold_rule=source.threshold_rule,
        chosen_on=source.chosen_on,
    )
    return Study(tuple(counts), card)


def scale_chart(found: Study, height: int = 320) -> go.Figure:
    """Precision, recall and mIoU against the scale, a line for each way and each size it is scored at."""
    panels = Panels(list(METRIC_LABELS.values()))
    for how in SCALINGS:
        counts = sorted((each for each in found.counts if each.how == how), key=lambda each: each.scale)
        for size, dash in (("full", "solid"), ("reduced", "dot")):
            metrics: list[Metrics] = [ScaleCounts.metrics(getattr(each, size)) for each in counts]
            name = f"{how}, {'enlarged again' if size == 'full' else 'at the reduced size'}"
            for panel, metric in enumerate(METRIC_LABELS):
                panels.scatter(
                    panel,
                    x=[each.scale for each in counts],
                    y=[float(each.mean(metric)) for each in metrics],
                    mode="lines+markers",
                    name=name,
                    legendgroup=name,
                    showlegend=panel == 0,
                    line={"color": _COLOURS[how], "width": 2, "dash": dash},
                    marker={"symbol": _SYMBOLS[how], "size": 7},
                    hovertemplate="%{y:.1%} at %{x}<extra>" + name + "</extra>",
                )
    return panels.figure(
        height,
        x={"title": {"text": "scale"}, "tickvals": list(SCALES), "tickformat": "~g"},
        y={"tickformat": "~%"},
        hovermode="closest",
        top=54,
    )


def scale_panes(
    mask: np.ndarray, truth: np.ndarray | None, size_hw: tuple[int, int], class_names: tuple[str, ...]
) -> list[Pane]:
    """Ground truth, the pseudo-mask, and the same at each smaller scale in both ways, enlarged again.

    Args:
        mask, truth: (H, W) uint8.
        size_hw: of the photo that is shown.
    """
    labels = np.union1d(mask, mask if truth is None else truth)
    names = {int(label): class_name(class_names, int(label)) for label in labels}
    names |= {IGNORE_INDEX: "undecided"}
    shown = partial(scale_mask, size_hw=size_hw, how="nearest")
    pane = partial(label_pane, colours=label_colours(len(class_names)))
    panes = []
    if truth is not None:
        panes.append(pane("truth", "Ground truth", shown(truth), names | {IGNORE_INDEX: "ignored"}))
    panes.append(pane("mask", "Pseudo-mask", shown(mask), names, subtitle="as it is"))
    for scale in SCALES[1:]:
        small_hw = scaled_hw(mask.shape, scale)
        size = f"{small_hw[1]} × {small_hw[0]}"
        for how in SCALINGS:
            small = scale_mask(mask, small_hw, how)
            panes.append(pane(f"{how} {scale}", f"{scale:g} · {how}", shown(small), names, subtitle=size))
    return panes
