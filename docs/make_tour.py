"""`python -m docs.make_tour`: docs/tour.md and its pictures, from the built-in sample in a real browser.

Drives the app as the browser tests do, so it needs `tests/requirements.txt` and Chromium. Every figure
of the text is one that the app shows or lets download; the words are in docs/tour/text.md. With a
`--workspace` that has been through it, five minutes on two busy cores; a new one is prepared and
scored first.
"""

import argparse
import csv
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from benchmarks.app_server import served
from pages.components.insight_charts import SIGNIFICANT
from tests.browser.in_viewer import painted
from tests.browser.on_page import READY
from tests.conftest import CHROMIUM_ARGS, ROOT, chromium_path, until
from train import jobs, locks
from train.sample import prepare_sample
from train.workspace import run_dir

TEXT = ROOT / "docs" / "tour" / "text.md"
SIZE = {"width": 1280, "height": 860}
QUALITY = 80  # of WebP, in percent
PATIENCE_MS = 900_000  # a scoring pass while something else has the cores
ANNOTATED = 20
RUN, SETTING = "tour", "tour"
FUSED = ("Naive mean", "OR", "AND")
MADE = "<!-- Made by `python -m docs.make_tour` from docs/tour/text.md: change that. -->\n\n"

Table = list[dict[str, str]]


