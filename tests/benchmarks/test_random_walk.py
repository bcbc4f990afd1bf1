import pytest

from benchmarks import random_walk


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(random_walk, "HALF_HW", (60, 80))
    monkeypatch.setattr(random_walk, "SIZE_HW", (120, 160))
    monkeypatch.setattr(random_walk, "REPEATS", 1)


def test_the_walk_is_the_dense_power_in_less_memory():
    half, whole, memory = random_walk.rows()
    assert half.name == "random walk of 2 classes at 60 x 80, against the dense power"
    assert "1/64 of a squaring measured" in whole.name
    assert half.same_answer
    assert whole.same_answer
    assert memory.same_answer
    assert memory.unit == "MB"
    assert memory.ours < memory.theirs


def test_another_answer_would_show(monkeypatch):
    walk = random_walk.random_walk
    monkeypatch.setattr(random_walk, "random_walk", lambda *args, **more: walk(*args, **more) * 0.99)
    monkeypatch.setattr(
        random_walk, "_in_a_process_of_its_own", lambda kind: {"peak_mb": 1, "mean": len(kind)}
    )
    assert not any(row.same_answer for row in random_walk.rows())
