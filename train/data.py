"""`python -m train data`: check a data set, download VOC 2012, make the built-in sample."""

import argparse
import json
import os
import sys
from itertools import groupby
from pathlib import Path

from tqdm import tqdm

from orandnet_core.datasets import open_dataset
from orandnet_core.datasets.check import Report, check
from orandnet_core.datasets.voc_download import SBD, download_voc12
from orandnet_core.scenes import make_scenes

_SHOWN_OF_A_KIND = 5


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `data` with its three commands."""
    parser = subparsers.add_parser("data", help="check, download or make a data set")
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="check|download|scenes")

    checking = commands.add_parser("check", help="look at every file and say what is wrong with it")
    checking.add_argument(
        "root", type=Path, help="a VOC devkit, COCO, or a folder with images/ and labels.csv"
    )
    checking.add_argument(
        "--kind", default="auto", help="voc12, coco, folder or scenes; recognised without it"
    )
    checking.add_argument("--all", action="store_true", help="list every finding, not the first of each kind")
    checking.add_argument("--json", action="store_true", help="print the report as JSON")
    checking.add_argument("--workers", type=_positive, help="threads; one a core by default")

    download = commands.add_parser("download", help="VOC 2012 (2 GB) and the masks of SBD, from the internet")
    download.add_argument("dir", type=Path, help="VOC2012/ is made in it; needs 4.2 GB while it unpacks")
    download.add_argument("--no-sbd", action="store_true", help="VOC alone, without train_aug's masks")
    download.add_argument(
        "--keep-archives", action="store_true", help="do not delete the archives afterwards"
    )

    sample = commands.add_parser("scenes", help="draw the built-in sample")
    sample.add_argument("dir", type=Path)
    sample.add_argument("--images", type=_positive, default=240, help="default: %(default)s")
    sample.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    sample.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, help="processes")


def main(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0, or 1 where `check` found errors; notes alone are fine.

    Raises:
        OrandnetError: the command cannot be carried out.
    """
    return {"check": _check, "download": _download, "scenes": _scenes}[args.data_command](args)


def report_lines(report: Report, *, everything: bool = False) -> list[str]:
    """A report as text: a table of counts, then the findings, those that matter first."""
    lines = [f"{report.name}  {report.root}", ""]
    head = ("split", "images", "usable", "masks")
    rows = [head, *((s.name, *(f"{n:,}" for n in (s.images, s.usable, s.masks))) for s in report.splits)]
    lines += _table(rows) + [""]
    by_class = zip(*(split.images_by_class for split in report.splits), strict=True)
    rows = [("images a class", *(split.name for split in report.splits))]
    rows += [
        (name, *(f"{n:,}" for n in counts)) for name, counts in zip(report.class_names, by_class, strict=True)
    ]
    lines += _table(rows) + [""]
    totals = report.problems.counts
    for kind, group in groupby(report.problems, key=lambda problem: problem.kind):
        found = list(group)
        shown = found if everything else found[:_SHOWN_OF_A_KIND]
        lines.append(f"{'ERROR' if found[0].is_error else 'note'}  {kind}: {totals[kind]:,}")
        lines += [f"    {problem.file}: {problem.what}\n        -> {problem.remedy}" for problem in shown]
        if totals[kind] > len(shown):
            kept = " (--all lists them)" if len(found) > len(shown) else ""
            lines.append(f"    and {totals[kind] - len(shown):,} more{kept}")
    problems = report.problems
    unlisted = f", {report.unlisted:,} images in no split" if report.unlisted else ""
    lines.append(
        f"{report.usable:,} of {report.images:,} images usable{unlisted}; {problems.error_count:,} errors, "
        f"{problems.note_count:,} notes; {report.seconds:.1f} s"
    )
    return lines


def report_dict(report: Report) -> dict:
    """A report as what JSON can hold."""
    return {
        "name": report.name,
        "root": str(report.root),
        "class_names": list(report.class_names),
        "images": report.images,
        "usable": report.usable,
        "unlisted": report.unlisted,
        "errors": report.problems.error_count,
        "notes": report.problems.note_count,
        "splits": [
            {
                "name": split.name,
                "images": split.images,
                "usable": split.usable,
                "masks": split.masks,
                "images_by_class": dict(zip(report.class_names, split.images_by_class.tolist(), strict=True)),
            }
            for split in report.splits
        ],
        "problem_counts": report.problems.counts,
        "problems": [vars(problem) for problem in report.problems],
        "seconds": round(report.seconds, 3),
    }


def _check(args: argparse.Namespace) -> int:
    dataset = open_dataset(args.root, args.kind)
    with _Bars() as bars:
        report = check(dataset, lambda done, total: bars.show("checking", done, total, "image"), args.workers)
    if args.json:
        print(json.dumps(report_dict(report), indent=2))
    else:
        print("\n".join(report_lines(report, everything=args.all)))
    return 0 if report.ok else 1


def _download(args: argparse.Namespace) -> int:
    with _Bars() as bars:
        root = download_voc12(
            args.dir, bars.show, sbd=None if args.no_sbd else SBD, keep_archives=args.keep_archives
        )
    print(f"{root} is ready: python -m train data check {root}")
    return 0


def _scenes(args: argparse.Namespace) -> int:
    with _Bars() as bars:
        make_scenes(
            args.dir,
            args.images,
            args.seed,
            lambda done, total: bars.show("drawing", done, total, "image"),
            workers=args.workers,
        )
    print(f"{args.dir} is ready")
    return 0


class _Bars:
    """A bar of tqdm for each thing under way, one after the other."""

    def __enter__(self) -> "_Bars":
        self._bar: tqdm | None = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.close()

    def show(self, what: str, done: int, total: int | None, unit: str) -> None:
        if self._bar is None or self._bar.desc != what:
            self.__exit__()
            self._bar = tqdm(total=total, desc=what, unit=unit, unit_scale=unit == "B", file=sys.stderr)
        self._bar.update(done - self._bar.n)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns lined up: the first to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value
