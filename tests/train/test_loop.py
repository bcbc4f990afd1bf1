"""The training loop: batches, rates, resume after kill -9 and SIGTERM, damaged checkpoints."""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from orandnet_core.errors import CheckpointError, ConfigError
from train.checkpoints import Checkpoints
from train.loop import Interrupted, LoopConfig, batches, fit, image_stream, rate_factor

ROOT = Path(__file__).resolve().parents[2]
CONFIG = LoopConfig(steps=12, seed=3, identity="a", log_every=1)


def flat(parts):
    return sorted(itertools.chain.from_iterable(parts))


def test_an_epoch_shows_every_image_once_and_epochs_differ():
    stream = list(itertools.islice(image_stream(10, seed=0, start=0), 30))
    for epoch in range(3):
        assert sorted(index for number, index in stream if number == epoch) == list(range(10))
    assert [index for number, index in stream if number == 0] != [i for number, i in stream if number == 1]


@pytest.mark.parametrize("start", [0, 1, 9, 10, 11, 25])
def test_a_stream_can_be_entered_anywhere(start):
    whole = list(itertools.islice(image_stream(10, seed=5, start=0), 40))
    assert list(itertools.islice(image_stream(10, seed=5, start=start), 40 - start)) == whole[start:]


@pytest.mark.parametrize(("accumulate", "ranks"), [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1)])
def test_ranks_and_micro_steps_share_the_same_global_batch(accumulate, ranks):
    config = LoopConfig(steps=5, seed=1, identity="", accumulate=accumulate)
    alone = list(batches(11, 8, LoopConfig(steps=5, seed=1, identity=""), start=2))
    shared = [list(batches(11, 8, config, start=2, rank=rank, ranks=ranks)) for rank in range(ranks)]
    for step, whole in enumerate(alone):
        parts = [part for rank in shared for part in rank[step * accumulate : (step + 1) * accumulate]]
        assert flat(parts) == sorted(whole)
        assert {len(part) for part in parts} == {8 // (accumulate * ranks)}


@pytest.mark.parametrize(("accumulate", "ranks"), [(1, 1), (2, 1), (1, 2)])
def test_batches_may_grow_by_step(accumulate, ranks):
    """The stream goes on where it was: each step takes what the one before has left, from any start."""
    config = LoopConfig(steps=5, seed=1, identity="", accumulate=accumulate)
    sizes = [8, 8, 4, 4, 2]
    stream = list(itertools.islice(image_stream(11, seed=1, start=0), sum(sizes)))
    expected = [stream[sum(sizes[:step]) : sum(sizes[: step + 1])] for step in range(5)]
    for start in range(5):
        shared = [
            list(batches(11, sizes.__getitem__, config, start=start, rank=rank, ranks=ranks))
            for rank in range(ranks)
        ]
        for step, whole in enumerate(expected[start:]):
            parts = [part for rank in shared for part in rank[step * accumulate : (step + 1) * accumulate]]
            assert flat(parts) == sorted(whole)
            assert {len(part) for part in parts} == {len(whole) // (accumulate * ranks)}


def test_every_image_is_seen_equally_often_over_whole_epochs():
    config = LoopConfig(steps=9, seed=0, identity="")
    seen = Counter(index for batch in batches(12, 4, config, start=0) for _, index in batch)
    assert set(seen.values()) == {3}


@pytest.mark.parametrize("schedule", ["cosine", "poly"])
def test_the_rate_rises_then_falls_to_nothing(schedule):
    config = LoopConfig(steps=100, seed=0, identity="", schedule=schedule, warmup_share=0.1)
    rates = [rate_factor(step, config) for step in range(100)]
    assert rates[9] == rates[10] == 1 == max(rates)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.03
    if schedule == "poly":
        assert rates[55] == pytest.approx(0.5**0.9)
    else:
        assert rates[55] == pytest.approx(0.5)


def train(run_dir, config=CONFIG, die_at=None, how=signal.SIGKILL):
    """Twelve steps on noise with dropout; a checkpoint after each; perhaps killed at one."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = torch.optim.AdamW([{"params": model.parameters(), "lr": 0.1, "initial_lr": 0.1}])
    inputs = torch.randn(10, 4, generator=torch.Generator().manual_seed(1))
    count = itertools.count()

    def loader_from(step):
        for batch in batches(10, 4, config, start=step):
            yield inputs[[index for _, index in batch]]

    def loss_of(model, batch):
        if next(count) == die_at:
            os.kill(os.getpid(), how)
        return model(batch).square().mean()

    fit(
        model,
        optimizer,
        loss_of,
        loader_from,
        config,
        Accelerator(cpu=True),
        run_dir=run_dir,
        stage="fit",
        batch_size=4,
    )
    return [value.detach().clone() for value in model.state_dict().values()]


def losses(run_dir):
    lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    return {line["done"]: line["loss"] for line in lines if "loss" in line}


@pytest.fixture
def every_step(monkeypatch):
    monkeypatch.setattr("train.loop.CHECKPOINT_EVERY_S", -1.0)


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("die_at", [1, 7])
def test_kill_9_and_resume_gives_the_same_losses_and_weights(tmp_path, die_at):
    expected = train(tmp_path / "whole")
    script = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]\n"
        "import train.loop, test_loop; from pathlib import Path\n"
        "train.loop.CHECKPOINT_EVERY_S = -1.0\n"
        f"test_loop.train(Path({str(tmp_path / 'cut')!r}), die_at={die_at})"
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(losses(tmp_path / "cut")) == die_at
    resumed = train(tmp_path / "cut")
    assert all(torch.equal(a, b) for a, b in zip(resumed, expected, strict=True))
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")


def test_sigterm_saves_and_the_rest_follows(tmp_path):
    expected = train(tmp_path / "whole")
    with pytest.raises(Interrupted, match="stopped after step 6, resumable"):
        train(tmp_path / "cut", die_at=5, how=signal.SIGTERM)
    resumed = train(tmp_path / "cut")
    assert all(torch.equal(a, b) for a, b in zip(resumed, expected, strict=True))


STOPPED_TOGETHER = """
import sys, time
sys.path[:0] = sys.argv[1:3]
import signal, test_loop
from pathlib import Path
from train.checkpoints import Checkpoints
from train.loop import Interrupted
from train.ranks import rank_and_ranks
save, rank = Checkpoints.save, rank_and_ranks()[0]

def slowly(*args):
    time.sleep(2)
    save(*args)

Checkpoints.save = slowly
try:
    test_loop.train(Path(sys.argv[3]), die_at=5 if rank else None, how=signal.SIGTERM)
except Interrupted:
    print(sorted(path.name for path in Path(sys.argv[3]).glob("fit/checkpoints/*")))
"""


def test_a_process_that_is_stopped_waits_for_the_one_that_saves(tmp_path):
    def started(rank: int) -> subprocess.Popen:
        environ = {
            "RANK": str(rank),
            "WORLD_SIZE": "2",
            "LOCAL_RANK": str(rank),
            "ACCELERATE_USE_CPU": "true",
        }
        environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29533"}
        folders = [str(ROOT), str(Path(__file__).parent), str(tmp_path)]
        return subprocess.Popen(
            [sys.executable, "-c", STOPPED_TOGETHER, *folders],
            env=os.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    told = [process.communicate(timeout=240) for process in [started(rank) for rank in range(2)]]
    assert [out.strip() for out, _ in told] == ["['step-6.pt']", "['step-6.pt']"], told


def slope(run_dir, rate, loss_of, config=CONFIG, accelerator=None):
    """Train a single weight, from 1."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = torch.optim.SGD([{"params": model.parameters(), "lr": rate, "initial_lr": rate}])
    fit(
        model,
        optimizer,
        loss_of,
        lambda step: (torch.ones(1, 1) for _ in range(step, config.steps)),
        config,
        accelerator or Accelerator(cpu=True),
        run_dir=run_dir,
        stage="classify-cnn",
        batch_size=1,
    )
    return model


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize(
    ("loss_of", "said"),
    [
        (lambda model, batch: model(batch).pow(4).sum() * 1e9, r"at step \d+, where the loss is (inf|nan)"),
        # A slope without end where the loss is a number.
        (lambda model, batch: (model(batch) * 0).sqrt().sum(), "at step 1, where the loss is 0, .*norm nan"),
    ],
)
def test_a_training_that_diverges_stops_before_it_spoils_its_checkpoints(tmp_path, loss_of, said):
    config = LoopConfig(steps=400, seed=0, identity="", clip_norm=1e30, warmup_share=0.0, log_every=1)
    with pytest.raises(ConfigError, match=f"classify-cnn: diverged {said}.*lower cnn.learning_rate"):
        slope(tmp_path, 1.0, loss_of, config)
    for path in (tmp_path / "classify-cnn" / "checkpoints").glob("*"):
        assert torch.load(path, weights_only=True)["model"]["weight"].isfinite().all()
    lines = (tmp_path / "metrics.jsonl").read_text()
    assert "NaN" not in lines
    assert "Infinity" not in lines


def test_a_step_that_float16_cannot_hold_is_left_out_and_training_goes_on(tmp_path):
    """Gradients without end are how the scaler finds a factor that fits."""
    accelerator = Accelerator(cpu=True)
    accelerator.state._mixed_precision, accelerator.native_amp = "fp16", True  # refused without a GPU
    accelerator.scaler = torch.amp.GradScaler("cpu")
    model = slope(
        tmp_path, 0.1, lambda model, batch: model(batch).square().sum() * 8, accelerator=accelerator
    )
    assert accelerator.scaler.get_scale() < 2.0**16
    assert 0 <= model.weight.item() < 1


@pytest.mark.usefixtures("every_step")
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, capsys):
    expected = train(tmp_path)
    folder = tmp_path / "fit" / "checkpoints"
    newest = max(folder.iterdir(), key=lambda path: int(path.stem.split("-")[1]))
    newest.write_bytes(newest.read_bytes()[:100])
    again = train(tmp_path)
    assert "damaged" in capsys.readouterr().out
    assert all(torch.equal(a, b) for a, b in zip(again, expected, strict=True))


def test_only_two_checkpoints_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 10):
        checkpoints.save(step, {"value": torch.tensor(step)})
    assert {path.name for path in tmp_path.iterdir()} == {"step-2.pt", "step-10.pt"}
    state, warnings = checkpoints.latest()
    assert state["step"] == 10
    assert warnings == []


