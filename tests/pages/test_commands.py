"""Commands that a page waits for: their end, their last word, and that they stop with whoever waits."""

import os
import sys
import time

import pytest

from orandnet_core.errors import JobError
from pages.components.commands import run_command


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_command_runs_to_its_end_in_an_environment_of_its_own(tmp_path):
    code = f"import os; open({str(tmp_path / 'said')!r}, 'w').write(os.environ['WORD'])"
    run_command(python(code), lambda: None, {"WORD": "hello"})
    assert (tmp_path / "said").read_text() == "hello"
    assert "WORD" not in os.environ


def test_a_failure_is_its_last_word():
    code = "import sys; print('noise'); print('error: no such file', file=sys.stderr); sys.exit(2)"
    with pytest.raises(JobError, match="^no such file$"):
        run_command(python(code), lambda: None)


def test_who_stops_waiting_stops_the_command(tmp_path):
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"

    def watch() -> None:
        if (tmp_path / "pid").exists():
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_command(python(code), watch)
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text() or "0") or 2**22, 0)
