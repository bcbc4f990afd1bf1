"""Every page of the workbench over 100,000 images against the same over 1,000, and the server's memory.

For each size a workspace is made and counted (`made_workspace`). The app is started, every page is opened,
and what it asks before it starts is started, so that all that is made once is made. Then both servers are
started anew, and each page is timed in fresh sessions, the two sizes in turns: from the address until its
content is there and the script at rest, the median of a few. Ours is the larger store, theirs the smaller;
the answers are the same if every page of both came whole.
"""

import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from benchmarks.app_server import ROOT, Served, served, watched
from benchmarks.made_workspace import DATASET, RUN, make_workspace, one_block_read
from benchmarks.table import Row
from benchmarks.viewer_page import chromium
from orandnet_core.class_rules import cross_validated
from orandnet_core.complement import complement
from orandnet_core.datasets import open_dataset
from orandnet_core.fusion import Fusion
from orandnet_core.metrics.thresholds import no_labels
from orandnet_core.mining import backgrounds_of, mine
from orandnet_core.scoring import fused_source, score_pair, store_source
from orandnet_core.scoring_pass import BLOCK
from orandnet_core.store import CamStore
from pages.components.scores import NETWORKS, STANDARD
from pages.components.view_controls import DEFAULT_RULE
from train.workspace import cams_dir

FEW, MANY = 1_000, 100_000
SPLIT = "train"
OPENINGS = 3
NAVIGATION = ROOT / "app.py"  # whose pages these are
MADE_WITHIN_S = 3600  # what a page makes once
OPENS_WITHIN_S = 120
READY = '[data-testid="stApp"][data-test-script-state="notRunning"]'
VIEWER = ".viewer[data-shown]"
CHART = '[data-testid="stPlotlyChart"] .main-svg'
TABLE = '[data-testid="stDataFrame"]'
# Every page of the navigation, with what must be there for it to have opened.
PAGES = {
    "inspect": (VIEWER,),
    "fuse": (VIEWER, CHART),
    "compare": (TABLE, CHART),
    "errors": (CHART, TABLE),
    "data": (CHART,),
    "launch": ('[data-testid="stCode"]',),
    "runs": (TABLE,),
    "complement": (CHART, TABLE),
    "scales": (CHART, VIEWER),
    "thesis": ('[data-testid="stAlert"]',),
    "exchange": ('[data-testid="stTextInput"]',),
}
OFFERS = ("launch",)  # pages that offer work which nothing waits for
WINDOW = {"width": 1280, "height": 900}
_UNDER_WAY = '[data-testid="stProgress"]'
_ASKS = '[class*="st-key-start-"] button'
_FAILED = '[data-testid="stException"]'


@dataclass
class Opened:
    """A size's pages as they were opened.

    Attributes:
        pages_s: seconds of each opening, by page; those of a fresh session of a warm server.
        server_s: seconds that the server computed for it, by page.
        complete: every page came whole, without asking, progress or failure.
    """

    pages_s: dict[str, list[float]] = field(default_factory=dict)
    server_s: dict[str, list[float]] = field(default_factory=dict)
    complete: bool = True


def rows() -> Iterator[Row]:
    if chromium() is None:
        print("large_store: no Chromium found, left out (set ORANDNET_CHROMIUM)", file=sys.stderr)
        return
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        few, many = (Path(folder) / str(images) for images in (FEW, MANY))
        for workspace, images in ((few, FEW), (many, MANY)):
            make_workspace(workspace, images)
            count(workspace)
        yield from measured(few, many)


def measured(few: Path, many: Path) -> Iterator[Row]:
    """The rows of two workspaces that were made and counted."""
    sizes = f"{MANY:,} images against {FEW:,}"
    making_mb = [make_what_pages_keep(workspace) for workspace in (few, many)]
    # Both at the same time and in turns, so that whatever else the machine does meets both.
    with (
        _browser() as browser, served(few) as small, watched(small), served(many) as large, watched(large),
    ):  # fmt: skip
        seen = {small.url: Opened(), large.url: Opened()}
        for page in PAGES:
            for _ in range(1 + OPENINGS):
                for app in (small, large):
                    open_page(browser, app, page, seen[app.url])
            theirs, ours = (_median(seen[app.url].pages_s[page]) for app in (small, large))
            computed = [_median(seen[app.url].server_s[page]) for app in (small, large)]
            _say(f"{page}: the server computed {computed[1]:.2f} s, with {FEW:,} images {computed[0]:.2f} s")
            same = seen[small.url].complete and seen[large.url].complete
            yield Row(f"first paint of {page}, {sizes}", ours, theirs, same)
        theirs, ours = (max(peak, app.peak_mb) for peak, app in zip(making_mb, (small, large), strict=True))
    yield Row(f"peak memory of the server, {sizes}", ours, theirs, same, "MB")


