"""Columns in and out of Parquet, through DuckDB in memory."""

from __future__ import annotations

import functools
import glob
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import StoreError

Columns = Mapping[str, Any]
"""Names and their columns: lists, tuples or arrays of one length."""

_DTYPES: dict[str, Any] = {
    "VARCHAR": object,
    "DOUBLE": np.float64,
    "FLOAT": np.float32,
    "INTEGER": np.int32,
    "BIGINT": np.int64,
    "BOOLEAN": np.bool_,
}


MEMORY = "2GB"
"""What a database in memory may hold, whatever the file is that it reads."""

ROWS = 100_000
"""The rows that any Parquet file of a store may have; beyond, :data:`ROWS_A_BYTE` for each of its bytes."""

ROWS_A_BYTE = 4
"""Predictions that are the same in every row take a byte and a half each: more than this no run writes."""

BYTES_OF_TEXT = 1_000
"""The most that a text in a table may have."""


def memory_connection() -> duckdb.DuckDBPyConnection:
    """Return a connection to an empty database in memory that sees no Python variable and loads no extension.

    It holds no more than :data:`MEMORY`, and writes nothing aside.
    """
    return duckdb.connect(
        config={
            "threads": 1,
            "memory_limit": MEMORY,
            "temp_directory": "",
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )


@functools.cache
def _database_of_writing() -> duckdb.DuckDBPyConnection:
    """One for all that a process writes: to open one costs more than to write a run's table."""
    return memory_connection()


def register(connection: duckdb.DuckDBPyConnection, name: str, columns: Columns, types: Mapping[str, str]) -> str:
    """Make columns known to ``connection`` as ``name``, and return the SELECT that gives them in their SQL types.

    Raises :class:`StoreError` naming the column that is missing, unknown, of another length or of another type.
    """
    if missing := [c for c in types if c not in columns] + [c for c in columns if c not in types]:
        raise StoreError(f"column {missing[0]!r} is missing or unknown; right are {', '.join(types)}")
    arrays = {column: _array(column, columns[column], sql) for column, sql in types.items()}
    lengths = {column: len(array) for column, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise StoreError(f"columns differ in length: {lengths}")
    connection.register(name, arrays)
    return f"SELECT {', '.join(_typed(c, sql) for c, sql in types.items())} FROM {name}"  # noqa: S608 -- own names


def _array(column: str, values: Any, sql: str) -> NDArray[Any]:
    # NumPy's own text arrays would arrive as an ENUM; lists of str would be guessed at.
    try:
        array = np.asarray(values, dtype=_DTYPES[sql])
    except (TypeError, ValueError) as error:
        raise StoreError(f"column {column!r} cannot be {sql}: {error}") from error
    if array.ndim != 1:
        raise StoreError(f"column {column!r} has shape {array.shape}; it needs one dimension")
    return array


def _typed(column: str, sql: str) -> str:
    name = '"' + column.replace('"', '""') + '"'
    value = f"CAST({name} AS {sql})"
    if sql in ("DOUBLE", "FLOAT"):
        # DuckDB takes an array's NaN for NULL, as pandas means it. Here a NaN is a number: "undefined".
        value = f"coalesce({value}, CAST('nan' AS {sql}))"
    return f"{value} AS {name}"


def write_parquet(path: Path, columns: Columns, types: Mapping[str, str]) -> None:
    """Write columns as one Parquet file, zstd-compressed; NaN stays NaN."""
    with _database_of_writing().cursor() as connection:
        select = register(connection, "given", columns, types)
        connection.execute(f"COPY ({select}) TO ? (FORMAT parquet, COMPRESSION zstd)", [str(path)])


def read_parquet(path: Path, types: Mapping[str, str] | None = None) -> dict[str, NDArray[Any]]:
    """Return the columns of a Parquet file in the order they were written, or those of ``types``, in these SQL types.

    Raises :class:`StoreError` naming the file when it is missing or not whole, and for what :func:`check_files`
    refuses, a text of more than :data:`BYTES_OF_TEXT` bytes, a missing value and a type that no table of a run has.
    """
    try:
        with memory_connection() as connection:
            check_files(connection, [path])
            columns = _typed_safely(_types_of(connection, path) if types is None else types)
            found = connection.execute(
                f"SELECT {columns} FROM read_parquet(?, hive_partitioning = false)",  # noqa: S608 -- names are quoted
                [escaped([path])],
            ).fetchnumpy()
            return _whole(found)
    except duckdb.Error as error:
        raise StoreError(f"{path} cannot be read: {first_line(error)}") from error


def read_many(paths: Sequence[Path], types: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Return the rows of many Parquet files in one query, with their ``filename`` as it was given.

    One file that is not whole, or of which :func:`read_parquet` would say that it cannot be read, fails them all:
    :class:`duckdb.Error`.
    """
    with memory_connection() as connection:
        check_files(connection, paths)
        found = connection.execute(
            f"SELECT filename, {_typed_safely(types)} "  # noqa: S608 -- names are quoted
            "FROM read_parquet(?, filename = true, hive_partitioning = false)",
            [escaped(paths)],
        ).fetchnumpy()
        return _whole(found)


def check_files(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> None:
    """Raise :class:`duckdb.Error` for a file that is no regular one, and for one that says to have too many rows.

    So a few kilobytes that expand to billions of rows are refused before any of them is read, see :data:`ROWS`.
    """
    for path in paths:
        try:
            mode = path.lstat().st_mode
        except OSError as error:
            raise duckdb.IOException(f"{error.strerror or error}: {path}") from error
        if not stat.S_ISREG(mode):
            # To open a pipe waits for ever, and a link leads to what belongs to no run.
            raise duckdb.IOException(f"it is no regular file: {path}")
    sizes = connection.execute(
        "SELECT file_name, num_rows, file_size_bytes FROM parquet_file_metadata(?)", [escaped(paths)]
    ).fetchall()
    for name, rows, size in sizes:
        if not 0 <= rows <= (most := ROWS + ROWS_A_BYTE * size):
            raise duckdb.InvalidInputException(f"{size} bytes say to be {rows} rows; at most {most} are read: {name}")


def _types_of(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    described = connection.execute(
        "DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning = false)", [escaped([path])]
    ).fetchall()
    types = {str(name): str(sql) for name, sql, *_ in described}
    for name, sql in types.items():
        if sql not in _DTYPES:
            raise duckdb.InvalidInputException(f"column {name!r} is {sql}; right are {', '.join(_DTYPES)}")
    return types


def _typed_safely(types: Mapping[str, str]) -> str:
    return ", ".join(_short(column) if sql == "VARCHAR" else _typed(column, sql) for column, sql in types.items())


def _short(column: str) -> str:
    # A text that stands once in the file becomes an object a row.
    name = '"' + column.replace('"', '""') + '"'
    text = f"CAST({name} AS VARCHAR)"
    fault = f"error('a text has more than {BYTES_OF_TEXT} bytes')"
    return f"CASE WHEN strlen({text}) > {BYTES_OF_TEXT} THEN {fault} ELSE {text} END AS {name}"


def _whole(found: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return columns as they are; raise :class:`duckdb.Error` for a value that is missing."""
    for name, column in found.items():
        if np.ma.is_masked(column):
            raise duckdb.InvalidInputException(f"column {name!r} has a missing value")
    return {name: np.ma.getdata(column) for name, column in found.items()}


def escaped(paths: Sequence[Path]) -> list[str]:
    """Return paths as DuckDB takes them literally: it reads patterns."""
    return [glob.escape(str(path)) for path in paths]


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
