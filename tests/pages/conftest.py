"""What every page's tests ask for: a workspace of their own, and the app."""

import shutil
import sys
from pathlib import Path

import pytest

from orandnet_core.datasets import Dataset, scenes
from orandnet_core.fusion import Fusion
from orandnet_core.scoring import PairScores, score_pair, store_source
from orandnet_core.store import CamStore
from tests.conftest import ROOT
from tests.pages.workspace import make_workspace


@pytest.fixture(scope="session")
def made_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn once; tests get copies."""
    root = tmp_path_factory.mktemp("workspace")
    make_workspace(root)
    return root


@pytest.fixture
def workspace(made_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of one's own: the sample in `data/scenes`, the run `sample` with both stores."""
    root = tmp_path / "workspace"
    shutil.copytree(made_workspace, root)
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(root))
    return root


@pytest.fixture
def empty_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in which nothing was made yet."""
    root = tmp_path / "empty"
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(root))
    return root


@pytest.fixture
def sample(workspace: Path) -> Dataset:
    """The workspace's sample."""
    return scenes(workspace / "data" / "scenes")


@pytest.fixture(autouse=True)
def own_main(monkeypatch: pytest.MonkeyPatch):
    """Streamlit leaves a page's script as `__main__`, which a spawned process of a later test would run."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(autouse=True)
def fresh_caches():
    """Caches outlive a test; its files do not."""
    import streamlit as st

    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def app():
    """The whole app, not yet run."""
    from streamlit.testing.v1 import AppTest

    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


@pytest.fixture
def scored(workspace: Path, sample: Dataset) -> PairScores:
    """The split `train`, scored by the core alone."""
    stores = [
        store_source(CamStore(workspace / "runs" / "sample" / f"cams-{name}"), name)
        for name in ("cnn", "vit")
    ]
    return score_pair(sample, "train", *stores, {name: Fusion(name) for name in ("mean", "or", "and")})
