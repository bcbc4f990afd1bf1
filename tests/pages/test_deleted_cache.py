"""A cache deleted under the running app: every page that reads it makes it anew."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.opening import opened, settled

pytestmark = pytest.mark.usefixtures("sample")


def figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


@pytest.mark.parametrize("page", ["fuse", "errors", "compare", "complement"])
def test_a_page_shows_the_same_after_its_cache_was_deleted(app: AppTest, workspace: Path, page: str):
    shown = opened(app, f"analysis/{page}.py")
    before, tables = figures(shown), [frame.value for frame in shown.dataframe]
    assert before or tables
    shutil.rmtree(workspace / "cache")
    shown = settled(shown.run())
    assert figures(shown) == before
    for now, was in zip(shown.dataframe, tables, strict=True):
        assert now.value.equals(was)
