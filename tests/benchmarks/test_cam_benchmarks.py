"""The CAM benchmarks on small networks: they compare what is the same, and notice what is not."""

import numpy as np
import pytest

from benchmarks import cnn_cams, vit_attribution
from benchmarks.table import Row


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(cnn_cams, "MODEL", "test_resnet")
    monkeypatch.setattr(vit_attribution, "MODEL", "test_vit")
    for benchmark in (cnn_cams, vit_attribution):
        monkeypatch.setattr(benchmark, "SIDE_PX", 64)
        monkeypatch.setattr(benchmark, "REPEATS", 1)


def test_cnn_cams_are_grad_cams():
    one, four = cnn_cams.rows()
    assert one.name == "test_resnet CAMs at 64 px, 1 class, against grad-cam"
    assert "4 classes" in four.name
    assert one.same_answer
    assert four.same_answer


def test_another_map_is_not_the_same_answer(monkeypatch):
    ours = cnn_cams._ours
    monkeypatch.setattr(cnn_cams, "_ours", lambda *args: ours(*args) ** 2)
    assert not any(row.same_answer for row in cnn_cams.rows())


def test_attributions_together_are_those_one_by_one(monkeypatch):
    rows: list[Row] = list(vit_attribution.rows())
    assert [row.same_answer for row in rows] == [True, True]
    assert "transformer_attribution" in rows[0].name

    compute = vit_attribution.compute_cam
    monkeypatch.setattr(
        vit_attribution,
        "compute_cam",
        lambda classifier, image, ids, *args, **more: (
            compute(classifier, image, ids, *args, **more)[:, ::-1]
            if len(ids) > 1
            else compute(classifier, image, ids, *args, **more)
        ),
    )
    assert not any(row.same_answer for row in vit_attribution.rows())
    assert np.isfinite([row.ratio for row in rows]).all()
