"""The paper's recipe at full size: each network is built from nothing, learns one step, and is used once."""

import pytest

from orandnet_core.datasets import voc12
from tests.train.conftest import write_squares
from train.config import override
from train.open_run import weight_overrides
from train.recipes import recipe
from train.records import read_record
from train.run import run
from train.stages import STAGES


@pytest.mark.slow
def test_every_network_of_the_paper_takes_a_step_at_full_size(tmp_path, monkeypatch):
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "workspace"))
    squares = voc12(write_squares(tmp_path / "squares", images=2, side_px=500))
    plain = recipe("voc12_paper")
    changes = {"data.train_split": "train", "data.cam_splits": ("train",)}
    changes |= weight_overrides(plain, "none")
    for stage in STAGES.values():
        if stage.training:
            changes |= {f"{stage.training}.epochs": 1, f"{stage.training}.batch_size": 1}
    # DeepLab's pooled branch normalises over a batch, and needs two images; each phase takes a step.
    changes |= {"segment.epochs": 3, "segment.batch_size": 2}
    small = override(plain, changes)
    results = list(run(small, squares, tmp_path / "run"))
    assert [result.stage for result in results] == list(STAGES)
    assert not any(result.failed for result in results)
    unchanged = {"cnn.model": "resnet50", "cnn.augment.crop_px": 512}
    assert unchanged.items() <= read_record(tmp_path / "run", "classify-cnn").config.items()
    unchanged = {"refine.architecture": "fcn8s", "refine.cell_px": 1, "refine.crop_px": 512}
    assert unchanged.items() <= read_record(tmp_path / "run", "refine").config.items()
    unchanged = {"segment.encoder": "resnet101", "segment.augment.crop_px": 320}
    assert unchanged.items() <= read_record(tmp_path / "run", "segment").config.items()
