"""What every test may ask for: the real photographs, the real weights, a real browser.

None of the three is part of the repository, so a test that needs one is skipped with a
reason where it is not there. With ORANDNET_REQUIRE_REAL=1 (as CI sets it) a skipped test
fails: a green run then means that nothing was left out but tests marked `gpu`.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# Read once, when torch is loaded: so they are set before any test module can import it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Nothing may leave the machine: Chromium's own background traffic is refused or slow on a closed network.
CHROMIUM_ARGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Turn a skip into a failure where nothing may be left out."""
    report = yield
    required = os.environ.get("ORANDNET_REQUIRE_REAL") == "1" and "gpu" not in item.keywords
    if required and report.skipped and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr
        report.outcome, report.longrepr = "failed", f"{reason}; ORANDNET_REQUIRE_REAL=1 forbids the skip"
    return report


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with `voc/` and `weights/`: ORANDNET_SHARED, or `shared` beside the repository."""
    folder = Path(os.environ.get("ORANDNET_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"{folder} not there, real-data tests skipped (set ORANDNET_SHARED)")
    return folder


@pytest.fixture(scope="session")
def weights_dir(shared_dir: Path) -> Path:
    """The folder of timm weights as safetensors."""
    return _required(shared_dir / "weights")


@pytest.fixture(scope="session")
def voc_root(shared_dir: Path) -> Path:
    """The folder that holds `VOC2012` and `cls_labels.npy`."""
    return _required(shared_dir / "voc")


@pytest.fixture(scope="session")
def voc(voc_root: Path):
    """The real part of VOC 2012 as a `Dataset`: splits `train`, `val`, `train_aug`."""
    from orandnet_core.datasets import voc12

    return voc12(voc_root)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A headless Chromium from the system (Playwright's own download is never used)."""
    executable = chromium_path()
    if executable is None:
        pytest.skip("no Chromium found, browser tests skipped (install chromium or set ORANDNET_CHROMIUM)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=list(CHROMIUM_ARGS))
        yield chromium
        chromium.close()


def until(condition: Callable[[], object], within_s: float = 60.0) -> None:
    """Wait for another process to get there; fail when it does not."""
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, f"not so after {within_s} s"
        time.sleep(0.02)


def chromium_path() -> str | None:
    """The system's Chromium, or the one that ORANDNET_CHROMIUM names; None where there is none."""
    named = os.environ.get("ORANDNET_CHROMIUM")
    return named or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def _required(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"{folder} not there, real-data tests skipped")
    return folder
