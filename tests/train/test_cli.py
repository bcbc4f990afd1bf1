"""`python -m train`: what it says, what it exits with, and what it does not load."""

import importlib
import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

import train.__main__ as cli
from orandnet_core.errors import DataError
from tests.conftest import until
from train import jobs, locks
from train.interruption import Interrupted
from train.workspace import ROOT, run_dir


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path))
    return tmp_path


@pytest.fixture
def command(monkeypatch):
    """A command `probe` whose main is set by the test."""
    module = SimpleNamespace(add_parser=lambda subparsers: subparsers.add_parser("probe"))
    monkeypatch.setitem(cli.COMMANDS, "probe", ("tests.probe", "for this test"))
    monkeypatch.setitem(sys.modules, "tests.probe", module)
    return module


def raising(error: BaseException):
    def main(args):
        raise error

    return main


@pytest.mark.parametrize(("name", "module"), [(name, entry[0]) for name, entry in cli.COMMANDS.items()])
def test_every_command_is_there_and_has_a_help(name, module, capsys):
    assert callable(importlib.import_module(module).main)
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert f"python -m train {name}" in capsys.readouterr().out


def test_help_names_every_command_and_loads_none_of_them():
    script = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'numpy', 'cv2']))\n"
        "from train.__main__ import main; main(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize("words", [[], ["no-such-command"], ["--no-such-option"]])
def test_a_wrong_command_line_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert "usage: python -m train" in capsys.readouterr().err


def test_the_exit_code_is_the_commands(command):
    command.main = lambda args: 7
    assert cli.main(["probe"]) == 7


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("x.jpg: no such file"), 2, "error: x.jpg: no such file\n"),
        (Interrupted("stopped after step 6, resumable"), 143, "stopped after step 6, resumable\n"),
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C\n"),
        (
            OSError(28, "No space left on device", "/runs/x/result.json"),
            2,
            "error: No space left on device: /runs/x/result.json. Free some disk space and run the same "
            "command again: what is finished is kept, and training goes on from its last checkpoint\n",
        ),
        (
            RuntimeError("nll_loss2d does not have a deterministic implementation, but you set ..."),
            2,
            "error: --deterministic: nll_loss2d gives other numbers each time on this GPU: run the same "
            "command without it, or change the setting that needs this operation\n",
        ),
    ],
)
def test_what_is_foreseen_is_one_line(command, capsys, error, code, said):
    command.main = raising(error)
    assert cli.main(["probe"]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", said)


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError(5, "Input/output error"), RuntimeError("x")])
def test_what_is_not_foreseen_keeps_its_traceback(command, error):
    command.main = raising(error)
    with pytest.raises(type(error)):
        cli.main(["probe"])


def test_a_closed_pipe_is_no_traceback(workspace):
    for number in range(2000):
        run_dir(f"run-with-a-long-name-so-that-the-pipe-fills-{number}").mkdir(parents=True)
    command = f"{sys.executable} -m train jobs list | head -n 1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_ctrl_c_in_a_real_process(workspace):
    script = (
        "import os, signal, sys, train.__main__ as cli, train.jobs_cli as j\n"
        # A process that a shell started in the background ignores Ctrl-C: not so here.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "j.main = lambda args: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(cli.main(['jobs', 'list']))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, "stopped by Ctrl-C\n")


def test_jobs_list_tells_every_run(workspace, capsys):
    assert cli.main(["jobs", "list"]) == 0
    assert "no runs yet" in capsys.readouterr().out
    run_dir("by-hand").mkdir(parents=True)
    row = {"time": 1.0, "stage": "cams-cnn", "done": 5, "total": 20, "rate": 2.0, "eta_s": 7.5}
    (run_dir("by-hand") / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    run_dir("dead").mkdir()
    jobs.write_json(run_dir("dead") / "job.json", {"argv": ["true"], "device": "cpu", "grace_s": 1})
    assert cli.main(["jobs", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "by-hand  run from a shell; cams-cnn 5/20 (25%)" in lines
    assert any(line.startswith("dead     interrupted") for line in lines)


def test_jobs_resume_log_and_cancel(workspace, capsys):
    folder = run_dir("a")
    folder.mkdir(parents=True)
    loop = ["/bin/sh", "-c", "echo ready; while :; do sleep 0.05; done"]
    jobs.write_json(folder / "job.json", {"argv": loop, "device": "cpu", "grace_s": 5})
    assert cli.main(["jobs", "resume", "a"]) == 0
    assert cli.main(["jobs", "cancel", "a", "--at-once"]) == 0
    assert capsys.readouterr().out.splitlines()[1] in ("a: cancelling", "a: cancelled")
    until(lambda: not locks.is_held(folder / "lock"))
    (folder / "log.txt").write_text("one\ntwo\nthree\n")
    assert cli.main(["jobs", "log", "a", "--lines", "2"]) == 0
    assert capsys.readouterr().out == "two\nthree\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["jobs", "cancel", "../x"], "run name '../x'"),
        (["jobs", "resume", "absent"], "no job here"),
        (["jobs", "cancel", "absent"], "no job here"),
    ],
)
def test_a_run_that_is_not_there(workspace, capsys, words, said):
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err
