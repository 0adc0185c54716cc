"""Sessions and splits, in SQL: which rows belong together, and where time cuts them.

The functions work on tables with the columns ``user_key`` (any type), ``time_ms`` (BIGINT) and ``tie`` (BIGINT,
unique, and increasing with ``time_ms``): the order of the rows, also where their times are equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import duckdb

from rmtl_bench.contracts.errors import DataError, UsageError
from rmtl_bench_datasets.workspace import run

_BEIJING_MS = 8 * 3_600_000
_DAY_MS = 86_400_000

# 1970-01-01 was a Thursday: three days later a week from Monday to Sunday begins.
_BUCKETS = {
    "user": "0",
    "day": "day",
    "week": f"((time_ms + {_BEIJING_MS}) // {_DAY_MS} + 3) // 7",
    "gap": "count(*) FILTER (WHERE pause_ms > $gap_ms) OVER (PARTITION BY user_key ORDER BY tie)",
}

_SESSIONED = """
    CREATE TABLE {target} AS
    WITH paused AS (
        SELECT *, time_ms - lag(time_ms) OVER (PARTITION BY user_key ORDER BY tie) AS pause_ms
        FROM {source}
    )
    SELECT *, {bucket} AS bucket
    FROM paused
"""

_SPLIT = """
    CREATE VIEW {target} AS
    SELECT *, (time_ms >= {first})::INTEGER + (time_ms >= {second})::INTEGER AS split
    FROM {source}
"""

_CROSSING = """
    CREATE TABLE crossing AS
    SELECT user_key, bucket, count(*) AS rows
    FROM {source} WHERE split <= 2
    GROUP BY ALL HAVING min(split) <> max(split)
"""

_WHOLE = """
    CREATE VIEW whole_sessions AS
    SELECT * FROM {source} AS source WHERE split > 2 OR NOT EXISTS (
        SELECT 1 FROM crossing WHERE crossing.user_key = source.user_key AND crossing.bucket = source.bucket
    )
"""

# A session that runs across a boundary becomes one part on each side; ``tie`` of a part's first row orders the parts.
# A further test split (3 and on) has sessions of its own: they are no parts of those that it was drawn beside.
_PARTS = """
    CREATE TABLE parts AS
    SELECT
        tie, split, user_key,
        min(tie) OVER (PARTITION BY split, user_key, bucket) AS part,
        lead(split) OVER (PARTITION BY greatest(split, 2), user_key, bucket ORDER BY tie) AS next_split
    FROM {source}
"""

_PLACES = """
    CREATE TABLE places AS
    SELECT
        tie, row_number() OVER (ORDER BY split, part, tie) - 1 AS row,
        dense_rank() OVER (ORDER BY split, part) - 1 AS session,
        dense_rank() OVER (ORDER BY user_key) - 1 AS user_number,
        CASE WHEN next_split IS NULL THEN 1 WHEN next_split = split THEN 0 ELSE 2 END AS session_end
    FROM parts
"""

_ORDERED = """
    CREATE TABLE ordered AS
    SELECT source.*, row, session, user_number, session_end
    FROM {source} AS source JOIN places USING (tie)
    ORDER BY row
"""


def check_shares(shares: Sequence[float]) -> tuple[float, float, float]:
    """Return the shares of train, valid and test; raise :class:`UsageError` unless three, positive, and 1 in sum."""
    if len(shares) != 3 or min(shares) <= 0 or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise UsageError(f"parameter 'split' is {tuple(shares)}; it takes three positive shares that sum to 1")
    return (shares[0], shares[1], shares[2])


def add_sessions(
    con: duckdb.DuckDBPyConnection, source: str, target: str, sessions: str, gap_minutes: float = 30.0
) -> None:
    """Create ``target``: ``source`` with ``bucket``, which together with ``user_key`` names a row's session.

    ``sessions`` is ``user`` (all rows of a user), ``day`` (by the column ``day``), ``week`` (Monday to Sunday in
    Beijing) or ``gap`` (a pause of more than ``gap_minutes`` begins a new session). ``pause_ms``, the time since
    the user's previous row, comes with it.
    """
    query = _SESSIONED.format(source=source, target=target, bucket=_BUCKETS[sessions])
    run(con, query, {"gap_ms": round(gap_minutes * 60_000)} if sessions == "gap" else None)


def cut_times(con: duckdb.DuckDBPyConnection, source: str, shares: Sequence[float], where: str = "") -> tuple[int, int]:
    """Return the times at which valid and test begin, so that train and valid have about their shares of the rows.

    A cut is the time of a row and rows of equal time fall on one side of it.
    """
    rows = int(run(con, f"SELECT count(*) FROM {source} {where}")[0][0])  # noqa: S608
    first, second = (
        run(con, f"SELECT time_ms FROM {source} {where} ORDER BY time_ms LIMIT 1 OFFSET $skip", {"skip": skip})  # noqa: S608
        for skip in (round(rows * shares[0]), round(rows * (shares[0] + shares[1])))
    )
    if not first or not second:
        raise DataError(f"{rows} rows are too few to split {':'.join(f'{share:g}' for share in shares)} by time")
    return int(first[0][0]), int(second[0][0])


def add_splits(con: duckdb.DuckDBPyConnection, source: str, target: str, cuts: tuple[int, int]) -> None:
    """Create ``target``: ``source`` with ``split``, 0 before the first cut, 1 before the second, 2 from there on."""
    run(con, _SPLIT.format(source=source, target=target, first=int(cuts[0]), second=int(cuts[1])))


def lay_out(con: duckdb.DuckDBPyConnection, source: str, at_boundary: str = "cut") -> dict[str, int]:
    """Create the table ``ordered``: the rows of ``source`` as a session table has them.

    Train, valid, test, further test splits; within a split by the time at which a session begins; within a session by
    time. Added are ``row``, the place of a row, ``session`` and ``user_number``, all counted from 0, and
    ``session_end``: 0 where the session goes on in the next row, 1 where it ends, 2 where a split boundary cuts it.

    ``at_boundary`` says what becomes of a session that runs across a split boundary: ``cut`` makes sessions of its
    parts, ``drop`` leaves it out. Returned are the counts of what was left out, for the notes; none for ``cut``.
    """
    dropped = {}
    if at_boundary == "drop":
        run(con, _CROSSING.format(source=source))
        sessions, rows = run(con, "SELECT count(*), coalesce(sum(rows), 0)::BIGINT FROM crossing")[0]
        dropped = {"sessions_dropped_at_a_split": int(sessions), "rows_dropped_at_a_split": int(rows)}
        run(con, _WHOLE.format(source=source))
        source = "whole_sessions"
    for query in (_PARTS, _PLACES, _ORDERED):
        run(con, query.format(source=source))
    return dropped
