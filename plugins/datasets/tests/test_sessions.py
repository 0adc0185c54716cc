from __future__ import annotations

import pytest

from rmtl_bench.contracts import DataError, UsageError
from rmtl_bench_datasets.sessions import add_sessions, add_splits, check_shares, cut_times, lay_out
from rmtl_bench_datasets.workspace import run, workspace

DAY = 24 * 60


@pytest.fixture
def con(tmp_path):
    with workspace(tmp_path) as connection:
        yield connection


@pytest.fixture
def rows(con, minute):
    def create(*users_and_minutes):
        """Create the table ``source`` of (user, minute), in this order."""
        run(con, "CREATE TABLE source (user_key BIGINT, time_ms BIGINT, tie BIGINT, day BIGINT)")
        for tie, (user, at) in enumerate(users_and_minutes):
            con.execute("INSERT INTO source VALUES (?, ?, ?, ?)", (user, minute(at), tie, at // DAY))

    return create


@pytest.fixture
def buckets(con):
    def of(sessions, gap_minutes=30.0):
        """Return the bucket of each row of ``source``, renumbered in order of appearance."""
        add_sessions(con, "source", "target", sessions, gap_minutes)
        found = [row[0] for row in run(con, "SELECT (user_key, bucket) FROM target ORDER BY tie")]
        return [found.index(bucket) for bucket in found]

    return of


def test_a_week_runs_from_monday_to_sunday_in_beijing(rows, buckets):
    rows((1, 0), (1, 7 * DAY - 1 / 60), (1, 7 * DAY), (1, 14 * DAY - 1))
    assert buckets("week") == [0, 0, 2, 2]


def test_a_day_is_what_the_log_says(rows, buckets):
    rows((1, 0), (1, DAY - 1), (1, DAY), (2, DAY))
    assert buckets("day") == [0, 0, 2, 3]


def test_all_rows_of_a_user_can_be_one_session(rows, buckets):
    rows((1, 0), (2, 1), (1, 20 * DAY))
    assert buckets("user") == [0, 1, 0]


def test_only_a_longer_pause_than_the_gap_ends_a_session(rows, buckets):
    rows((1, 0), (2, 20), (1, 30), (1, 60.001), (2, 100))
    assert buckets("gap") == [0, 1, 0, 3, 4]


def test_the_gap_is_a_parameter(rows, buckets):
    rows((1, 0), (1, 30), (1, 61))
    assert buckets("gap", gap_minutes=31) == [0, 0, 0]


def test_the_pause_is_the_time_since_the_users_previous_row(con, rows, minute):
    rows((1, 0), (2, 1), (1, 5))
    add_sessions(con, "source", "target", "user")
    assert run(con, "SELECT pause_ms FROM target ORDER BY tie") == [(None,), (None,), (minute(5) - minute(0),)]


def test_cuts_leave_the_shares(con, rows, minute):
    rows(*((1, at) for at in range(10)))
    assert cut_times(con, "source", (0.6, 0.2, 0.2)) == (minute(6), minute(8))


def test_cuts_can_look_at_some_of_the_rows(con, rows, minute):
    rows(*((at % 2, at) for at in range(20)))
    assert cut_times(con, "source", (0.6, 0.2, 0.2), "WHERE user_key = 0") == (minute(12), minute(16))


def test_rows_of_equal_time_fall_on_one_side(con, rows):
    rows(*((user, at) for at in range(5) for user in range(3)))
    add_splits(con, "source", "target", cut_times(con, "source", (0.5, 0.3, 0.2)))
    assert run(con, "SELECT count(DISTINCT split) FROM target GROUP BY time_ms") == [(1,)] * 5


def test_too_few_rows_are_an_error(con, rows):
    rows((1, 0))
    with pytest.raises(DataError, match=r"1 rows are too few to split 0\.6:0\.2:0\.2 by time"):
        cut_times(con, "source", (0.6, 0.2, 0.2))


def test_rows_are_laid_out_by_split_then_by_the_start_of_a_session_then_by_time(con, rows):
    rows((7, 0), (3, 1), (7, 2), (3, 3), (3, 10), (7, 11), (7, 20))
    add_sessions(con, "source", "sessioned", "user")
    add_splits(con, "sessioned", "split_rows", (10 * 60_000 + run(con, "SELECT min(time_ms) FROM source")[0][0], 2**60))
    lay_out(con, "split_rows")
    columns = "user_key, tie, split, session, user_number, session_end"
    assert run(con, f"SELECT {columns} FROM ordered ORDER BY rowid") == [  # noqa: S608
        (7, 0, 0, 0, 1, 0),
        (7, 2, 0, 0, 1, 2),
        (3, 1, 0, 1, 0, 0),
        (3, 3, 0, 1, 0, 2),
        (3, 4, 1, 2, 0, 1),
        (7, 5, 1, 3, 1, 0),
        (7, 6, 1, 3, 1, 1),
    ]


def test_a_session_in_all_three_splits_is_cut_twice(con, rows, minute):
    rows((1, 0), (1, 1), (1, 2))
    add_sessions(con, "source", "sessioned", "user")
    add_splits(con, "sessioned", "split_rows", (minute(1), minute(2)))
    lay_out(con, "split_rows")
    assert run(con, "SELECT session, session_end FROM ordered ORDER BY rowid") == [(0, 2), (1, 2), (2, 1)]


def test_sessions_that_a_split_parts_are_left_out_where_asked_for(con, rows, minute):
    rows((1, 0), (1, 1), (2, 1.5), (1, 2), (3, 3), (2, 4), (4, 5))
    add_sessions(con, "source", "sessioned", "user")
    add_splits(con, "sessioned", "split_rows", (minute(1), minute(2)))
    counts = lay_out(con, "split_rows", "drop")
    assert counts == {"sessions_dropped_at_a_split": 2, "rows_dropped_at_a_split": 5}
    assert run(con, "SELECT user_key, split, row, session_end FROM ordered ORDER BY row") == [
        (3, 2, 0, 1),
        (4, 2, 1, 1),
    ]


def test_a_further_test_split_cuts_no_session(con, rows, minute):
    rows((1, 0), (1, 1), (1, 2), (1, 3))
    add_sessions(con, "source", "sessioned", "user")
    add_splits(con, "sessioned", "split_rows", (minute(0.5), minute(1.5)))
    run(con, "CREATE VIEW more AS SELECT * REPLACE (if(tie = 3, 3, split) AS split) FROM split_rows")
    lay_out(con, "more")
    assert run(con, "SELECT split, session, session_end FROM ordered ORDER BY row") == [
        (0, 0, 2),
        (1, 1, 2),
        (2, 2, 1),
        (3, 3, 1),
    ]


@pytest.mark.parametrize("shares", [(), (0.5, 0.5), (0.6, 0.2, 0.1), (1.0, 0.0, 0.0), (1.2, -0.1, -0.1)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(UsageError, match="parameter 'split'"):
        check_shares(shares)


def test_shares_may_miss_one_by_rounding():
    assert check_shares([0.7, 0.2, 0.1]) == (0.7, 0.2, 0.1)
