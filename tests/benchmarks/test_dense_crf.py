import numpy as np
import pytest

from benchmarks import dense_crf

pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(dense_crf, "SIZE_HW", (60, 80))
    monkeypatch.setattr(dense_crf, "REPEATS", 1)


def test_absent_labels_change_nothing():
    of_labels, of_maps = dense_crf.rows()
    assert of_labels.name == "dense CRF of an image of 60 x 80, 3 labels present, against all 21"
    assert of_labels.same_answer
    assert of_maps.same_answer


def test_another_answer_would_show(monkeypatch):
    refine, clean = dense_crf.crf_scores, dense_crf.crf_labels
    monkeypatch.setattr(
        dense_crf, "crf_scores", lambda image, scores, preset: np.roll(refine(image, scores, preset), 1, 2)
        if len(scores) == 3 else refine(image, scores, preset),
    )  # fmt: skip
    monkeypatch.setattr(
        dense_crf, "crf_labels", lambda image, maps, ids, preset: clean(image, maps, ids, preset)[..., ::-1]
        if maps.ndim == 3 else clean(image, maps, ids, preset),
    )  # fmt: skip
    assert not any(row.same_answer for row in dense_crf.rows())
