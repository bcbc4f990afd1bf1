"""The label CRF of one image in a process of its own.

`pydensecrf` holds the GIL while it works: in a server, everybody would wait for one image.
"""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np

from orandnet_core.crf import IRN, CrfPreset, crf_labels, crf_preset, require_crf
from orandnet_core.errors import OrandnetError

__all__ = ["crf_labels_apart"]


def crf_labels_apart(
    image: np.ndarray, label_map: np.ndarray, class_ids: np.ndarray, preset: CrfPreset = IRN
) -> np.ndarray:
    """`crf_labels`, for a preset of `PRESETS`, without holding up this process's other threads.

    Raises:
        ConfigError: `pydensecrf2` is not installed.
        OrandnetError: the process failed, as it does where memory runs out; the message has its last words.
    """
    require_crf()
    request = BytesIO()
    np.savez(request, image=image, label_map=label_map, class_ids=class_ids)
    done = subprocess.run(
        [sys.executable, "-m", "orandnet_core.crf_apart", preset.name],
        input=request.getbuffer(),
        capture_output=True,
        cwd=Path(__file__).parents[1],  # where `-m` finds the package, installed or not
    )
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["no words"]
        raise OrandnetError(f"the dense CRF's process ended with code {done.returncode}: {words[-1]}")
    return np.load(BytesIO(done.stdout), allow_pickle=False)


def _answer(preset_name: str) -> None:
    with np.load(BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as request:
        cleaned = crf_labels(
            request["image"], request["label_map"], request["class_ids"], crf_preset(preset_name)
        )
    np.save(sys.stdout.buffer, cleaned)


if __name__ == "__main__":
    _answer(sys.argv[1])