def test_a_checkpoint_that_would_execute_code_is_not_read(tmp_path):
    marker = tmp_path / "executed"

    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    torch.save({"x": Hostile()}, tmp_path / "step-5.pt")
    state, warnings = Checkpoints(tmp_path).latest()
    assert state is None
    assert "damaged" in warnings[0]
    assert not marker.exists()


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match="No space left.*Free some disk space"):
        checkpoints.save(2, {})
    monkeypatch.undo()
    assert checkpoints.latest()[0]["step"] == 1


def test_another_runs_checkpoint_is_refused(tmp_path):
    train(tmp_path)
    with pytest.raises(CheckpointError, match="another recipe or data set"):
        train(tmp_path, LoopConfig(steps=12, seed=3, identity="b", log_every=1))


def test_accumulated_micro_steps_equal_one_large_step(tmp_path):
    def run(accumulate):
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD([{"params": model.parameters(), "lr": 0.1, "initial_lr": 0.1}])
        config = LoopConfig(steps=3, seed=0, identity="", accumulate=accumulate)
        inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))

        def loader_from(step):
            for batch in batches(8, 8, config, start=step):
                yield inputs[[index for _, index in batch]]

        fit(
            model,
            optimizer,
            lambda model, batch: model(batch).square().mean(),
            loader_from,
            config,
            Accelerator(cpu=True),
            run_dir=tmp_path / str(accumulate),
            stage="fit",
            batch_size=8,
        )
        return model.weight.detach()

    torch.testing.assert_close(run(4), run(1))
