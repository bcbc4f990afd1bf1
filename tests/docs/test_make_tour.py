"""The tour: its steps still work, and the page is what the script made of the words."""

import re
import string
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser

from docs.make_tour import MADE, SIZE, TEXT, classes_table, interval, make_tour, sources_table, told_losses
from tests.conftest import ROOT
from tests.pages.workspace import make_workspace

DOCS = ROOT / "docs"
MOST_BYTES = 1_500_000


@pytest.mark.browser
@pytest.mark.slow
def test_every_step_works(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    workspace, docs = tmp_path / "workspace", tmp_path / "docs"
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(workspace))
    make_workspace(workspace)
    make_tour(browser, workspace, docs, annotated=3)
    text = (docs / "tour.md").read_text(encoding="utf-8")
    assert pictures_in(text) == pictures_in(TEXT.read_text(encoding="utf-8"))
    for name in pictures_in(text):
        with Image.open(docs / name) as picture:
            assert picture.size == (SIZE["width"], SIZE["height"])
            assert len(picture.getcolors(1 << 24)) > 100, "something is to be seen"


def test_the_page_is_made_from_the_words():
    words = TEXT.read_text(encoding="utf-8")
    pattern = "".join(
        re.escape(literal) + (".+?" if name else "") for literal, name, *_ in string.Formatter().parse(words)
    )
    page = (DOCS / "tour.md").read_text(encoding="utf-8")
    assert re.fullmatch(re.escape(MADE) + pattern, page, re.DOTALL), "run `python -m docs.make_tour`"


def test_the_pictures_are_there_and_small():
    used = pictures_in((DOCS / "tour.md").read_text(encoding="utf-8"))
    assert {DOCS / name for name in used} == set((DOCS / "tour").glob("*.webp"))
    assert sum((DOCS / name).stat().st_size for name in used) < MOST_BYTES


def test_figures_as_the_text_has_them():
    row = {"label": "AND", "miou": "0.1234", "precision": "0.5", "recall": "0.25",
           "miou_difference": "-0.012",
           "miou_difference_low": "-0.02", "miou_difference_high": "0.001"}  # fmt: skip
    assert interval(row, "miou_difference") == "-1.2 [-2.0, +0.1]"
    first = row | {"label": "CNN", "miou": "0.2", "miou_difference": ""}
    assert sources_table([row, first]).splitlines()[2:] == [
        "| CNN | 20.0 | 50.0 | 25.0 |  |",
        "| AND | 12.3 | 50.0 | 25.0 | -1.2 [-2.0, +0.1] |",
    ]
    lost = {"of": "car", "difference": "-0.021", "low": "-0.03", "high": "-0.01", "p_holm": "0.004"}
    assert classes_table([lost]).splitlines()[-1] == "| car | -2.1 [-3.0, -1.0] | 0.004 |"
    chance = lost | {"of": "boat", "p_holm": "0.2"}
    assert told_losses([lost, chance]) == "It hurts car (-2.1). Lower, but within chance: boat (-2.1)."
    assert told_losses([]) == "It hurts no class more than chance would."


def pictures_in(text: str) -> list[str]:
    return re.findall(r"\]\((tour/[a-z-]+\.webp)\)", text)
