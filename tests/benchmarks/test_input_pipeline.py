import torch

from benchmarks import input_pipeline


def test_a_loading_process_gives_the_same_batches(monkeypatch):
    monkeypatch.setattr(input_pipeline, "BATCHES", 1)
    (row,) = input_pipeline.rows()
    assert row.name == "a batch of 8 crops of 192 px, against the training step"
    assert row.same_answer
    assert row.ratio > 0


def test_another_batch_would_show(monkeypatch):
    monkeypatch.setattr(input_pipeline, "BATCHES", 1)
    monkeypatch.setattr(input_pipeline, "_step_s", lambda *_: 1.0)
    collated = input_pipeline.default_collate
    monkeypatch.setattr(
        input_pipeline, "default_collate", lambda samples: [torch.flip(one, [0]) for one in collated(samples)]
    )
    (row,) = input_pipeline.rows()
    assert not row.same_answer
