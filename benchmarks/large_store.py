"""Every page of the workbench over 100,000 images against the same over 1,000, and the server's memory.

For each size a workspace is made and counted (`made_workspace`). The app is started, every page is opened,
and what it asks before it starts is started, so that all that is made once is made. Then the server is
started anew, and each page is timed in fresh sessions: from the address until its content is there and the
script at rest, the median of a few. Ours is the larger store, theirs the smaller; the answers are the same
if every page of both came whole.
"""

import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from benchmarks.app_server import Served, served
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
    "import": ('[data-testid="stTextInput"]',),
}
_UNDER_WAY = '[data-testid="stProgress"]'
_ASKS = '[class*="st-key-start-"] button'
_FAILED = '[data-testid="stException"]'


@dataclass(frozen=True)
class Seen:
    """What one size gave.

    Attributes:
        pages_s: seconds of each page in a fresh session of a warm server.
        complete: every page came whole, without asking, progress or failure.
        server_mb: memory at its most, also while what is made once was made.
    """

    pages_s: dict[str, float]
    complete: bool
    server_mb: float


def rows() -> Iterator[Row]:
    if chromium() is None:
        print("large_store: no Chromium found, left out (set ORANDNET_CHROMIUM)", file=sys.stderr)
        return
    seen = {}
    for images in (FEW, MANY):
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            workspace = Path(folder) / "workspace"
            make_workspace(workspace, images)
            seen[images] = measured(workspace, images)
    few, many = seen[FEW], seen[MANY]
    same = few.complete and many.complete
    sizes = f"{MANY:,} images against {FEW:,}"
    for page in PAGES:
        yield Row(f"first paint of {page}, {sizes}", many.pages_s[page], few.pages_s[page], same)
    yield Row(f"peak memory of the server, {sizes}", many.server_mb, few.server_mb, same, "MB")


def measured(workspace: Path, images: int) -> Seen:
    """Score a workspace that was made, make what its pages keep, and time them."""
    began = time.perf_counter()
    count(workspace)
    _say(f"{images:,} images: counted in {time.perf_counter() - began:.0f} s")
    with _browser() as browser, served(workspace) as app:
        for page in PAGES:
            began = time.perf_counter()
            make_what_it_keeps(browser, app, page)
            _say(f"{page}: made in {time.perf_counter() - began:.1f} s, {app.peak_mb:.0f} MB")
        making_mb = app.peak_mb
    pages_s, complete = {}, True
    with _browser() as browser, served(workspace) as app:
        for page in PAGES:
            times = [open_page(browser, app, page) for _ in range(1 + OPENINGS)]
            complete &= all(each is not None for each in times)
            known = [each for each in times if each is not None] or [float("nan")]
            pages_s[page] = statistics.median(known[1:] or known)
            _say(f"{page}: {known[0]:.2f} s at first, then {pages_s[page]:.2f} s, {app.peak_mb:.0f} MB")
        server_mb = max(making_mb, app.peak_mb)
    return Seen(pages_s, complete, server_mb)


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


def make_what_it_keeps(browser: Browser, app: Served, page: str) -> None:
    """Open a page and start whatever it asks about, until it has no more to make."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(_address(app, page))
    give_up, calm = time.monotonic() + MADE_WITHIN_S, 0
    # At rest twice in a row: between two tasks there is a moment without either.
    while calm < 2 and time.monotonic() < give_up:
        tab.wait_for_selector(READY, timeout=MADE_WITHIN_S * 1000)
        asks = tab.locator(_ASKS)
        if asks.count():
            asks.first.click()
            calm = 0
        else:
            calm = 0 if tab.locator(_UNDER_WAY).count() else calm + 1
        tab.wait_for_timeout(500)
    context.close()


def open_page(browser: Browser, app: Served, page: str) -> float | None:
    """Seconds until a page stands in a fresh session; None where it did not come whole."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    began = time.perf_counter()
    try:
        tab.goto(_address(app, page))
        for selector in PAGES[page]:
            tab.wait_for_selector(selector, state="attached", timeout=OPENS_WITHIN_S * 1000)
        tab.wait_for_selector(READY, timeout=OPENS_WITHIN_S * 1000)
        seconds = time.perf_counter() - began
        whole = not any(tab.locator(each).count() for each in (_ASKS, _UNDER_WAY, _FAILED))
    except PlaywrightTimeout:
        whole = False
    finally:
        if folder := os.environ.get("LARGE_STORE_PICTURES"):
            tab.screenshot(path=f"{folder}/{page}.png")
        context.close()
    return seconds if whole else None


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


if __name__ == "__main__":  # one size: a folder that `make_workspace` filled, and how many images it has
    print(measured(Path(sys.argv[1]), int(sys.argv[2])))
