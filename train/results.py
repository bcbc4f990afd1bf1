"""`docs/results.json`, the figures as rows of plain values, and `docs/results.md`, made from it.

A row is known by data set, recipe, split, source and threshold rule, and one of errors by its slice as
well; a new one takes the place of the old.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orandnet_core.errors import DataError

Row = dict[str, Any]
KEY = ("dataset", "recipe", "split", "source", "threshold_rule", "slice_key")

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


def read_rows(path: Path) -> list[Row]:
    """The rows of a results.json; none if there is no file.

    Raises:
        DataError: the file is not a JSON list of objects.
    """
    if not path.is_file():
        return []
    try:
        rows = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: expected a list of objects, one a figure")
    return rows


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Merge rows into a results.json and make the results.md beside it anew.

    Slices of a source take the place of all slices that it had: ranks of two passes do not mix.
    """
    rows = list(rows)
    sliced_anew = {_key(row)[:-1] for row in rows if "slice_key" in row}
    kept = (row for row in read_rows(path) if "slice_key" not in row or _key(row)[:-1] not in sliced_anew)
    merged = {_key(row): row for row in kept}
    merged |= {_key(row): row for row in rows}
    rows = [_without_nan(row) for row in merged.values()]
    _replace(path, json.dumps(rows, indent=1, allow_nan=False) + "\n")
    _replace(path.with_suffix(".md"), markdown(rows))


def markdown(rows: list[Row]) -> str:
    """The rows as tables, one for each data set, split and threshold rule."""
    parts = [_INTRO]
    for dataset, recipe, split in _distinct(rows, ("dataset", "recipe", "split")):
        here = [
            row
            for row in rows
            if (row["dataset"], row.get("recipe"), row["split"]) == (dataset, recipe, split)
        ]
        parts.append(f"\n## {dataset}, {split} (`{recipe}`)\n")
        parts.append(_classifiers(here))
        sliced = [row for row in here if "slice_key" in row]
        whole = [row for row in here if "slice_key" not in row]
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
    return "".join(parts)


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


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("results", help="make results.md from results.json")
    parser.add_argument("--results", type=Path, default=Path("docs/results.json"))
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    write_rows(args.results, [])
    print(args.results.with_suffix(".md"))
    return 0


def _classifiers(rows: list[Row]) -> str:
    known = {row["source"]: row for row in rows if "map" in row}
    lines = [
        f"- {source} classifier: mAP {_number(row['map'])}{_trained(row)}\n" for source, row in known.items()
    ]
    return "\n" + "".join(lines) if lines else ""


def _trained(row: Row) -> str:
    """How long it took; of a released network, which was trained elsewhere, only that."""
    if "training_s" not in row:
        return ", as released"
    return f", trained in {row['training_s'] / 60:.0f} minutes{_epochs(row.get('map_by_epoch'))}"


def _epochs(map_by_epoch: list[float] | None) -> str:
    return f" (after each epoch: {', '.join(map(_number, map_by_epoch))})" if map_by_epoch else ""


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


def _without_nan(row: Row) -> Row:
    """JSON has no word for NaN: a figure that there is not becomes null."""
    return {name: None if value != value else value for name, value in row.items()}


def _key(row: Row) -> tuple:
    return tuple(row.get(name) for name in KEY)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_text(text)
    partial.replace(path)
