"""What is looked at before a job starts, against machines of every kind."""

from types import SimpleNamespace

import pytest

from train import checks as checking
from train.checks import checks
from train.pace import Estimate


def needs(**more: float) -> Estimate:
    return Estimate(**{"seconds": 600.0, "bytes": 5e9, "memory_gb": 2.0, "gpu_memory_gb": 0.0} | more)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """What `checks` finds: 50 GB of disk, 6 of 8 GB of memory, four idle cores, perhaps a GPU."""

    def made(*, disk=50e9, free_gb=6.0, load=0.5, gpu: str | None = None):
        monkeypatch.setattr(checking, "free_bytes", lambda folder: disk)
        memory = SimpleNamespace(available=free_gb * 1e9, total=8e9)
        monkeypatch.setattr(checking.psutil, "virtual_memory", lambda: memory)
        monkeypatch.setattr(checking.psutil, "getloadavg", lambda: (load, 0, 0))
        monkeypatch.setattr(checking.os, "cpu_count", lambda: 4)
        monkeypatch.setattr(checking, "devices", lambda: ["cuda:0", "cpu"] if gpu is not None else ["cpu"])
        tool = tmp_path / "bin" / "nvidia-smi"
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\necho '{gpu}'\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tool.parent) if gpu else "")

    return made


def found(estimates, tmp_path, device="cpu") -> dict[str, tuple[str, str]]:
    return {check.name: (check.state, check.words) for check in checks(estimates, tmp_path, device)}


def test_a_machine_with_room_is_good(machine, tmp_path):
    machine()
    assert found([needs(), needs(memory_gb=1.0)], tmp_path) == {
        "Time": ("good", "about 20 min"),
        "Device": ("good", "cpu, 4 cores"),
        "Disk": ("good", "50.0 GB free, needs 10.0 GB"),
        "Memory": ("good", "6.0 of 8.0 GB free, needs 2.0 GB"),
    }


@pytest.mark.parametrize(
    ("how", "need", "name", "state", "said"),
    [
        ({"disk": 4e9}, {}, "Disk", "bad", "4.0 GB free, needs 5.0 GB: make room first"),
        ({"disk": 5.5e9}, {}, "Disk", "doubtful", "leaves little"),
        ({}, {"memory_gb": 9.0}, "Memory", "bad", "needs 9.0 GB: make the batches"),
        ({"free_gb": 1.0}, {}, "Memory", "doubtful", "1.0 of 8.0 GB free, needs 2.0 GB: close"),
        ({"load": 7.0}, {}, "Device", "doubtful", "busy with other work"),
    ],
)
def test_what_lacks_is_said(machine, tmp_path, how, need, name, state, said):
    machine(**how)
    is_state, words = found([needs(**need)], tmp_path)[name]
    assert is_state == state
    assert said in words


@pytest.mark.parametrize(
    ("gpu", "need_gb", "state", "said"),
    [
        ("NVIDIA A30, 20000, 24000", 11.0, "good", "NVIDIA A30, 20 of 24 GB free"),
        ("NVIDIA A30, 5000, 24000", 11.0, "doubtful", "5 of 24 GB free; needs 11.0 GB"),
        ("NVIDIA A30, 20000, 24000", 30.0, "bad", "needs 30.0 GB: make the batches smaller"),
        ("No devices were found", 1.0, "doubtful", "nvidia-smi does not say"),
    ],
)
def test_a_gpu_is_asked_for_its_memory(machine, tmp_path, gpu, need_gb, state, said):
    machine(gpu=gpu)
    is_state, words = found([needs(gpu_memory_gb=need_gb)], tmp_path, "cuda:0")["Device"]
    assert is_state == state
    assert said in words


@pytest.mark.parametrize(("visible", "card"), [(None, "0"), ("3", "3"), ("GPU-ab,GPU-cd", "GPU-ab")])
def test_the_card_that_is_asked_is_the_one_that_the_job_gets(machine, tmp_path, monkeypatch, visible, card):
    machine(gpu="NVIDIA A30, 20000, 24000")
    (tmp_path / "bin" / "nvidia-smi").write_text('#!/bin/sh\necho "card $1, 20000, 24000"\n')
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert found([needs()], tmp_path, "cuda:0")["Device"][1].startswith(f"card --id={card}, 20 of")


def test_a_card_without_its_tool_is_doubtful(machine, tmp_path):
    machine(gpu="")
    assert found([needs()], tmp_path, "cuda:0")["Device"][0] == "doubtful"


def test_a_device_that_is_not_there_is_bad(machine, tmp_path):
    machine()
    assert found([needs()], tmp_path, "cuda:3")["Device"] == ("bad", "there is no cuda:3: choose cpu")


def test_what_is_not_known_makes_doubtful_and_is_a_least(machine, tmp_path):
    machine()
    said = found([needs(), None], tmp_path)
    assert {name: state for name, (state, _) in said.items()} == {
        "Time": "doubtful",
        "Device": "good",
        "Disk": "doubtful",
        "Memory": "doubtful",
    }
    assert "needs at least 5.0 GB" in said["Disk"][1]
    assert found([None], tmp_path)["Disk"] == ("doubtful", "50.0 GB free")
