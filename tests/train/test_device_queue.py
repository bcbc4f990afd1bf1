"""Places in a queue: kept by the living, in order, one device at a time."""

import subprocess
import sys

import pytest

from orandnet_core.errors import JobError
from train import device_queue, locks
from train.device_queue import Ticket, check_device, devices, visible_devices


def test_places_move_up_as_tickets_before_them_are_given_up(tmp_path):
    first, second, third = (Ticket(tmp_path / "cpu", name) for name in "abc")
    assert [ticket.ahead() for ticket in (first, second, third)] == [0, 1, 2]
    second.leave()
    assert [ticket.ahead() for ticket in (first, third)] == [0, 1]
    first.leave()
    assert third.ahead() == 0
    third.leave()


def test_a_new_ticket_is_behind_all_others_whatever_its_name(tmp_path):
    tickets = [Ticket(tmp_path, name) for name in ("z", "a", "2-b")]
    assert [ticket.ahead() for ticket in tickets] == [0, 1, 2]
    for ticket in tickets:
        ticket.leave()


def test_dead_tickets_are_cleared_away(tmp_path):
    (tmp_path / "000007-died").touch()
    ticket = Ticket(tmp_path, "a")
    assert ticket.ahead() == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000008-a", "mutex"]
    ticket.leave()


def test_a_child_with_the_ticket_keeps_the_place(tmp_path):
    first, second = Ticket(tmp_path, "a"), Ticket(tmp_path, "b")
    with subprocess.Popen(["sleep", "600"], pass_fds=[first.fileno()]) as child:
        first.leave()
        assert second.ahead() == 1
        child.kill()
    assert second.ahead() == 0
    second.leave()


def test_a_lock_is_held_by_one_and_seen_by_all(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE_S", 0.0)
    path = tmp_path / "lock"
    assert not locks.is_held(path)
    with locks.hold(path):
        assert locks.is_held(path)
        with pytest.raises(JobError, match="held by another process"):
            locks.hold(path)
    assert not locks.is_held(path)


def test_readers_that_look_at_a_lock_keep_nobody_from_taking_it(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    look = (
        "import pathlib, sys\nfrom train.locks import is_held\nwhile True: is_held(pathlib.Path(sys.argv[1]))"
    )
    with subprocess.Popen([sys.executable, "-c", look, str(path)]) as reader:
        try:
            for _ in range(50):
                locks.hold(path).close()
        finally:
            reader.kill()


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda:0", "cuda:12"])
def test_devices(device):
    assert check_device(device) == device


@pytest.mark.parametrize("device", ["", "cuda", "cuda:", "cuda:a", "cpu:0", "../cpu", "cuda:0\n", "CPU"])
def test_what_is_no_device(device):
    with pytest.raises(JobError, match="name cpu, mps or one GPU"):
        check_device(device)


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        ("cpu", None, ""),
        ("cpu", "0,1", ""),
        ("cuda:1", None, "1"),
        ("cuda:1", "4,6", "6"),
        ("cuda:0", " GPU-ab , GPU-cd", "GPU-ab"),
    ],
)
def test_a_job_sees_its_own_device_only(device, visible, expected):
    assert visible_devices(device, visible) == {"CUDA_VISIBLE_DEVICES": expected}


def test_a_gpu_that_is_not_there(monkeypatch):
    with pytest.raises(JobError, match="shows 1 GPUs"):
        visible_devices("cuda:1", "3")


@pytest.mark.parametrize(
    ("visible", "count"),
    [(None, 3), ("2", 1), ("0,2", 2), ("GPU-ab, GPU-cd", 2), ("", 0), ("-1", 0), ("1,-1,2", 1)],
)
def test_only_the_gpus_that_are_visible_are_offered(tmp_path, monkeypatch, visible, count):
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl"):
        (tmp_path / name).touch()
    monkeypatch.setattr(device_queue, "DEVICE_FILES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    offered = [device for device in devices() if device.startswith("cuda:")]
    assert offered == [f"cuda:{index}" for index in range(count)]
    for device in offered:
        visible_devices(device, visible)


def test_a_machine_without_a_gpu_shows_none(tmp_path, monkeypatch):
    monkeypatch.setattr(device_queue, "DEVICE_FILES", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert not any(device.startswith("cuda") for device in devices())


def test_there_is_always_a_device():
    assert devices()[-1] == "cpu"
    assert len(devices()) == len(set(devices()))
