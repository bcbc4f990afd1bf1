import pytest

from benchmarks import viewer_frames

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    if viewer_frames.chromium() is None:
        pytest.skip("no Chromium found, browser tests skipped (install chromium or set ORANDNET_CHROMIUM)")
    monkeypatch.setattr(viewer_frames, "SIZE_HW", (48, 64))
    monkeypatch.setattr(viewer_frames, "MOVES", 4)


def test_the_browsers_masks_are_the_cores():
    rows = list(viewer_frames.rows())
    assert len(rows) == 4
    assert "6 panes of 48 x 64, 3 classes" in rows[0].name
    assert all(row.same_answer for row in rows)
    assert all(row.ours > 0 for row in rows)


def test_another_mask_would_show(monkeypatch):
    mask = viewer_frames.pseudo_mask
    monkeypatch.setattr(viewer_frames, "pseudo_mask", lambda cam, ids, at: mask(cam, ids[::-1], at))
    assert not any(row.same_answer for row in viewer_frames.rows())


def test_without_a_browser_it_is_left_out_and_said(monkeypatch, capsys):
    monkeypatch.setattr(viewer_frames, "chromium", lambda: None)
    assert list(viewer_frames.rows()) == []
    assert "no Chromium found" in capsys.readouterr().err
