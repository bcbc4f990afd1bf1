"""Saved views: what an address said comes back, whatever the name, and other files do no harm."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from orandnet_core.errors import ConfigError
from train.views import SavedView, delete_view, save_view, saved_views

QUERY = {
    "split": ("val",),
    "compare_sources": ("CNN", "Naive mean"),
    "filter": ("class~a & b", "miou~cnn~0~0.5"),
}


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path))
    return tmp_path


def view(name: str = "losers", page: str = "compare") -> SavedView:
    return SavedView(name=name, page=page, query=QUERY)


@pytest.mark.parametrize("name", ["losers", "a/b", "../../etc", "<b>&", "精度"])
def test_a_view_comes_back_and_goes(name: str, workspace: Path):
    path = save_view(view(name))
    assert path.parent == workspace / "views"
    assert saved_views("compare") == {name: view(name)}
    delete_view(name)
    assert saved_views("compare") == {}


def test_its_address_is_what_the_browser_takes_apart():
    parts = urlsplit(view().address)
    assert parts.path == "compare"
    assert parse_qs(parts.query) == {name: list(values) for name, values in QUERY.items()}


def test_pages_have_views_of_their_own_in_order():
    for name, page in (("b", "compare"), ("A", "compare"), ("c", "fuse")):
        save_view(view(name, page))
    assert list(saved_views("compare")) == ["A", "b"]
    assert list(saved_views("fuse")) == ["c"]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"name": "x", "page": "compare", "query": 3}', '"text"']
)
def test_files_of_others_are_passed_over(workspace: Path, content: str):
    save_view(view())
    (workspace / "views" / "other.json").write_text(content)
    assert list(saved_views("compare")) == ["losers"]


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 41])
def test_a_name_that_cannot_be_one_is_refused(name: str):
    with pytest.raises(ConfigError, match="cannot name a view"):
        view(name)
