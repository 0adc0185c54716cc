"""Visits to a shop from CSV files, made a table of sessions in DuckDB.

Files ``visits.csv`` or ``visits-*.csv``, plain or gzipped, with these columns in any order; others are ignored:

========  =============================================================
user_id   any text
item_id   any text
category  any text; empty: unknown
price     a number; empty: unknown
time_ms   milliseconds since 1970, a whole number
click     0 or 1
purchase  0 or 1; empty: nobody knows yet
========  =============================================================
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from rmtl_bench.contracts import CategoricalField, DataError, Dataset, Schema, SessionTable, Task, UsageError

# What a value may not be, in SQL, and what it must be, in words.
_COLUMNS: Mapping[str, tuple[str, str]] = {
    "user_id": ("user_id IS NULL", "not empty"),
    "item_id": ("item_id IS NULL", "not empty"),
    "category": ("false", ""),
    "price": ("price IS NOT NULL AND NOT coalesce(isfinite(try_cast(price AS DOUBLE)), false)", "a number or empty"),
    "time_ms": ("NOT coalesce(regexp_full_match(time_ms, '[0-9]{1,15}'), false)", "whole milliseconds since 1970"),
    "click": ("coalesce(click, '') NOT IN ('0', '1')", "0 or 1"),
    "purchase": ("purchase NOT IN ('0', '1')", "0, 1 or empty"),
}
_FIELDS = ("user_id", "item_id", "category", "hour")
_TASKS = (Task("click", None, "the item was clicked"), Task("purchase", "click", "it was clicked and then bought"))

# The label of a task with a parent is the joint event: without a click it is 0, and known, whatever the file says.
# ``tie`` orders rows of equal time by what they hold: the table must not depend on the order of files or lines.
_VISITS = """
    CREATE TABLE visits AS
    SELECT *, row_number() OVER (ORDER BY time_ms, user_id, item_id, category, price, click, purchase) AS tie FROM (
        SELECT DISTINCT
            time_ms::BIGINT AS time_ms, user_id, item_id, category, price::DOUBLE AS price,
            click::FLOAT AS click, CASE click WHEN '0' THEN 0 ELSE purchase::FLOAT END AS purchase,
            (time_ms::BIGINT // 3600000) % 24 AS hour
        FROM raw
    )
"""
_SESSIONS = """
    CREATE TABLE sessions AS
    SELECT *, count(*) FILTER (WHERE pause > $gap_ms) OVER (PARTITION BY user_id ORDER BY tie) AS visit
    FROM (SELECT *, time_ms - lag(time_ms) OVER (PARTITION BY user_id ORDER BY tie) AS pause FROM visits)
"""
# Rows of equal time fall on one side of a cut.
_SPLIT = """
    CREATE TABLE split_sessions AS
    SELECT *, (time_ms >= $valid)::INTEGER + (time_ms >= $test)::INTEGER AS split FROM sessions
"""
# A session that a split cuts becomes one session on each side, and its end there is marked 2: cut, not ended.
_ORDERED = """
    CREATE TABLE ordered AS
    SELECT *,
        dense_rank() OVER (ORDER BY split, part) - 1 AS session,
        dense_rank() OVER (ORDER BY user_id) - 1 AS user_number,
        CASE WHEN next_split IS NULL THEN 1 WHEN next_split = split THEN 0 ELSE 2 END AS session_end
    FROM (
        SELECT *,
            min(tie) OVER (PARTITION BY split, user_id, visit) AS part,
            lead(split) OVER (PARTITION BY user_id, visit ORDER BY tie) AS next_split
        FROM split_sessions
    )
"""
# Fitted on the training split alone; id 0 is for all that is rare there, new later, or unknown.
_VOCABULARY = """
    CREATE TABLE vocabulary_{name} AS
    SELECT {name}, row_number() OVER (ORDER BY {name}) AS id
    FROM ordered WHERE split = 0 AND {name} IS NOT NULL GROUP BY {name} HAVING count(*) >= $min_count
"""

_TABLE = """
    SELECT {ids}, price, click, purchase, session, user_number, time_ms, session_end
    FROM ordered {joins}
    ORDER BY split, part, tie
"""
_COUNT = "SELECT count(*) FROM {table}"
_CUT = "SELECT time_ms FROM visits ORDER BY time_ms LIMIT 1 OFFSET $skipped"
# All columns are read as texts, so that a value that is wrong is ours to name, with its line.
_READ = """
    CREATE OR REPLACE TABLE one_file AS
    SELECT {names} FROM read_csv($file, auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
                                 columns = $types)
"""
_WRONG = "SELECT rowid + 2, {name} FROM one_file WHERE {is_wrong} ORDER BY rowid LIMIT 1"


class Visits(Dataset):
    """Visits of your own, from files below ``<data folder>/visits``; the module says which columns they have.

    Every row is a visit of a user to an item. The tasks are ``click`` and its child ``purchase``, the joint event. A
    session ends where its user pauses for more than ``gap_minutes``. Exact duplicates are dropped. Fields: user, item,
    category and hour (UTC); numerical: the price, standardised over the training split, unknown prices at its mean.
    """

    def __init__(
        self, *, gap_minutes: float = 30.0, split: Sequence[float] = (0.6, 0.2, 0.2), min_count: int = 2
    ) -> None:
        if len(split) != 3 or min(split) <= 0 or not math.isclose(sum(split), 1, abs_tol=1e-6):
            raise UsageError(f"parameter 'split' is {tuple(split)}; it takes three positive shares that sum to 1")
        self._gap_minutes, self._split, self._min_count = gap_minutes, tuple(split), min_count

    def folder(self, data_dir: Path) -> Path:
        """Return where the files lie."""
        return data_dir / "visits"

    def raw_files(self, data_dir: Path) -> list[Path]:
        """Return the files; their contents decide whether a table that was prepared before still holds."""
        folder = self.folder(data_dir)
        found = [
            file
            for pattern in ("visits.csv", "visits-*.csv")
            for end in ("", ".gz")
            for file in folder.glob(pattern + end)
        ]
        if not found:
            raise DataError(f"visits: there is no visits.csv and no visits-*.csv in {folder}")
        return sorted(found)

    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        """Return the table. In a file below ``scratch``, DuckDB handles logs larger than the memory."""
        with duckdb.connect(str(scratch / "visits.duckdb")) as con:
            con.execute(f"CREATE TABLE raw ({', '.join(f'{name} VARCHAR' for name in _COLUMNS)})")
            for file in self.raw_files(data_dir):
                _read(con, file)
            con.execute(_VISITS)
            con.execute(_SESSIONS, {"gap_ms": round(self._gap_minutes * 60_000)})
            valid, test = self._cuts(con)
            con.execute(_SPLIT, {"valid": valid, "test": test})
            con.execute(_ORDERED)
            return self._table(con)

    def _cuts(self, con: duckdb.DuckDBPyConnection) -> list[int]:
        """Return the times at which valid and test begin."""
        rows = _rows(con, "visits")
        skipped = [round(rows * self._split[0]), round(rows * (self._split[0] + self._split[1]))]
        if not 0 < skipped[0] < skipped[1] < rows:
            raise DataError(f"visits: {rows} distinct rows are too few to split")
        return [con.execute(_CUT, {"skipped": rows_before}).fetchall()[0][0] for rows_before in skipped]

    def _table(self, con: duckdb.DuckDBPyConnection) -> SessionTable:
        fields = []
        for name in _FIELDS:
            con.execute(_VOCABULARY.format(name=name), {"min_count": self._min_count})
            fields.append(CategoricalField(name, 1 + _rows(con, f"vocabulary_{name}")))
        ids = ", ".join(f"coalesce(vocabulary_{name}.id, 0) AS {name}" for name in _FIELDS)
        joins = " ".join(f"LEFT JOIN vocabulary_{name} USING ({name})" for name in _FIELDS)
        columns = con.execute(_TABLE.format(ids=ids, joins=joins)).fetchnumpy()
        sizes = dict(con.execute("SELECT split, count(*) FROM ordered GROUP BY split").fetchall())
        if len(sizes) != 3:
            raise DataError("visits: too many rows of one time to split by time")
        labels = [np.ma.asarray(columns[task.name]) for task in _TASKS]
        unknown = np.stack([np.ma.getmaskarray(label) for label in labels], axis=1)
        return SessionTable(
            schema=Schema(tuple(fields), ("price",), _TASKS),
            categorical=np.stack([np.asarray(columns[name], np.int32) for name in _FIELDS], axis=1),
            numerical=_standardised(columns["price"], sizes[0]).astype(np.float32)[:, None],
            labels=np.stack([label.filled(0) for label in labels], axis=1).astype(np.float32),
            # None where every label is known: the trainer then has no mask to multiply by.
            label_mask=~unknown if unknown.any() else None,
            session=np.asarray(columns["session"], np.int32),
            user=np.asarray(columns["user_number"], np.int32),
            timestamp=np.asarray(columns["time_ms"], np.int64),
            session_end=np.asarray(columns["session_end"], np.uint8),
            split_sizes=(sizes[0], sizes[1], sizes[2]),
            # What a reader of the results has to know; ``rmtl-bench data info`` shows it.
            notes={
                "rows_read": _rows(con, "raw"),
                "rows_distinct": _rows(con, "visits"),
                "purchases_unknown": int(unknown[:, 1].sum()),
            },
        )


class VisitsExample(Visits):
    """The invented visits that come with this distribution (``draw_example.py`` made them)."""

    def folder(self, data_dir: Path) -> Path:
        """Return the folder beside this module."""
        return Path(__file__).parent / "example"


def _rows(con: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(con.execute(_COUNT.format(table=table)).fetchall()[0][0])


def _read(con: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Add a file's rows to ``raw``, as texts. Raises :class:`DataError` in one line that names file, line and value."""
    try:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8-sig", newline="") as text:
            header = next(csv.reader(text), [])
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error
    if missing := [name for name in _COLUMNS if name not in header]:
        raise DataError(f"{file}: column {missing[0]!r} is missing; the header has {', '.join(header)[:200]}")
    types: dict[str, Any] = dict.fromkeys(header, "VARCHAR")
    try:
        con.execute(_READ.format(names=", ".join(_COLUMNS)), {"file": str(file), "types": types})
    except duckdb.Error as error:
        raise DataError(f"{file}: {' '.join(str(error).split())[:300]}") from error
    for name, (is_wrong, right) in _COLUMNS.items():
        wrong = con.execute(_WRONG.format(name=name, is_wrong=is_wrong)).fetchone()
        if wrong:
            raise DataError(f"{file}: line {wrong[0]}, column {name!r} is {wrong[1] or ''!r}; it must be {right}")
    con.execute("INSERT INTO raw SELECT * FROM one_file")


def _standardised(values: Any, training_rows: int) -> Any:
    """Return masked ``values`` [N] less the training rows' mean, over their deviation; 0 where masked."""
    numbers = np.ma.filled(np.ma.asarray(values, np.float64), np.nan)
    known = numbers[:training_rows][~np.isnan(numbers[:training_rows])]
    scale = float(known.std()) if len(known) else 0.0
    return np.nan_to_num((numbers - known.mean()) / scale) if scale > 0 else np.zeros_like(numbers)
