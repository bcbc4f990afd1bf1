from benchmarks import scoring_threads


def test_threads_count_what_one_thread_counts(monkeypatch):
    monkeypatch.setattr(scoring_threads, "IMAGES", 10)
    monkeypatch.setattr(scoring_threads, "SIZE_HW", (40, 60))
    (row,) = scoring_threads.rows()
    assert row.same_answer
    assert row.name.startswith("scoring 8 images of 40 x 60")
