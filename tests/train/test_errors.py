"""The errors command: rows by the core's own slices, pictures, and a page of results."""

import numpy as np
import pytest
from PIL import Image

from orandnet_core.errors import ConfigError
from orandnet_core.metrics import metrics_of
from orandnet_core.metrics.confusion import confusion
from orandnet_core.mining import FACETS, KINDS, ranked
from orandnet_core.pseudo_mask import pseudo_mask
from orandnet_core.store import CamStore
from train.errors import error_rows, mine_run, write_pictures
from train.map_sources import map_source
from train.results import read_rows, write_rows
from train.results_page import markdown
from train.workspace import cams_dir


@pytest.fixture
def run_dir(squares, tmp_path, monkeypatch):
    """A run whose CAMs are the truth under noise, with a further store."""
    monkeypatch.setenv("ORANDNET_WORKSPACE", str(tmp_path / "workspace"))
    rng = np.random.default_rng(0)
    for source, noise in (("cnn", 0.6), ("vit", 0.8), ("refine", 0.4)):
        store = CamStore(cams_dir(tmp_path / "run", source))
        store.write_card({"source": source, "dataset": squares.name})
        for image_id in squares.image_ids("train"):
            mask, class_ids = squares.mask(image_id), squares.class_ids(image_id)
            truth = (mask == class_ids[:, None, None]).astype(np.float32)
            cam = (1 - noise) * truth + noise * rng.random(truth.shape, np.float32)
            store.write(image_id, cam, class_ids, mask.shape)
    return tmp_path / "run"


def test_rows_are_the_cores_slices_at_each_sources_own_threshold(squares, run_dir):
    mined = mine_run(squares, "train", run_dir, ("cnn", "and", "refine"), "oracle")
    rows = error_rows(mined, squares.class_names, "precision", 2)
    assert {row["source"] for row in rows} == {"cnn", "and", "refine"}
    for name, found in mined.items():
        source = map_source(run_dir, name)
        masks = (
            (squares.mask(i), pseudo_mask(*source.cam_of(i), found.card.threshold))
            for i in squares.image_ids("train")
        )
        expected = metrics_of(sum(confusion(*both, squares.num_classes) for both in masks))
        mine = [row for row in rows if row["source"] == name]
        assert [row["miou"] for row in mine] == pytest.approx([float(expected.mean_iou)] * len(mine))
        kinds = [row for row in mine if row["facet"] == "kind"]
        assert [row["pixels"] for row in kinds] == [
            each.pixels for each in ranked(found, FACETS["kind"], "precision")
        ]
        assert {row["kind"] for row in kinds} <= {kind.name for kind in KINDS.values()}
        assert max(row["rank"] for row in mine if row["facet"] != "kind") <= 2
        assert {row["threshold_rule"] for row in mine} == {"oracle"}


def test_pictures_are_sheets_of_the_dearest_slices_of_different_classes(squares, run_dir, tmp_path):
    mined = mine_run(squares, "train", run_dir, ("cnn", "vit"), "0.3")
    written = write_pictures(squares, run_dir, mined, "precision", 2, tmp_path / "pictures")
    assert [path.name for path, _ in written] == ["errors-1.png", "errors-2.png"][: len(written)]
    assert written
    for path, what in written:
        assert "points of precision" in what
        with Image.open(path) as sheet:
            assert sheet.height >= 240


def test_slices_and_scores_share_a_page_and_a_second_pass_replaces_the_first(squares, run_dir, tmp_path):
    mined = mine_run(squares, "train", run_dir, ("cnn",), "oracle")
    rows = error_rows(mined, squares.class_names, "iou", 5)
    for row in rows:
        row |= {"recipe": "tiny", "command": "python -m train errors"}
    path = tmp_path / "results.json"
    write_rows(path, rows)
    write_rows(path, rows[:3])
    assert [row["slice_key"] for row in read_rows(path)] == [row["slice_key"] for row in rows[:3]]
    page = path.with_suffix(".md").read_text()
    assert page == markdown(read_rows(path))
    assert f"| {rows[0]['slice']} | {100 * rows[0]['precision_gain']:+.2f} |" in page


def test_what_is_not_there_is_named(squares, run_dir):
    with pytest.raises(ConfigError, match="'crf'.*has CAMs of cnn, refine, vit"):
        mine_run(squares, "train", run_dir, ("crf",), "oracle")
    with pytest.raises(ConfigError, match="--at 'best'"):
        mine_run(squares, "train", run_dir, ("cnn",), "best")