@dataclass
class Tour:
    """A tour under way.

    Attributes:
        page, url: the browser's page, and the app's address.
        pictures: folder of the screenshots.
        annotated: images whose masks choose the thresholds.
        figures: what was read so far, by its name in the text.
    """

    page: Page
    url: str
    pictures: Path
    annotated: int
    figures: dict[str, str] = field(default_factory=dict)

    def open(self, name: str, **query: object) -> None:
        """Open a page by its address."""
        self.page.goto(f"{self.url}/{name}?{urlencode(query)}")
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is computed any more; what ends may begin something else."""
        for _ in range(3):
            self.page.wait_for_selector(READY)
            bars = self.page.get_by_test_id("stMain").get_by_test_id("stProgress")
            expect(bars).to_have_count(0, timeout=PATIENCE_MS)
            self.page.wait_for_timeout(700)
        painted(self.page)

    def shoot(self, name: str, top: Locator | None = None) -> None:
        """Keep what the window shows; `top` is scrolled to its upper edge."""
        if top is not None:
            top.evaluate("each => { each.style.scrollMarginTop = '70px'; each.scrollIntoView() }")
            self.page.wait_for_timeout(500)
        self.page.mouse.move(SIZE["width"] - 5, SIZE["height"] - 5)
        picture = Image.open(io.BytesIO(self.page.screenshot()))
        self.pictures.mkdir(parents=True, exist_ok=True)
        picture.convert("RGB").save(self.pictures / f"{name}.webp", quality=QUALITY, method=6)

    def download(self, button: Locator) -> Table:
        """A table, as the page lets download it."""
        with self.page.expect_download() as begun:
            button.click()
        with open(begun.value.path(), encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def choose(self, label: str, option: str) -> None:
        """Choose in a select box."""
        self.page.get_by_role("combobox", name=re.compile(rf"^(Selected .*)?{label}$")).click()
        self.page.get_by_role("option", name=option, exact=True).click()
        self.settle()


def inspect(tour: Tour) -> None:
    """One image, both networks."""
    tour.open("inspect")
    tour.page.wait_for_selector(".viewer[data-shown]")
    tour.shoot("inspect")


def compare(tour: Tour) -> None:
    """All sources at thresholds from a few annotated images, and the best fusion."""
    page, figures = tour.page, tour.figures
    tour.open("compare")
    page.get_by_role("radio", name="Calibrated").click()
    tour.settle()
    page.get_by_role("spinbutton", name="Annotated images").fill(str(tour.annotated))
    page.keyboard.press("Enter")
    tour.settle()
    tour.shoot("compare")
    rows = tour.download(page.get_by_role("button", name="Table, CSV"))
    rows = [row for row in rows if row["miou"]]
    fused = [row for row in rows if row["label"] in FUSED]
    best, second, *_ = sorted(fused, key=lambda row: -float(row["miou"]))
    figures |= {
        "annotated": str(tour.annotated), "split": best["split"], "scored": best["images"],
        "images": str(int(best["images"]) + tour.annotated),
        "best": best["label"], "miou": percent(best["miou"]), "threshold": f"{float(best['threshold']):.3f}",
        "difference": interval(best, "miou_difference"), "sources": sources_table(rows),
        "second": f"{second['label']} ({percent(second['miou'])})",
    }  # fmt: skip
    tour.figures["threshold_value"] = best["threshold"]


def classes(tour: Tour) -> None:
    """The best fusion against the CNN, class by class."""
    page, best = tour.page, tour.figures["best"]
    page.get_by_role("radio", name="Is it more than chance?").click()
    tour.settle()
    tour.choose("Test", best)
    tour.choose("against", "CNN")
    look = page.get_by_text("A closer look", exact=True)
    tour.shoot("classes", top=look)
    rows = tour.download(page.get_by_role("button", name="CSV", exact=True).first)
    means = {row["score"]: row for row in rows if row["of"] == "mean"}
    by_class = [row for row in rows if row["score"] == "iou" and row["of"] != "mean"]
    by_class.sort(key=lambda row: float(row["difference"]))
    worst = next(row for row in by_class if row["of"] != "background")
    lost = [row for row in by_class if float(row["difference"]) < 0]
    tour.figures |= {
        "p": f"{float(means['iou']['p']):.4f}",
        **{f"{name}_difference": interval(means[name], "difference", "low", "high")
           for name in ("precision", "recall")},
        "classes": classes_table(by_class), "hurt": told_losses(lost),
        "hurt_class": worst["of"],
    }  # fmt: skip


def complement(tour: Tour) -> None:
    """Who is right where both differ, and whether a rule for each class pays."""
    tour.open("complement", complement_at="Oracle")
    tour.shoot("complement")
    verdict = tour.page.get_by_test_id("stAlert").filter(has_text="A rule for each class")
    tour.figures["class_rule"] = " ".join(verdict.locator("p").last.inner_text().split())


def errors(tour: Tour) -> None:
    """What goes wrong on the class that the fusion hurts most."""
    figures = tour.figures
    at = {"errors_at": "Fixed", "errors_t": figures["threshold_value"]}
    tour.open("errors", errors_source=figures["best"], errors_class=figures["hurt_class"], **at)
    tour.shoot("errors", top=tour.page.get_by_test_id("stWidgetLabel").filter(has_text=re.compile("^Class$")))
    shown = tour.page.get_by_role("combobox", name=re.compile("Images of$"))
    figures["slice"] = shown.input_value() or shown.inner_text()


def fuse(tour: Tour) -> None:
    """The setting, on images of that class and on the data set; saved."""
    page, figures = tour.page, tour.figures
    setting = {"fuse_rule": figures["best"], "fuse_t": figures["threshold_value"]}
    tour.open("fuse", classes=figures["hurt_class"], **setting)
    page.wait_for_selector(".viewer[data-shown]")
    tour.settle()
    tour.shoot("fuse")
    tour.shoot("fuse-data", top=page.get_by_role("heading", name="On "))
    names = [each.inner_text() for each in page.get_by_test_id("stMetricLabel").all()]
    values = [each.inner_text() for each in page.get_by_test_id("stMetricValue").all()]
    figures["fuse_scores"] = ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_label("Name", exact=True).fill(SETTING)
    page.get_by_label("Name", exact=True).press("Tab")
    page.get_by_role("button", name="Save setting").click()
    tour.settle()
    page.keyboard.press("Escape")


def launch(tour: Tour) -> None:
    """The setting in a recipe, started; stopped again once it is seen to run."""
    page = tour.page
    page.get_by_role("button", name="Use in a recipe").click()
    page.get_by_role("button", name="Start ").filter(has_text=re.compile("training|all the same")).wait_for()
    page.get_by_label("Run name", exact=True).fill(RUN)
    page.get_by_label("Run name", exact=True).press("Enter")
    page.get_by_text("Pseudo-masks from it").click()
    tour.settle()
    tour.shoot("launch")
    page.get_by_test_id("stMain").get_by_role("button", name=re.compile("^Start (training|all)")).click()
    page.wait_for_url(re.compile("/runs"))
    try:
        expect(page.get_by_test_id("stMain").get_by_text(re.compile(r" of [\d,]+ · .* left"))).to_be_visible(
            timeout=PATIENCE_MS
        )
        tour.shoot("runs")
    finally:
        jobs.cancel(run_dir(RUN), at_once=True)
        until(lambda: not locks.is_held(run_dir(RUN) / "lock"))


STEPS: Sequence[Callable[[Tour], None]] = (
    inspect, compare, classes, complement, errors, fuse, launch,
)  # fmt: skip


def percent(text: str) -> str:
    """A fraction in percent, to a tenth."""
    return f"{100 * float(text):.1f}"


def interval(row: Mapping[str, str], name: str, low: str = "", high: str = "") -> str:
    """`+1.2 [0.8, 1.5]`, in points."""
    ends = row[low or f"{name}_low"], row[high or f"{name}_high"]
    return f"{100 * float(row[name]):+.1f} [{', '.join(f'{100 * float(end):+.1f}' for end in ends)}]"


def sources_table(rows: Table) -> str:
    """Compare's table for the text, the best first."""
    lines = ["| source | mIoU | precision | recall | mIoU − CNN |", "|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: -float(row["miou"])):
        scores = " | ".join(percent(row[name]) for name in ("miou", "precision", "recall"))
        difference = interval(row, "miou_difference") if row["miou_difference"] else ""
        lines.append(f"| {row['label']} | {scores} | {difference} |")
    return "\n".join(lines)


def classes_table(rows: Table) -> str:
    """The difference per class for the text."""
    lines = ["| class | IoU − CNN | p (Holm) |", "|---|---|---|"]
    for row in sorted(rows, key=lambda row: float(row["difference"])):
        lines.append(
            f"| {row['of']} | {interval(row, 'difference', 'low', 'high')} | {float(row['p_holm']):.3f} |"
        )
    return "\n".join(lines)


def told_losses(rows: Table) -> str:
    """The classes that lose, in words: those that do beyond chance first."""
    sure = [row for row in rows if float(row["p_holm"]) < SIGNIFICANT]
    others = [row for row in rows if row not in sure]
    told = f"It hurts {listed(sure)}." if sure else "It hurts no class more than chance would."
    return f"{told} Lower, but within chance: {listed(others)}." if others else told


def listed(rows: Table) -> str:
    """`car (-2.1), boat (-0.4)`."""
    return ", ".join(f"{row['of']} ({100 * float(row['difference']):+.1f})" for row in rows)


def make_tour(browser: Browser, workspace: Path, docs: Path, annotated: int = ANNOTATED) -> None:
    """Go through the tour, and write `tour.md` and `tour/*.webp` into a folder.

    Args:
        workspace: ORANDNET_WORKSPACE, with the built-in sample in it; a run `tour` is started there, and
            stopped.
        docs: where to.
        annotated: images whose masks choose the thresholds on Compare.
    """
    shutil.rmtree(run_dir(RUN), ignore_errors=True)
    with served(workspace) as app, browser.new_context(viewport=SIZE, color_scheme="light") as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        tour = Tour(page, app.url, docs / "tour", annotated)
        for step in STEPS:
            print(step.__name__, flush=True)
            step(tour)
    text = TEXT.read_text(encoding="utf-8").format_map(tour.figures)
    (docs / "tour.md").write_text(MADE + text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="default: docs/")
    parser.add_argument("--workspace", type=Path, help="one with the built-in sample; a new one without it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        workspace = (args.workspace or Path(made)).resolve()
        os.environ["ORANDNET_WORKSPACE"] = str(workspace)
        prepare_sample()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
            make_tour(browser, workspace, args.out)
            browser.close()


if __name__ == "__main__":
    main()
