"""By which code, packages and device something is made: what a run keeps of each stage beside its figures."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from train.workspace import ROOT

# Those whose numbers go into what a stage makes.
PACKAGES = (
    "torch", "torchvision", "timm", "segmentation-models-pytorch", "numpy", "opencv-python-headless",
    "pydensecrf2",
)  # fmt: skip
CODE, DEVICE, PYTHON = "code", "device", "python"


@cache
def provenance() -> dict[str, str]:
    """What works in this process.

    Returns:
        `code` (git's word for the checkout, with `-dirty` where files differ from it; absent where there
        is no repository), `python`, each of `PACKAGES` that is installed, and `device`.
    """
    revision = _revision()
    return {
        **({CODE: revision} if revision else {}),
        PYTHON: platform.python_version(),
        **{name: found for name in PACKAGES if (found := _version(name))},
        DEVICE: device_words(),
    }


def device_words() -> str:
    """What this process computes on, such as `NVIDIA H200` or `2 CPU cores`."""
    torch = sys.modules.get("torch")  # what did not load it computes on the CPU
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} CPU cores"


def other_versions(before: Mapping[str, str]) -> str:
    """Packages that are now of another version than in an earlier provenance, as a phrase; empty if none.

    Code has its own place in a stage's key, and a stage may go on upon another device.
    """
    now = provenance()
    return ", ".join(
        f"{name} {before[name]} -> {now[name]}"
        for name in (PYTHON, *PACKAGES)
        if name in before and name in now and before[name] != now[name]
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _revision() -> str:
    if not (ROOT / ".git").exists():
        return ""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--tags"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or a checkout of another user
        return ""
