import dataclasses

import numpy as np
import pytest

from orandnet_core.datasets import folder
from orandnet_core.datasets.check import check
from orandnet_core.datasets.check_file import read_report, write_report
from orandnet_core.datasets.problems import Problem, ProblemLog
from orandnet_core.errors import StoreError


def test_a_report_comes_back_as_it_was(own_folder, tmp_path):
    (own_folder / "images" / "stray.jpg").write_bytes(b"no picture")
    report = check(folder(own_folder))
    assert len(report.problems) > 0
    write_report(tmp_path / "kept.json", report)
    kept = read_report(tmp_path / "kept.json")
    assert list(kept.problems) == list(report.problems)
    assert kept.problems.counts == report.problems.counts
    for one, other in zip(kept.splits, report.splits, strict=True):
        np.testing.assert_array_equal(one.images_by_class, other.images_by_class)
        assert dataclasses.replace(one, images_by_class=None) == dataclasses.replace(
            other, images_by_class=None
        )
    plain = ("name", "root", "class_names", "images", "usable", "unlisted", "seconds")
    assert [getattr(kept, name) for name in plain] == [getattr(report, name) for name in plain]


def test_findings_that_were_only_counted_stay_counted():
    log = ProblemLog(most_listed=2)
    log.extend(Problem("damaged", f"{n}.jpg", "cut short", "copy it again", n % 2 == 0) for n in range(10))
    kept = ProblemLog.from_dict(log.as_dict())
    assert (len(kept), kept.error_count, kept.counts) == (10, 5, log.counts)
    assert list(kept) == list(log)


@pytest.mark.parametrize("content", [None, "[", "[]", '{"name": 1}'])
def test_what_is_no_report_is_said(tmp_path, content):
    if content is not None:
        (tmp_path / "kept.json").write_text(content)
    with pytest.raises(StoreError, match="no report of a check"):
        read_report(tmp_path / "kept.json")
