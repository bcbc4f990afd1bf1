"""Counts on disk: what was deleted is made anew, and nobody is asked for what is there."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from pages.components import tasks
from tests.pages.opening import opened, settled

pytestmark = pytest.mark.usefixtures("sample")
PAGES = ("fuse", "errors", "compare", "complement")


def figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def asking(app: AppTest) -> list[Button]:
    """The buttons that start work."""
    return [button for button in app.button if str(button.key).startswith("start-")]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_the_same_after_its_cache_was_deleted(app: AppTest, workspace: Path, page: str):
    shown = opened(app, f"analysis/{page}.py")
    before, tables = figures(shown), [frame.value for frame in shown.dataframe]
    assert before or tables
    shutil.rmtree(workspace / "cache")
    shown = settled(shown.run())
    assert figures(shown) == before
    for now, was in zip(shown.dataframe, tables, strict=True):
        assert now.value.equals(was)


@pytest.mark.parametrize("page", PAGES)
def test_a_long_pass_is_asked_for_once_and_not_again_by_another_server(
    app: AppTest, page: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tasks, "_UNASKED_IMAGES", 0)
    shown = opened(app, f"analysis/{page}.py")
    assert asking(shown)
    while starts := asking(shown):
        starts[0].click()
        shown = settled(shown.run())
    before = figures(shown)
    tasks.task_board.clear()
    shown = settled(shown.run())
    assert not asking(shown)
    assert figures(shown) == before
