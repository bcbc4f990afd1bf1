"""`docs/results.md`: the rows of `docs/results.json` as tables."""

from typing import Any

Row = dict[str, Any]

_INTRO = """# Results

Made from [`results.json`](results.json) by `python -m train results`; every row there names
its command. Scores are percent with 95% intervals from 1,000 resamples of the images; means
are over classes with pixels, background included; ground-truth pixels of 255 are dropped.

How a threshold was chosen: `oracle` on the very images that are scored (an upper bound, not a
result); `calibrated` on a few annotated images, scored on the others; `no_labels` from the
area that the two networks see, without any mask. Precision at recall 70 reads the curve, so it
depends on no threshold. A segmentation network has no threshold either (`argmax`); where it was
trained with several seeds, its scores are the means, and the interval is over images.
"""


def markdown(rows: list[Row]) -> str:
    """The rows as tables, one for each data set, split and threshold rule."""
    parts = [_INTRO]
    measured = [row for row in rows if "benchmark" in row]
    scored = [row for row in rows if "benchmark" not in row]
    for dataset, recipe, split in _distinct(scored, ("dataset", "recipe", "split")):
        here = [
            row
            for row in scored
            if (row["dataset"], row.get("recipe"), row["split"]) == (dataset, recipe, split)
        ]
        parts.append(f"\n## {dataset}, {split} (`{recipe}`)\n")
        parts.append(_classifiers(here))
        sliced = [row for row in here if "slice_key" in row]
        whole = [row for row in here if "slice_key" not in row and "stage" not in row]
        for (rule,) in _distinct(whole, ("threshold_rule",)):
            chosen = [row for row in whole if row["threshold_rule"] == rule]
            thresholded = [row for row in chosen if row["threshold"] is not None]
            if thresholded:
                parts.append(_scores(thresholded, rule))
                parts.append(_differences(thresholded))
            else:
                parts.append(_segmentations(chosen, rule))
        for source, rule in _distinct(sliced, ("source", "threshold_rule")):
            parts.append(
                slice_tables(
                    [row for row in sliced if (row["source"], row["threshold_rule"]) == (source, rule)]
                )
            )
        for (command,) in _distinct(here, ("command",)):
            parts.append(f"\n`{command}`\n")
    return "".join([*parts, _benchmarks(measured) if measured else ""])


def slice_tables(rows: list[Row]) -> str:
    """The slices of one source's errors, a table a facet, what gives back most on top."""
    first = rows[0]
    by = {"iou": "mIoU"}.get(first["ranked_by"], first["ranked_by"])
    text = (
        f"\n**Errors of {first['source']}** ({first['threshold_rule']} threshold {first['threshold']:.3f}, "
        f"{first['images']} images: mIoU {_number(first['miou'])}, precision {_number(first['precision'])}, "
        f"recall {_number(first['recall'])}); what each slice would give back in points if it were mended, "
        f"ranked by {by}\n"
    )
    for (facet,) in _distinct(rows, ("facet",)):
        lifted = any(row["facet"] == facet and row["background_lift"] is not None for row in rows)
        text += f"\n| {facet} | precision | recall | mIoU | images |{' co-occurs |' * lifted}\n"
        text += "|---|---|---|---|---|" + "---|" * lifted + "\n"
        for row in sorted((row for row in rows if row["facet"] == facet), key=lambda row: row["rank"]):
            gains = [f"{100 * row[name]:+.2f}" for name in ("precision_gain", "recall_gain", "miou_gain")]
            lift = (
                f" x{row['background_lift']:.1f} |" if row["background_lift"] is not None else " |" * lifted
            )
            text += f"| {row['slice']} | {' | '.join(gains)} | {row['slice_images']} |{lift}\n"
    return text


def print_row(row: Row) -> None:
    """A row of a segmentation network on one line."""
    scores = "  ".join(
        f"{label} {_with_interval(row, name)}"
        for name, label in (("miou", "mIoU"), ("precision", "precision"), ("recall", "recall"))
    )
    print(f"{row['split']:6} {row['source']:22} {row['threshold_rule']}: {scores}")


def _classifiers(rows: list[Row]) -> str:
    """How well the networks classify that made the CAMs, and how they learned where it was written down."""
    scores = {row["source"]: row["map"] for row in rows if "map" in row and "stage" not in row}
    lines = "".join(f"- {source} classifier: mAP {_number(score)}\n" for source, score in scores.items())
    return f"\n{lines}" * bool(lines) + "".join(_training(row) for row in rows if "stage" in row)


