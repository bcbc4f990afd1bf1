import re
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as command
from benchmarks import table
from benchmarks.table import HEADER, Row
from train.results import read_rows


def test_a_row_reads_as_its_header_says():
    row = Row("sweep", ours=0.02, theirs=4.0, same_answer=True)
    assert str(row) == "sweep | 0.02 s | 4 s | 200x | yes"
    assert str(Row("memory", 100, 100, False, "MB")) == "memory | 100 MB | 100 MB | 1x | NO"
    assert len(HEADER.split("|")) == len(str(row).split("|"))


def test_the_shortest_run_counts(monkeypatch):
    clock = iter([0.0, 3.0, 10.0, 11.0])
    monkeypatch.setattr(table, "perf_counter", lambda: next(clock))
    results = iter("ab")
    assert table.seconds_of(lambda: next(results), repeats=2) == (1.0, "b")


@pytest.mark.parametrize("same_answer", [True, False])
def test_the_command_fails_where_answers_differ(monkeypatch, capsys, same_answer):
    modules = {"benchmarks.threshold_sweep": SimpleNamespace(rows=lambda: [Row("sweep", 1, 2, same_answer)])}
    monkeypatch.setattr(command, "import_module", modules.__getitem__)
    assert command.main(["threshold_sweep"]) == (not same_answer)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == HEADER
    assert re.fullmatch(r"sweep \| 1 s \| 2 s \| 2x \| (yes|NO)", printed[1])


def test_rows_are_kept_among_the_results(monkeypatch, tmp_path):
    rows = [Row("sweep", 1, 2, True), Row("memory", 3, 6, True, "MB")]
    monkeypatch.setattr(command, "import_module", lambda _: SimpleNamespace(rows=lambda: rows))
    path = tmp_path / "results.json"
    assert command.main(["threshold_sweep", "--results", str(path)]) == 0
    kept = [(row["benchmark"], row["ours"], row["ratio"], row["unit"]) for row in read_rows(path)]
    assert kept == [("sweep", 1, 2, "s"), ("memory", 3, 2, "MB")]
    assert "| memory | 3 MB | 6 MB | 2x | yes | " in path.with_suffix(".md").read_text()


def test_an_unknown_name_lists_the_known(capsys):
    with pytest.raises(SystemExit):
        command.main(["guesswork"])
    assert "no benchmark 'guesswork'; there are threshold_sweep" in capsys.readouterr().err
