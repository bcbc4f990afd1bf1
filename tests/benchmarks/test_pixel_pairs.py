import pytest

from benchmarks import pixel_pairs


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name, value in {"CELLS": 20, "BATCH": 2, "RADIUS": 6, "REPEATS": 1}.items():
        monkeypatch.setattr(pixel_pairs, name, value)


def test_both_ways_agree():
    labels, loss = pixel_pairs.rows()
    assert labels.name == "labels of all pairs of 20 x 20 cells, radius 6, against a loop"
    assert labels.same_answer
    assert loss.same_answer


def test_another_answer_would_show(monkeypatch):
    label, loss = pixel_pairs.pair_labels, pixel_pairs.boundary_loss
    monkeypatch.setattr(pixel_pairs, "pair_labels", lambda labels, radius: label(labels.flip(2), radius))
    monkeypatch.setattr(pixel_pairs, "boundary_loss", lambda *args: 1.1 * loss(*args))
    assert not any(row.same_answer for row in pixel_pairs.rows())
