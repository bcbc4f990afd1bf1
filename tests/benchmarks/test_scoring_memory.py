from benchmarks import scoring_memory


def test_a_small_run_is_flat_and_exact(monkeypatch):
    monkeypatch.setattr(scoring_memory, "MANY", 400)
    (row,) = scoring_memory.rows()
    assert row.same_answer
    assert row.unit == "MB"
    assert row.ours < 1.1 * row.theirs
