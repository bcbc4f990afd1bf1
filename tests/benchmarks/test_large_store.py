import re
from contextlib import nullcontext

import pytest

from benchmarks import large_store
from benchmarks.large_store import PAGES

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_pages_are_timed_in_both_sizes(monkeypatch, browser):
    monkeypatch.setattr(large_store, "_browser", lambda: nullcontext(browser))
    some = {page: PAGES[page] for page in ("inspect", "compare", "exchange")}
    monkeypatch.setattr(large_store, "PAGES", some)
    for name, value in {"FEW": 12, "MANY": 40, "OPENINGS": 1, "MADE_WITHIN_S": 120}.items():
        monkeypatch.setattr(large_store, name, value)
    rows = list(large_store.rows())
    assert [row.name for row in rows[:-1]] == [
        f"first paint of {page}, 40 images against 12" for page in some
    ]
    assert all(row.same_answer and row.ours > 0 for row in rows)
    assert (rows[-1].unit, rows[-1].ours > 50) == ("MB", True)


def test_without_a_browser_it_is_left_out_and_said(monkeypatch, capsys):
    monkeypatch.setattr(large_store, "chromium", lambda: None)
    assert list(large_store.rows()) == []
    assert "no Chromium found" in capsys.readouterr().err


def test_every_page_of_the_navigation_is_among_them():
    source = large_store.NAVIGATION.read_text()
    assert re.findall(r'"pages/\w+?/(\w+?)(?:_page)?\.py"', source) == list(PAGES)
