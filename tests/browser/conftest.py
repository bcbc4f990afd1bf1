"""The app on a port of its own, and a real browser on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.app_server import served
from orandnet_core.scenes import SCENE_CLASSES
from tests.pages.workspace import make_networks, make_workspace


@pytest.fixture(scope="session")
def served_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace that the served app looks at: the sample, its CAMs, two networks."""
    root = tmp_path_factory.mktemp("served")
    make_workspace(root)
    make_networks(root / "runs" / "sample", SCENE_CLASSES)
    return root


@pytest.fixture(scope="session")
def app_url(served_workspace: Path) -> Iterator[str]:
    """The address of a running app."""
    with served(served_workspace) as app:
        yield app.url
