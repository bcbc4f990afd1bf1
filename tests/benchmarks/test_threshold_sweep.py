from benchmarks import threshold_sweep


def test_all_ways_agree_and_ours_is_faster(monkeypatch):
    monkeypatch.setattr(threshold_sweep, "IMAGES", 1)
    monkeypatch.setattr(threshold_sweep, "SIZE_HW", (60, 80))
    rows = list(threshold_sweep.rows())
    assert len(rows) == 2
    assert all(row.same_answer for row in rows)
    assert all(row.ratio > 2 for row in rows)


def test_a_wrong_answer_would_show(monkeypatch):
    monkeypatch.setattr(threshold_sweep, "IMAGES", 1)
    monkeypatch.setattr(threshold_sweep, "SIZE_HW", (60, 80))
    monkeypatch.setattr(threshold_sweep, "INDICES", range(30, 32))
    right = threshold_sweep.one_pass
    monkeypatch.setattr(threshold_sweep, "one_pass", lambda *inputs: tuple(c + 1 for c in right(*inputs)))
    assert not any(row.same_answer for row in threshold_sweep.rows())
