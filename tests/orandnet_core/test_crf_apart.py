"""The CRF in a process of its own: the same answer, errors with words, and this process goes on meanwhile."""

import sys
import threading
import time

import numpy as np
import pytest

from orandnet_core.crf import IRN, crf_labels
from orandnet_core.crf_apart import crf_labels_apart
from orandnet_core.errors import ConfigError, OrandnetError

pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")

CLASS_IDS = np.array([2, 5])


def photo_and_maps(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    return image, rng.choice(np.array([0, 2, 5, 255], np.uint8), (2, height, width))


def test_the_answer_is_that_of_this_process():
    image, maps = photo_and_maps(20, 31)
    for label_map in (maps, maps[0]):
        found = crf_labels_apart(image, label_map, CLASS_IDS)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, crf_labels(image, label_map, CLASS_IDS, IRN))


def test_other_threads_go_on_while_it_works():
    image, maps = photo_and_maps(150, 200)
    done, longest = threading.Event(), [0.0]

    def tick() -> None:
        last = time.monotonic()
        while not done.is_set():
            time.sleep(0.001)
            longest[0], last = max(longest[0], time.monotonic() - last), time.monotonic()

    def longest_wait(work) -> float:
        done.clear()
        longest[0] = 0.0
        thread = threading.Thread(target=tick)
        thread.start()
        work(image, maps, CLASS_IDS)
        done.set()
        thread.join()
        return longest[0]

    # The busiest machine stalls threads as well: so the one is told from the other, not from a clock.
    assert min(longest_wait(crf_labels_apart) for _ in range(2)) < longest_wait(crf_labels) / 2


def test_what_goes_wrong_there_is_said_here():
    image, maps = photo_and_maps(8, 9)
    with pytest.raises(OrandnetError, match=r"ended with code 1: .*label 5; with class ids \[2\]"):
        crf_labels_apart(image, maps, CLASS_IDS[:1])


def test_without_the_package_no_process_is_started(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    with pytest.raises(ConfigError, match="pip install pydensecrf2"):
        crf_labels_apart(*photo_and_maps(8, 9), CLASS_IDS)