def _median(openings: list[float]) -> float:
    """Of all but the first, which warms the server up."""
    return statistics.median(openings[1:])


def count(workspace: Path) -> None:
    """Count what the pages ask for: all rules, the errors of one source, both networks against each other.

    A store of whole blocks of images has one of them read (`one_block_read`).
    """
    dataset = open_dataset(workspace / "data" / DATASET, "folder")
    stores = [CamStore(cams_dir(workspace / "runs" / RUN, name)) for name in NETWORKS]
    cnn, vit = networks = tuple(
        store_source(store, name) for store, name in zip(stores, NETWORKS, strict=True)
    )
    cache = workspace / "cache"
    many = len(dataset.image_ids(SPLIT)) >= 2 * BLOCK
    with one_block_read() if many else nullcontext():
        scored = score_pair(dataset, SPLIT, cnn, vit, STANDARD, cache_dir=cache / "scores")
        choice_of = {name: no_labels(each.agreement) for name, each in scored.scores.items()}
        backgrounds = backgrounds_of(dataset, SPLIT, cache / "errors")
        judged = fused_source(DEFAULT_RULE, cnn, vit, Fusion(DEFAULT_RULE))
        mine(dataset, SPLIT, judged, choice_of[DEFAULT_RULE], backgrounds, cache_dir=cache / "errors")
        both = tuple(choice_of[name] for name in NETWORKS)
        complement(dataset, SPLIT, networks, both, cache_dir=cache / "complement")
        cross_validated(dataset, SPLIT, cnn, vit, scored, cache_dir=cache / "rules")


def make_what_pages_keep(workspace: Path) -> float:
    """Open every page and start whatever it asks about, until none has more to make; the peak megabytes."""
    with _browser() as browser, served(workspace) as app, watched(app):
        for page in PAGES:
            if page in OFFERS:
                continue
            began = time.perf_counter()
            context = browser.new_context(viewport=WINDOW)
            tab = context.new_page()
            tab.goto(_address(app, page))
            give_up, calm = time.monotonic() + MADE_WITHIN_S, 0
            # Whole and at rest twice in a row: between two tasks there is a moment without either.
            while calm < 2 and time.monotonic() < give_up:
                tab.wait_for_timeout(500)
                asks = tab.locator(_ASKS)
                if asks.count():
                    asks.first.click()
                whole = all(tab.locator(each).count() for each in (READY, *PAGES[page]))
                calm = calm + 1 if whole and not tab.locator(f"{_UNDER_WAY}, {_ASKS}").count() else 0
            context.close()
            _say(f"{page}: made in {time.perf_counter() - began:.1f} s, {app.peak_mb:.0f} MB")
        return app.peak_mb


def open_page(browser: Browser, app: Served, page: str, seen: Opened) -> None:
    """Open a page in a fresh session and note how long it took, and whether it came whole."""
    context = browser.new_context(viewport=WINDOW)
    tab = context.new_page()
    began, computed_s = time.perf_counter(), _computed_s(app)
    try:
        tab.goto(_address(app, page))
        for selector in PAGES[page]:
            tab.wait_for_selector(selector, state="attached", timeout=OPENS_WITHIN_S * 1000)
        tab.wait_for_selector(READY, timeout=OPENS_WITHIN_S * 1000)
    except PlaywrightTimeout:
        seen.complete = False
    seen.pages_s.setdefault(page, []).append(time.perf_counter() - began)
    seen.server_s.setdefault(page, []).append(_computed_s(app) - computed_s)
    offered = () if page in OFFERS else (_ASKS,)
    left = [each for each in (*offered, _UNDER_WAY, _FAILED) if tab.locator(each).count()]
    if left:
        _say(f"{page}: not whole, {', '.join(left)}")
        seen.complete = False
    if folder := os.environ.get("LARGE_STORE_PICTURES"):
        tab.screenshot(path=f"{folder}/{page}-{app.url[-5:]}.png")
    context.close()


def _computed_s(app: Served) -> float:
    times = app.process.cpu_times()
    return times.user + times.system


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--disable-gpu", "--no-sandbox", "--disable-background-networking"],
        )
        try:
            yield browser
        finally:
            browser.close()


def _say(line: str) -> None:
    print(f"large_store: {line}", file=sys.stderr, flush=True)


def _address(app: Served, page: str) -> str:
    return f"{app.url}/{page}?{urlencode({'dataset': DATASET, 'run': RUN, 'split': SPLIT})}"
