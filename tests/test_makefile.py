"""The two commands: what they install, when, and the one line they say where they cannot.

A stand-in Python is put on PATH: it "makes" an environment with a copy of itself and notes every call,
so that the logic is tested without installing six gigabytes.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="make not found")

SHELL_TOOLS = ("sh", "cat", "cksum", "cp", "mkdir", "rm", "touch", "tr")

STAND_IN = """#!/bin/sh
echo "$*" >> {log}
case "$1 $2" in
  "-c "*ensurepip*) [ {has_ensurepip} = True ] && echo "$0" ;;
  "-c "*) echo "$0" ;;
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") if [ -e pip-fails ]; then exit 1; fi ;;
esac
"""


class Checkout:
    """A copy of what `make` reads, and a PATH that holds only what is put there."""

    def __init__(self, folder: Path):
        self.folder, self.bin, self.log = folder / "repo", folder / "bin", folder / "calls.txt"
        (self.folder / "tests").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("Makefile", "requirements.txt", "tests/requirements.txt"):
            shutil.copy(ROOT / name, self.folder / name)
        for tool in SHELL_TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))

    def with_python(self, name: str = "python3", has_ensurepip: bool = True) -> "Checkout":
        stand_in = self.bin / name
        stand_in.write_text(STAND_IN.format(log=self.log, has_ensurepip=has_ensurepip))
        stand_in.chmod(0o755)
        return self

    def with_compiler(self) -> "Checkout":
        (self.bin / "c++").symlink_to(shutil.which("true"))
        return self

    def make(self, *words: str) -> subprocess.CompletedProcess:
        env = {"PATH": str(self.bin), "HOME": os.environ.get("HOME", "/")}
        return subprocess.run(
            [MAKE, *words], cwd=self.folder, env=env, capture_output=True, text=True, timeout=60
        )

    def calls(self) -> list[str]:
        """What the stand-in was asked since the last time, without the questions about itself."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in lines if line.startswith(("-m", "app.py"))]


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def machine(checkout) -> Checkout:
    return checkout.with_python().with_compiler()


PIP = "-m pip install --disable-pip-version-check"
PIP_APP = f"{PIP} -r requirements.txt"
PIP_TEST = f"{PIP} -q -r requirements.txt -r tests/requirements.txt"


def test_app_makes_an_environment_installs_and_opens(machine):
    assert machine.make("app").returncode == 0
    calls = machine.calls()
    assert calls[:2] == ["-m venv .venv", PIP_APP]
    assert calls[-1] == "app.py"


@pytest.mark.parametrize("target", ["app", "test", "bench", "lint"])
def test_the_second_time_installs_nothing(machine, target):
    assert machine.make(target).returncode == 0
    machine.calls()
    assert machine.make(target).returncode == 0
    assert [call for call in machine.calls() if "pip" in call or "venv" in call] == []


def test_test_hands_its_words_to_pytest(machine):
    assert machine.make("test", "PYTEST=-k jobs -x").returncode == 0
    assert machine.calls()[-2:] == [PIP_TEST, "-m pytest -k jobs -x"]


def test_a_changed_requirement_is_installed_and_a_touched_file_is_not(machine):
    machine.make("test")
    machine.calls()
    requirements = machine.folder / "requirements.txt"
    requirements.touch()
    machine.make("test")
    assert machine.calls() == ["-m pytest"]
    requirements.write_text(requirements.read_text() + "one-more==1\n")
    machine.make("test")
    assert machine.calls() == [PIP_APP, PIP_TEST, "-m pytest"]


def test_a_failed_install_is_tried_again_in_the_same_environment(machine):
    (machine.folder / "pip-fails").touch()
    assert machine.make("app").returncode != 0
    assert machine.calls() == ["-m venv .venv", PIP_APP]
    (machine.folder / "pip-fails").unlink()
    assert machine.make("app").returncode == 0
    assert machine.calls()[0] == PIP_APP


@pytest.mark.parametrize("remains", [["bin/python"], ["bin/python", "installing"], []])
def test_a_half_made_environment_is_made_anew(machine, remains):
    for name in remains:
        path = machine.folder / ".venv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\nexit 1\n")
        path.chmod(0o755)
    (machine.folder / ".venv").mkdir(exist_ok=True)
    assert machine.make("app").returncode == 0
    assert machine.calls()[:2] == ["-m venv .venv", PIP_APP]
    assert not (machine.folder / ".venv" / "installing").exists()


def test_the_real_python_is_old_enough_and_tells_its_base(checkout):
    (checkout.bin / "python").symlink_to(sys.executable)
    done = checkout.with_compiler().make("-n", "app")
    (base,) = re.findall(r'"(\S+)" -m venv \.venv', done.stdout)
    assert Path(base).resolve() == Path(sys.executable).resolve()


def test_a_named_python_is_taken(machine):
    machine.with_python("my-python")
    (machine.bin / "python3").write_text("#!/bin/sh\nexit 1\n")
    assert machine.make("app").returncode != 0
    assert machine.make("app", "PYTHON=my-python").returncode == 0


def test_a_shim_of_an_absent_version_is_passed_over(machine):
    shim = machine.bin / "python3.12"
    shim.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    assert machine.make("app").returncode == 0


def _only_line(done: subprocess.CompletedProcess) -> str:
    assert done.returncode != 0
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_no_python_gives_one_line(checkout):
    line = _only_line(checkout.with_compiler().make("app"))
    assert "Python 3.11 or newer not found" in line
    assert "apt install python3" in line


def test_no_compiler_gives_one_line(checkout):
    line = _only_line(checkout.with_python().make("app"))
    assert "C++ compiler not found" in line
    assert "build-essential" in line


def test_no_venv_module_gives_one_line(checkout):
    line = _only_line(checkout.with_python(has_ensurepip=False).with_compiler().make("app"))
    assert "cannot make virtual environments" in line
    assert "python3-venv" in line


def test_an_installed_checkout_needs_no_compiler(machine):
    machine.make("app")
    (machine.bin / "c++").unlink()
    assert machine.make("app").returncode == 0


def test_the_app_asks_nothing_before_its_first_page(tmp_path):
    """Streamlit asks a person at a terminal for an e-mail address, unless it is told not to."""
    # A terminal is what it looks for, and a home where nobody has answered before.
    controller, terminal = os.openpty()
    command = [sys.executable, "app.py", "--server.port", "0"]
    env = os.environ | {"HOME": str(tmp_path), "ORANDNET_WORKSPACE": str(tmp_path), "BROWSER": "true"}
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    ) as app:
        os.close(terminal)
        said = ""
        try:
            while "URL:" not in said and "mail" not in said:
                said += os.read(controller, 4096).decode()
        finally:
            app.kill()
            os.close(controller)
    assert "mail" not in said
