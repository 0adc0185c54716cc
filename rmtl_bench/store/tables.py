"""Columns in and out of Parquet, through DuckDB in memory."""

from __future__ import annotations

import functools
import glob
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


def memory_connection() -> duckdb.DuckDBPyConnection:
    """Return a connection to an empty database in memory that sees no Python variable and loads no extension."""
    return duckdb.connect(
        config={
            "threads": 1,
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
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


def read_parquet(path: Path) -> dict[str, NDArray[Any]]:
    """Return the columns of a Parquet file, in the order they were written.

    Raises :class:`StoreError` naming the file when it is missing or not whole.
    """
    try:
        with memory_connection() as connection:
            found = connection.execute(
                "SELECT * FROM read_parquet(?, hive_partitioning = false)", [escaped([path])]
            ).fetchnumpy()
    except duckdb.Error as error:
        raise StoreError(f"{path} cannot be read: {first_line(error)}") from error
    return dict(found)


def read_many(paths: Sequence[Path], types: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Return the rows of many Parquet files in one query, with their ``filename`` as it was given.

    One file that is not whole fails them all: :class:`duckdb.Error`.
    """
    columns = ", ".join(_typed(column, sql) for column, sql in types.items())
    with memory_connection() as connection:
        found = connection.execute(
            f"SELECT filename, {columns} FROM read_parquet(?, filename = true, hive_partitioning = false)",  # noqa: S608
            [escaped(paths)],
        ).fetchnumpy()
    return dict(found)


def escaped(paths: Sequence[Path]) -> list[str]:
    """Return paths as DuckDB takes them literally: it reads patterns."""
    return [glob.escape(str(path)) for path in paths]


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
