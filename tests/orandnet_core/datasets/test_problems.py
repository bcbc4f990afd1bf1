"""Findings: all counted, the first of each kind kept."""

import pickle
import threading

from orandnet_core.datasets.problems import Problem, ProblemLog


def note(kind, file):
    return Problem(kind, file, "what", "remedy", is_error=False)


def test_errors_come_first_then_kinds_then_files():
    log = ProblemLog()
    log.extend([note("a", "2"), Problem("z", "1", "", ""), note("a", "1"), Problem("b", "9", "", "")])
    assert [(problem.kind, problem.file) for problem in log] == [
        ("b", "9"),
        ("z", "1"),
        ("a", "1"),
        ("a", "2"),
    ]
    assert log.counts == {"b": 1, "z": 1, "a": 2}
    assert (len(log), log.error_count, log.note_count) == (4, 2, 2)


def test_one_kind_can_be_error_and_note():
    log = ProblemLog()
    log.extend([note("a", "1"), Problem("a", "2", "", "")])
    assert log.counts == {"a": 2}
    assert [problem.is_error for problem in log] == [True, False]


def test_no_more_are_kept_than_asked_for_and_all_are_counted():
    log = ProblemLog(most_listed=3)
    log.extend(note("a", str(number)) for number in range(10))
    assert [problem.file for problem in log] == ["0", "1", "2"]
    assert len(log) == 10


def test_merging_keeps_the_counts_of_what_was_not_kept():
    full, empty = ProblemLog(most_listed=2), ProblemLog()
    full.extend(note("a", str(number)) for number in range(5))
    empty.add(note("a", "x"))
    empty.merge(full)
    assert empty.counts == {"a": 6}
    assert [problem.file for problem in empty] == ["0", "1", "x"]


def test_threads_lose_nothing():
    log = ProblemLog(most_listed=10)
    threads = [
        threading.Thread(target=lambda: [log.add(note("a", "f")) for _ in range(500)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(log) == 4000


def test_a_log_travels_to_other_processes():
    log = ProblemLog()
    log.add(note("a", "1"))
    copy = pickle.loads(pickle.dumps(log))
    copy.add(note("a", "2"))
    assert (len(copy), len(log)) == (2, 1)
