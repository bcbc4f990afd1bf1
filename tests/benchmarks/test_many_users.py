import pytest

from benchmarks import many_users

pytestmark = pytest.mark.slow


def test_users_get_their_own(monkeypatch):
    for name, value in {"USERS": 2, "LASTS_S": 2.0, "EVERY_S": 0.5, "IMAGES": 8}.items():
        monkeypatch.setattr(many_users, name, value)
    (row,) = many_users.rows()
    assert row.same_answer
    assert row.name.startswith("2 users at once")
    assert (row.ours > 0, row.theirs) == (True, 0.5)


def test_users_run_under_a_loop_of_the_callers():
    async def answered() -> list:
        return []

    async def caller() -> list:
        return many_users.in_a_loop_of_its_own(answered())

    # Not asyncio.run: a browser test before this one may have left a loop running in this thread.
    assert many_users.in_a_loop_of_its_own(caller()) == []


def test_the_percentile_is_of_all_answers():
    assert many_users.percentile_95([float(n) for n in range(101)]) == 95
