"""Processes that share items: every item once, whoever dies, and none left behind however it ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import psutil
import pytest

import train.pool as pool
from orandnet_core.errors import ConfigError, StoreError
from tests.conftest import until
from train.per_image import for_each_image
from train.pool import Died, in_processes, process_count
from train.workspace import ROOT


# What processes work with must be found by name in a fresh interpreter: so no closures.
def squared(number: int) -> int:
    return number * number


def told(folder: Path, item: float) -> int:
    """Sleep for `item` seconds; a file tells of the beginning and the end."""
    (folder / f"{item}-began").touch()
    time.sleep(item)
    (folder / f"{item}-done").touch()
    return os.getpid()


def killed_by_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def made(folder: Path, image_id: str) -> None:
    """An image's output, or what goes wrong with it."""
    if image_id == "bad":
        raise ValueError("no image")
    if image_id == "killed":
        os._exit(7)
    if image_id == "settings":
        raise ConfigError("wrong settings")
    if image_id == "full":
        raise StoreError("disk is full")
    if image_id == "slow":
        time.sleep(0.3)
    (folder / image_id).write_text(str(os.getpid()))


class NoStart:
    """Picklable, but no process can read it back."""

    def __reduce__(self):
        return (int, ("no number",))


def our_workers(process: psutil.Process) -> list[psutil.Process]:
    """The processes of its pools; multiprocessing has one more, which watches over shared memory."""
    return [child for child in process.children() if any("spawn_main" in word for word in child.cmdline())]


@pytest.mark.parametrize("count", [0, 5])
def test_every_item_is_worked_on_once(count: int):
    assert sorted(in_processes(squared, range(count), 2)) == [(n, n * n) for n in range(count)]


def test_who_is_free_takes_the_next_and_results_come_as_they_finish(tmp_path: Path):
    items = [1.0, 0.01, 0.02, 0.03]
    results = list(in_processes(partial(told, tmp_path), items, 2))
    assert [item for item, _ in results][-1] == 1.0
    processes = dict(results)
    assert len(set(processes.values())) == 2
    assert processes[0.01] == processes[0.02] == processes[0.03] != os.getpid()


def test_a_process_that_is_killed_takes_one_item_with_it():
    results = dict(in_processes(killed_by_three, range(1, 8), 2))
    assert results.pop(3) == Died(-signal.SIGKILL)
    assert results == {number: number for number in (1, 2, 4, 5, 6, 7)}
    assert "exit code -9 (-9: out of memory?)" in str(Died(-9))


def test_a_process_that_cannot_start_is_one_error(capfd):
    with pytest.raises(ConfigError, match=r"could not start \(exit code 1.*workers=1"):
        list(in_processes(NoStart(), range(100), 2))
    assert "no number" in capfd.readouterr().err


def test_who_stops_early_gets_the_items_in_hand_finished_and_no_process_stays(tmp_path: Path):
    with closing(in_processes(partial(told, tmp_path), [0.01, 0.2, 0.21, 0.22, 0.23, 0.24], 2)) as results:
        next(results)
    assert our_workers(psutil.Process()) == []
    began, done = (sorted(path.name.split("-")[0] for path in tmp_path.glob(f"*-{end}"))
                   for end in ("began", "done"))  # fmt: skip
    assert began == done
    assert 1 < len(done) < 6


def test_zero_workers_is_one_for_every_core_that_is_ours(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert process_count(3) == 3
    assert process_count(0) == 6
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # as torchrun says it
    assert process_count(0) == 1


SCRIPT = """
import signal, sys
from functools import partial
from pathlib import Path
from tests.train.test_pool import told
from train.pool import in_processes
from train.interruption import Interrupted

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    work = partial(told, Path(sys.argv[1]))
    try:
        for _ in in_processes(work, [0.5 + n / 1000 for n in range(40)], 2):
            pass
    except Interrupted as stop:
        print(stop)
    except KeyboardInterrupt:
        print("Ctrl-C")
"""


@pytest.fixture
def working(tmp_path: Path):
    """A process with two workers in the middle of their items, a group of its own as in a terminal."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    until(lambda: len(list(tmp_path.glob("*-began"))) >= 2)
    workers = our_workers(psutil.Process(process.pid))
    assert len(workers) == 2
    yield process, workers
    process.kill()
    process.communicate()
    for worker in workers:
        if worker.is_running():
            worker.kill()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGINT, "Ctrl-C\n"),
        (signal.SIGTERM, "stopped; what was finished is kept"),
    ],
)
def test_a_signal_to_all_of_them_ends_them_after_their_items(working, tmp_path: Path, number: int, said: str):
    process, workers = working
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert out.startswith(said)
    assert err == ""
    assert not any(worker.is_running() for worker in workers)
    names = {path.name.rsplit("-", 1)[0] for path in tmp_path.glob("*-*")}
    assert all((tmp_path / f"{name}-done").exists() for name in names)


def test_workers_end_after_their_item_when_the_first_process_is_killed(working, tmp_path: Path):
    process, workers = working
    process.kill()
    process.wait()
    until(lambda: not any(w.is_running() and w.status() != psutil.STATUS_ZOMBIE for w in workers), 20)
    began, done = (len(list(tmp_path.glob(f"*-{end}"))) for end in ("began", "done"))
    assert began == done < 10


def test_a_stage_with_workers_passes_over_bad_images_and_lost_processes(tmp_path: Path):
    (tmp_path / "kept").touch()
    image_ids = ["a", "bad", "slow", "kept", "killed", "b", "c", "d"]
    result = for_each_image(
        "stage",
        image_ids,
        is_done=lambda image_id: (tmp_path / image_id).exists(),
        make=partial(made, tmp_path),
        run_dir=tmp_path / "run",
        workers=2,
    )
    assert (result.made, result.kept) == (5, 1)
    assert result.reasons == {
        "bad": "ValueError: no image",
        "killed": "its process died with exit code 7 (-9: out of memory?)",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"a", "slow", "kept", "b", "c", "d", "run"}
    assert str(os.getpid()) not in {(tmp_path / name).read_text() for name in ("a", "slow", "b", "c", "d")}
    assert '"done": 8, "total": 8' in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1]


@pytest.mark.parametrize(
    ("image_id", "error", "words"),
    [("settings", ConfigError, "wrong settings"), ("full", StoreError, "disk is full")],
)
def test_what_no_image_would_survive_ends_the_stage(tmp_path: Path, image_id: str, error: type, words: str):
    image_ids = ["a", image_id, *map(str, range(2000))]
    with pytest.raises(error, match=words):
        for_each_image("stage", image_ids, is_done=lambda _: False, make=partial(made, tmp_path), workers=2)
    assert len(list(tmp_path.iterdir())) < 2000
    assert our_workers(psutil.Process()) == []


def test_few_images_start_no_process(tmp_path: Path):
    result = for_each_image("stage", ["a"], is_done=lambda _: False, make=partial(made, tmp_path), workers=0)
    assert result.made == 1
    assert (tmp_path / "a").read_text() == str(os.getpid())


def test_what_the_pool_waits_for_is_less_than_a_cancelled_job_gets():
    from train import jobs

    assert 2 * pool.GRACE_S < jobs.GRACE_S
