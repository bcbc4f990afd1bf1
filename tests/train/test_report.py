"""The report: one file that loads nothing, with the core's numbers, and tables that can be read back."""

import io
import re

import numpy as np
import pyarrow.parquet
import pytest

from orandnet_core.metrics import THRESHOLDS, bootstrap
from orandnet_core.store import CamStore
from train.errors import choice_at, error_rows, mine_run
from train.map_sources import scores_of
from train.report import Entry, report_html, report_tables
from train.workspace import cams_dir


@pytest.fixture
def run_dir(squares, tmp_path, monkeypatch):
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "workspace"))
    rng = np.random.default_rng(0)
    for source, noise in (("cnn", 0.6), ("vit", 0.8)):
        store = CamStore(cams_dir(tmp_path / "run", source))
        store.write_card({"source": source, "dataset": squares.name})
        for image_id in squares.image_ids("train"):
            mask, class_ids = squares.mask(image_id), squares.class_ids(image_id)
            truth = (mask == class_ids[:, None, None]).astype(np.float32)
            cam = (1 - noise) * truth + noise * rng.random(truth.shape, np.float32)
            store.write(image_id, cam, class_ids, mask.shape)
    return tmp_path / "run"


@pytest.fixture
def entries(squares, run_dir) -> list[Entry]:
    found = []
    for name, scores in scores_of(squares, "train", run_dir, ("cnn", "vit", "and")).items():
        choice = choice_at("oracle", scores)
        found.append(Entry(name, scores, choice, *scores.at(choice), bootstrap(scores.counts)))
    return found


def test_one_file_loads_nothing_and_has_the_numbers(squares, run_dir, entries):
    slices = error_rows(
        mine_run(squares, "train", run_dir, ("cnn",), "oracle"), squares.class_names, "iou", 3
    )
    page = report_html(entries, squares.class_names, slices)
    assert not re.search(r"<(script|link|img|iframe)|url\(\s*['\"]?(?!#)|\s(src|href)=\"(?!#)", page)
    assert page.count("<svg") == 1
    for entry in entries:
        interval = entry.resampled.interval("iou", entry.choice.value)
        assert f"{100 * interval.value:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]" in page
        assert entry.card.source_hash in page
        assert f"{entry.choice.value:.3f}" in page
    assert "Differences to cnn" in page
    assert "oracle" in page
    assert slices[0]["slice"] in page
    assert [page.count(f'<th colspan="3">{entry.label}</th>') for entry in entries] == [1] * len(entries)
    assert page.count("<table>") == page.count("</table>") >= 5


def test_names_are_escaped(squares, entries):
    first = entries[0]
    odd = Entry("<b>&", first.scores, first.choice, first.metrics, first.card, first.resampled)
    page = report_html([odd], squares.class_names)
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;" in page


def test_tables_are_read_back(squares, entries):
    tables = report_tables(entries, squares.class_names)
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(tables["scores"], buffer)
    read = pyarrow.parquet.read_table(buffer).to_pylist()
    for row, entry in zip(read, entries, strict=True):
        assert row["iou"] == pytest.approx(float(entry.metrics.mean_iou))
        assert {name: row[name] for name in entry.card.as_dict()} == entry.card.as_dict()
    assert tables["curves"].num_rows == len(entries) * len(THRESHOLDS)
    assert tables["classes"].num_rows == len(entries) * squares.num_classes
