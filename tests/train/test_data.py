"""`python -m train data`: what it prints and how it exits."""

import argparse
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from orandnet_core.datasets import voc_download
from orandnet_core.datasets.check import check
from orandnet_core.errors import DataError
from tests.conftest import ROOT
from train import data
from train.data import report_dict, report_lines


@pytest.fixture
def own(tmp_path):
    """Forty images of ant or bee, all with labels, none with a mask."""
    root = tmp_path / "own"
    (root / "images").mkdir(parents=True)
    rows = ["image_id,classes,split"]
    for number in range(40):
        Image.new("RGB", (6, 4), (number, 0, 0)).save(root / "images" / f"n{number:02d}.jpg")
        rows.append(f"n{number:02d},{'ant' if number % 4 else 'bee'},{'train' if number < 30 else 'val'}")
    (root / "labels.csv").write_text("\n".join(rows))
    return root


@pytest.fixture
def run():
    def run_command(*words):
        parser = argparse.ArgumentParser()
        data.add_parser(parser.add_subparsers())
        return data.main(parser.parse_args(["data", *map(str, words)]))

    return run_command


def test_a_sound_data_set_gives_a_table_and_exit_code_0(own, run, capsys):
    assert run("check", own) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"own  {own}"
    assert out[2:5] == [
        "split  images  usable  masks",
        "train      30      30      0",
        "val        10      10      0",
    ]
    assert out[6:9] == [
        "images a class  train  val",
        "ant                22    8",
        "bee                 8    2",
    ]
    assert "note  image without mask: 40" in out
    assert "    and 35 more (--all lists them)" in out
    assert out[-1].startswith("40 of 40 images usable; 0 errors, 40 notes; ")


def test_all_lists_all(own, run, capsys):
    run("check", own, "--all")
    out = capsys.readouterr().out
    assert out.count("has no mask, so it is") == 40
    assert "more" not in out


def test_errors_give_exit_code_1_and_come_first(own, run, capsys):
    (own / "images" / "n03.jpg").write_text("no image")
    mask = np.full((4, 6), 7, np.uint8)
    (own / "masks").mkdir()
    Image.fromarray(mask).save(own / "masks" / "n05.png")
    assert run("check", own) == 1
    out = capsys.readouterr().out
    assert (
        out.index("ERROR  image unreadable: 1")
        < out.index("ERROR  values out of range: 1")
        < out.index("note  ")
    )
    assert (
        "    images/n03.jpg: not an image, whatever its name says\n        -> copy or download it again"
        in out
    )
    assert "39 of 40 images usable; 2 errors, 38 notes" not in out  # n03 has no mask either
    assert "39 of 40 images usable; 2 errors, 39 notes" in out


def test_json(own, run, capsys):
    (own / "images" / "n03.jpg").unlink()
    assert run("check", own, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["images"], report["usable"], report["errors"], report["notes"]) == (40, 39, 1, 40)
    assert report["splits"][1] == {
        "name": "val", "images": 10, "usable": 10, "masks": 0, "images_by_class": {"ant": 8, "bee": 2},
    }  # fmt: skip
    assert report["problems"][0]["kind"] == "image missing"
    assert report["problem_counts"] == {"image missing": 1, "image without mask": 40}


def test_what_is_not_kept_is_still_counted(own):
    report = check(own)
    report.problems._most_listed = 0
    lines = report_lines(report, everything=True)
    assert "note  image without mask: 40" in lines
    assert report_dict(report)["notes"] == 40


def test_no_data_set_is_an_error_of_the_command(tmp_path, run):
    with pytest.raises(DataError, match="no layout that is known"):
        run("check", tmp_path)
    with pytest.raises(DataError, match="no VOC devkit"):
        run("check", tmp_path, "--kind", "voc12")


@pytest.mark.parametrize(
    "words", [["check"], ["check", "x", "--workers", "0"], ["scenes", "x", "--images", "-1"], []]
)
def test_wrong_words_exit_with_usage(run, words, capsys):
    with pytest.raises(SystemExit) as exited:
        run(*words)
    assert exited.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_scenes(tmp_path, run, capsys):
    assert run("scenes", tmp_path / "s", "--images", 4, "--seed", 2, "--workers", 1) == 0
    assert "is ready" in capsys.readouterr().out
    assert run("check", tmp_path / "s") == 0


def test_download_hands_on_what_was_asked(tmp_path, run, monkeypatch, capsys):
    asked = []

    def pretend(target, progress, *, sbd, keep_archives):
        asked.append((target, sbd, keep_archives))
        for done in (1, 5, 10):
            progress("voc.tar", done, 10, "B")
        progress("unpacking", 3, 3, "file")
        return target / "VOC2012"

    monkeypatch.setattr(data, "download_voc12", pretend)
    assert run("download", tmp_path) == 0
    assert run("download", tmp_path, "--no-sbd", "--keep-archives") == 0
    assert asked == [(tmp_path, voc_download.SBD, False), (tmp_path, None, True)]
    out, err = capsys.readouterr()
    assert f"python -m train data check {tmp_path / 'VOC2012'}" in out
    assert "voc.tar: 100%" in err
    assert "unpacking: 100%" in err


def test_from_the_shell(own):
    (own / "images" / "n00.jpg").write_text("no image")
    done = subprocess.run(
        [sys.executable, "-m", "train", "data", "check", str(own)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "ERROR  image unreadable: 1" in done.stdout