def _training(row: Row) -> str:
    """One training: its time, and a line an epoch."""
    text = (
        f"\n**Training of {row['source']}**: {row['training_s'] / 60:.0f} minutes on {row['device']}, "
        f"mAP {_number(row['map'])} on {row['images']} images of {row['split']}\n\n"
        "| epoch | step | loss | mAP |\n|---|---|---|---|\n"
    )
    for epoch, point in enumerate(row["curve"], start=1):
        loss = "" if point["loss"] is None else f"{point['loss']:.4f}"
        text += f"| {epoch} | {point['step']:,} | {loss} | {_number(point['map'])} |\n"
    return text


def _benchmarks(rows: list[Row]) -> str:
    """Benchmarks, ours against theirs, lower is better."""
    text = "\n## Benchmarks\n\n| benchmark | ours | theirs | ratio | same answer | on |\n"
    text += "|---|---|---|---|---|---|\n"
    for row in rows:
        ours, theirs = (f"{row[side]:.3g} {row['unit']}" for side in ("ours", "theirs"))
        same = "yes" if row["same_answer"] else "no"
        text += (
            f"| {row['benchmark']} | {ours} | {theirs} | {row['ratio']:.3g}x | {same} | {row['device']} |\n"
        )
    return text + "".join(f"\n`{command}`\n" for (command,) in _distinct(rows, ("command",)))


def _scores(rows: list[Row], rule: str) -> str:
    first = rows[0]
    counted = f"{first['images']} images scored, {first['skipped']} passed over"
    title = f"\n**{rule}** ({first['chosen_on']}; {counted})\n\n"
    table = "| source | threshold | mIoU | precision | recall | precision at recall 70 |\n"
    table += "|---|---|---|---|---|---|\n"
    for row in rows:
        columns = [
            _with_interval(row, name) for name in ("miou", "precision", "recall", "precision_at_recall_70")
        ]
        table += f"| {row['source']} | {row['threshold']:.3f} | {' | '.join(columns)} |\n"
    regret = [row for row in rows if "regret" in row]
    if regret:
        worst = max(regret, key=lambda row: row["regret"])
        table += (
            f"\nChoosing on {worst['annotated']} images costs at most {_number(worst['regret'])} mIoU "
            f"against the oracle on the rest (mean of 100 draws; {worst['source']}).\n"
        )
    return title + table


def _differences(rows: list[Row]) -> str:
    """The fusion with the best mIoU against each network and against the naive mean."""
    fused = [row for row in rows if row["source"] not in ("cnn", "vit", "mean")]
    if not fused:
        return ""
    best = max(fused, key=lambda row: row["miou"])
    lines = f"\n`{best['source']}` minus each (paired over images):\n\n"
    lines += "| against | mIoU | precision | recall | precision at recall 70 |\n|---|---|---|---|---|\n"
    for other in ("cnn", "vit", "mean"):
        names = [
            f"{name}_minus_{other}" for name in ("miou", "precision", "recall", "precision_at_recall_70")
        ]
        if names[0] in best:
            lines += (
                f"| {other} | {' | '.join(_with_interval(best, name, signed=True) for name in names)} |\n"
            )
    return lines


def _segmentations(rows: list[Row], rule: str) -> str:
    """Networks that give masks by themselves, with the differences that their rows hold."""
    first = rows[0]
    text = f"\n**{rule}** ({first['images']} images scored, {first['skipped']} passed over)\n\n"
    text += "| network | seeds | megapixels seen | mIoU | mIoU by seed | precision | recall |\n"
    text += "|---|---|---|---|---|---|---|\n"
    for row in rows:
        by_seed = " ".join(map(_number, row.get("miou_by_seed", [])))
        scores = [_with_interval(row, name) for name in ("miou", "precision", "recall")]
        facts = [row["source"], row.get("seeds", 1), f"{row['pixels'] / 1e6:,.0f}", scores[0], by_seed]
        text += f"| {' | '.join(map(str, [*facts, *scores[1:]]))} |\n"
    differences = [
        f"| {row['source']} | {other['source']} | {_with_interval(row, name, signed=True)} |\n"
        for row in rows
        for other in rows
        if (name := f"miou_minus_{other['source']}") in row
    ]
    if differences:
        text += "\nPaired over images:\n\n| network | minus | mIoU |\n|---|---|---|\n" + "".join(differences)
    return text


def _with_interval(row: Row, name: str, *, signed: bool = False) -> str:
    value, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
    if value is None:
        return "not reached"
    if signed:
        return f"{100 * value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"{_number(value)} [{_number(low)}, {_number(high)}]"


def _number(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _distinct(rows: list[Row], names: tuple[str, ...]) -> list[tuple]:
    return list(dict.fromkeys(tuple(row.get(name) for name in names) for row in rows))
