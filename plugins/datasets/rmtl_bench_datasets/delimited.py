"""Text files without a header, their values parted by any text, read with errors a user can act on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import duckdb

from rmtl_bench.contracts.errors import DataError
from rmtl_bench_datasets.workspace import Column, run

# Read as whole lines: a value that cannot be is then an error of ours, which names its line and column.
_LINES = """
    CREATE TABLE {table}_lines AS
    SELECT rtrim(line, chr(13)) AS line
    FROM read_csv($path, auto_detect = false, header = false, delim = chr(1), quote = '', escape = '',
                  encoding = $encoding, compression = $compression, columns = {{'line': 'VARCHAR'}})
"""

_SPLIT = """
    CREATE TABLE {table}_values AS
    SELECT rowid + 1 AS line_number, string_split(line, $delimiter) AS found
    FROM {table}_lines
    WHERE trim(line) <> ''
"""

_TEXTS = """
    CREATE TABLE {table}_texts AS
    SELECT line_number, {values}
    FROM {table}_values
"""

# Up to here every whole number is a number of its own in floating point.
_LARGEST = 2**53

_SHOWN = 300


def read_delimited(
    con: duckdb.DuckDBPyConnection,
    table: str,
    path: Path,
    columns: Mapping[str, Column],
    delimiter: str,
    missing: str = "",
    encoding: str = "utf-8",
) -> None:
    """Create the view ``table`` of a file, plain or gzipped, whose lines hold the values of ``columns`` in their order.

    Spaces around a value are dropped; one that is then empty, or ``missing``, is NULL; empty lines are none. Raises
    :class:`DataError` with one line naming the file and the line, the column or the value.
    """
    compression = "gzip" if path.suffix == ".gz" else "none"
    values = {"path": re.sub(r"([*?\[])", r"[\1]", str(path)), "encoding": encoding, "compression": compression}
    try:
        run(con, _LINES.format(table=table), values)
    except duckdb.Error as error:
        raise DataError(f"{path}: {_reason(str(error))}") from error
    run(con, _SPLIT.format(table=table), {"delimiter": delimiter})
    _check_lengths(con, table, path, len(columns))
    texts = ", ".join(
        f"nullif(nullif(trim(found[{place}]), ''), $missing) AS \"{name}\"" for place, name in enumerate(columns, 1)
    )
    run(con, _TEXTS.format(table=table, values=texts), {"missing": missing})
    for name, column in columns.items():
        _check_column(con, table, path, name, column)
    typed = ", ".join(f'{_cast(name, column)} AS "{name}"' for name, column in columns.items())
    run(con, f"CREATE VIEW {table} AS SELECT {typed} FROM {table}_texts")  # noqa: S608


def _reason(message: str) -> str:
    if "GZIP" in message:
        return "not a whole gzip file; is the download cut short?"
    if "utf-8" in message:
        return "the text is not UTF-8"
    return f"cannot be read: {message.splitlines()[0][:_SHOWN]}"


def _check_lengths(con: duckdb.DuckDBPyConnection, table: str, path: Path, length: int) -> None:
    if not run(con, f"SELECT 1 FROM {table}_values LIMIT 1"):  # noqa: S608
        raise DataError(f"{path}: the file is empty")
    query = f"SELECT line_number, len(found) FROM {table}_values WHERE len(found) <> $length ORDER BY ALL LIMIT 1"  # noqa: S608
    for line, found in run(con, query, {"length": length}):
        cut = "; is the file cut short?" if found < length else ""
        raise DataError(f"{path}: line {line}: {found} value{'s' * (found != 1)} instead of {length}{cut}")


def _check_column(con: duckdb.DuckDBPyConnection, table: str, path: Path, name: str, column: Column) -> None:
    number = f'TRY_CAST("{name}" AS DOUBLE)'
    bad = []
    if column.required:
        bad.append(f'"{name}" IS NULL')
    if column.type in ("BIGINT", "DOUBLE"):
        bad.append(f'"{name}" IS NOT NULL AND ({number} IS NULL OR NOT isfinite({number}))')
    if column.type == "BIGINT":
        bad.append(f"{number} <> trunc({number}) OR abs({number}) > {_LARGEST}")
    if column.values:
        value = number if column.type == "BIGINT" else f'"{name}"'
        bad.append(f"{value} NOT IN ({', '.join(repr(allowed) for allowed in column.values)})")
    if not bad:
        return
    query = f'SELECT line_number, "{name}" FROM {table}_texts WHERE {" OR ".join(bad)} ORDER BY line_number LIMIT 1'  # noqa: S608
    for line, value in run(con, query):
        what = "is empty" if value is None else f"is {value[:_SHOWN]!r}; it must be {_right(column)}"
        raise DataError(f"{path}: line {line}, column {name!r} {what}")


def _right(column: Column) -> str:
    """Return what a value of ``column`` has to be."""
    if column.values:
        return f"one of {', '.join(map(str, column.values))}"
    return "a whole number" if column.type == "BIGINT" else "a finite number"


def _cast(name: str, column: Column) -> str:
    """Return the column in its type; a whole number may be written as 4.0."""
    return f'"{name}"::DOUBLE::BIGINT' if column.type == "BIGINT" else f'"{name}"::{column.type}'
