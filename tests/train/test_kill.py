"""A training that finds the disk full, then is killed at random moments again and again, ends with the
weights of one that went through."""

import subprocess
import sys
from pathlib import Path

from train.workspace import ROOT

# Loads torch once and forks a process for each try, before torch has done anything.
KILLER = """
import hashlib, os, random, resource, signal, sys, time, warnings
from pathlib import Path

root, folder = Path(sys.argv[1]), Path(sys.argv[2])
sys.path[:0] = [str(root), str(root / "tests" / "train")]
warnings.simplefilter("ignore", DeprecationWarning)  # that of forking
import conftest
import train.loop
from orandnet_core.datasets import voc12
from orandnet_core.errors import CheckpointError
from train.classify import classify, classifier_path
from train.config import override

train.loop.CHECKPOINT_EVERY_S = 0.0
root = conftest.write_squares(folder / "squares")
squares = voc12(root, name="squares", class_names=tuple(conftest.COLOURS))
recipe = override(conftest.make_tiny_recipe(), {"vit.epochs": 12})


def begin(run_dir, most_bytes=resource.RLIM_INFINITY):
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        try:
            classify(recipe, "vit", squares, run_dir)
        except CheckpointError as error:
            print(error, flush=True)
            os._exit(2)
        os._exit(0)
    return pid


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def sha256(run_dir):
    return hashlib.sha256(classifier_path(run_dir, "vit").read_bytes()).hexdigest()


began = time.monotonic()
assert ended(begin(folder / "whole")) == 0
seconds = time.monotonic() - began
assert ended(begin(folder / "cut", most_bytes=100_000)) == 2  # no room for a checkpoint
assert not list((folder / "cut").rglob("*.part"))
moments = random.Random(int(sys.argv[3]))
killed = 0
while killed < 10:
    pid = begin(folder / "cut")
    time.sleep(moments.uniform(0.02, 0.3) * seconds)
    os.kill(pid, signal.SIGKILL)
    if ended(pid) == -signal.SIGKILL:
        killed += 1
    else:  # it got through: once more from the start, for the kills that are left
        assert sha256(folder / "cut") == sha256(folder / "whole")
        os.rename(folder / "cut", folder / f"through-{killed}")
assert ended(begin(folder / "cut")) == 0
assert sha256(folder / "cut") == sha256(folder / "whole")
print(f"killed {killed} times, {time.monotonic() - began:.1f} s")
"""


def test_a_full_disk_and_ten_kills_at_random_moments_change_no_weight(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(ROOT), str(tmp_path), "0"],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "killed 10 times" in done.stdout
    assert "checkpoint of step 1 could not be written" in done.stdout
    assert "Free some disk space and resume" in done.stdout
