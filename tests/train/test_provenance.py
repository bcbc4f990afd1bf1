"""What a stage was made by: of this process, where git or a package may be absent."""

import platform
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch

from train import provenance as about
from train.provenance import device_words, other_versions, provenance


@pytest.fixture(autouse=True)
def found_anew():
    provenance.cache_clear()
    yield
    provenance.cache_clear()


def test_it_says_what_works_here():
    found = provenance()
    assert torch.__version__.partition("+")[0] == found["torch"]
    assert (found["numpy"], found["timm"]) == (np.__version__, timm.__version__)
    assert (found["python"], found["device"]) == (platform.python_version(), device_words())


def test_the_revision_is_gits_and_says_whether_files_differ(tmp_path, monkeypatch):
    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", "-C", tmp_path, *who, *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    monkeypatch.setattr(about, "ROOT", tmp_path)
    assert "code" not in provenance()
    git("init")
    (tmp_path / "file").write_text("1")
    git("add", ".")
    git("commit", "-m", "x")
    for content, end in (("1", ""), ("2", "-dirty")):
        provenance.cache_clear()
        (tmp_path / "file").write_text(content)
        assert provenance()["code"] == git("rev-parse", "--short", "HEAD") + end


def test_without_git_or_a_package_it_is_left_out(monkeypatch, tmp_path):
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(about, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(about, "PACKAGES", ("numpy", "no-such-package"))
    assert set(provenance()) == {"python", "numpy", "device"}


def test_the_device_is_that_which_torch_sees(monkeypatch):
    cuda = SimpleNamespace(is_available=lambda: True, get_device_name=lambda: "NVIDIA H200")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert device_words() == "NVIDIA H200"
    monkeypatch.delitem(sys.modules, "torch")
    assert device_words().endswith("CPU cores")


def test_other_versions_are_told_and_nothing_else(monkeypatch):
    now = {"code": "b", "python": "3.11.9", "torch": "2.14.1", "numpy": "2.3", "device": "2 CPU cores"}
    monkeypatch.setattr(about, "provenance", lambda: now)
    assert other_versions(now) == other_versions({}) == ""
    before = {"code": "a", "python": "3.11.9", "torch": "2.13.0", "timm": "1", "device": "NVIDIA H200"}
    assert other_versions(before) == "torch 2.13.0 -> 2.14.1"
