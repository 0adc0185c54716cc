"""From the table ``ordered`` to a :class:`SessionTable`: vocabularies and scales, fitted on the training split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.dataset import SPLITS, SessionTable, scratch_array
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.schema import CategoricalField, Schema, Task
from rmtl_bench_datasets.workspace import ignored_columns, run

_VOCABULARY = """
    CREATE TABLE vocabulary_{number} AS
    SELECT value, row_number() OVER (ORDER BY value)::INTEGER AS id
    FROM ({counts})
    WHERE value IS NOT NULL
    GROUP BY value
    HAVING sum(rows) >= $min_count
"""

_COUNTS = """SELECT "{name}" AS value, 1 AS rows FROM {relation} WHERE split = 0"""

_COUNTS_OF_ATTRIBUTE = """
    SELECT {table}."{name}" AS value, rows FROM {table} JOIN (
        SELECT "{key}", count(*) AS rows FROM {relation} WHERE split = 0 GROUP BY ALL
    ) AS counted ON {table}."{key}" = counted."{key}"
"""

_ENCODED = """
    CREATE TABLE {table}_encoded AS
    SELECT {table}."{key}", {expressions}
    FROM {table} {joins}
"""

_COLUMNS = """
    SELECT row, session, user_number, time_ms, session_end, {expressions}
    FROM {relation} {joins}
"""

_SCALARS = {"session": "session", "user": "user_number", "timestamp": "time_ms", "session_end": "session_end"}
"""The column of ``ordered`` behind each array of one number a row."""

_VECTORS = 200
"""Of 2,048 rows each: what is fetched at once."""


@dataclass(frozen=True)
class Attributes:
    """Fields that depend on one ``key`` of a row alone: the columns of ``table``, which has one row a key."""

    table: str
    key: str
    categorical: tuple[str, ...] = ()
    numerical: tuple[str, ...] = ()


def assemble(
    con: duckdb.DuckDBPyConnection,
    scratch: Path,
    categorical: Sequence[str],
    numerical: Sequence[str],
    tasks: Sequence[Task],
    min_count: int,
    notes: Mapping[str, Any],
    relation: str = "ordered",
    attributes: Sequence[Attributes] = (),
    extra_tests: Sequence[str] = (),
) -> SessionTable:
    """Return the session table of ``ordered``, its arrays memory maps below ``scratch``.

    ``relation`` is that table, or one with its columns and more; its columns, or those of the ``attributes``, bear the
    names of the fields and the tasks. What depends on a key alone gets its ids once a key. A categorical value that
    stands in fewer than ``min_count`` training rows, or is missing, gets id 0. A numerical column is standardised with
    mean and standard deviation of its training rows; a missing value becomes 0, the mean. ``extra_tests`` names the
    further test splits, numbered from 3; one without rows is left out.
    """
    sizes = dict(run(con, "SELECT split, count(*) FROM ordered GROUP BY ALL"))
    for number, name in enumerate(SPLITS):
        if number not in sizes:
            raise DataError(f"the {name} split has no rows: too few rows, or too many of one time, to split by time")
    rows = sum(sizes.values())
    of_key = {name: known for known in attributes for name in (*known.categorical, *known.numerical)}
    fields = [
        CategoricalField(name, _vocabulary(con, number, name, relation, of_key.get(name), min_count))
        for number, name in enumerate(categorical)
    ]
    for known in attributes:
        _encode(con, known, categorical, numerical)
    arrays = {
        "categorical": scratch_array(scratch, "categorical", np.int32, (rows, len(categorical))),
        "numerical": scratch_array(scratch, "numerical", np.float32, (rows, len(numerical))),
        "labels": scratch_array(scratch, "labels", np.float32, (rows, len(tasks))),
        "session": scratch_array(scratch, "session", np.int32, (rows,)),
        "user": scratch_array(scratch, "user", np.int32, (rows,)),
        "timestamp": scratch_array(scratch, "timestamp", np.int64, (rows,)),
        "session_end": scratch_array(scratch, "session_end", np.uint8, (rows,)),
    }
    numbers = [scratch_array(scratch, "number", np.float64, (rows,)) for _ in numerical]
    query = _query(relation, attributes, categorical, numerical, tasks)
    for chunk in _chunks(con, query):
        _fill(arrays, numbers, chunk)
    for column, values in enumerate(numbers):
        arrays["numerical"][:, column] = standardised(values, sizes[0])
    further = {name: int(sizes[number]) for number, name in enumerate(extra_tests, 3) if number in sizes}
    return SessionTable(
        schema=Schema(tuple(fields), tuple(numerical), tuple(tasks)),
        **arrays,
        split_sizes=(sizes[0], sizes[1], sizes[2]),
        extra_tests=further,
        notes={
            **notes,
            "sessions_cut_by_a_split": int(np.count_nonzero(arrays["session_end"] == 2)),
            **ignored_columns(con),
        },
    )


def standardised(values: NDArray[np.float64], training_rows: int) -> NDArray[np.float64]:
    """Return ``values`` [N] less the mean, over the standard deviation, of the first ``training_rows``; NaN becomes 0.

    numpy sums in a fixed order, where an aggregate over several threads would not give the same digits twice.
    """
    known = values[:training_rows][~np.isnan(values[:training_rows])]
    if len(known) == 0:
        return np.zeros_like(values)
    scale = float(known.std())
    if scale <= 1e-9 * max(1.0, abs(float(known.mean()))):
        return np.zeros_like(values)
    return np.asarray(np.nan_to_num((values - known.mean()) / scale, nan=0.0))


def _vocabulary(
    con: duckdb.DuckDBPyConnection, number: int, name: str, relation: str, known: Attributes | None, min_count: int
) -> int:
    """Create the table of a field's ids; return the size of the field, id 0 included."""
    counts = _COUNTS.format(name=name, relation=relation)
    if known:
        counts = _COUNTS_OF_ATTRIBUTE.format(name=name, table=known.table, key=known.key, relation=relation)
    run(con, _VOCABULARY.format(number=number, counts=counts), {"min_count": min_count})
    return 1 + int(run(con, f"SELECT count(*) FROM vocabulary_{number}")[0][0])  # noqa: S608


def _id(number: int) -> str:
    return f"coalesce(vocabulary_{number}.id, 0) AS c{number}"


def _number(name: str, number: int) -> str:
    return f"coalesce(\"{name}\"::DOUBLE, 'nan'::DOUBLE) AS n{number}"


def _join(table: str, name: str, number: int) -> str:
    return f'LEFT JOIN vocabulary_{number} ON {table}."{name}" = vocabulary_{number}.value'


def _encode(
    con: duckdb.DuckDBPyConnection, known: Attributes, categorical: Sequence[str], numerical: Sequence[str]
) -> None:
    """Create ``<table>_encoded``: ids and numbers by key."""
    ids = [(name, categorical.index(name)) for name in known.categorical]
    numbers = [(name, numerical.index(name)) for name in known.numerical]
    expressions = [*(_id(number) for _, number in ids), *(_number(name, number) for name, number in numbers)]
    joins = " ".join(_join(known.table, name, number) for name, number in ids)
    query = _ENCODED.format(table=known.table, key=known.key, expressions=", ".join(expressions), joins=joins)
    run(con, query)


def _query(
    relation: str,
    attributes: Sequence[Attributes],
    categorical: Sequence[str],
    numerical: Sequence[str],
    tasks: Sequence[Task],
) -> str:
    """Return the query of all columns: ids c0, c1 and so on, numbers n0 and so on, labels y0 and so on."""
    elsewhere = {name for known in attributes for name in (*known.categorical, *known.numerical)}
    ids = [(name, number) for number, name in enumerate(categorical) if name not in elsewhere]
    numbers = [(name, number) for number, name in enumerate(numerical) if name not in elsewhere]
    expressions = [
        *(_id(number) for _, number in ids),
        *(_number(name, number) for name, number in numbers),
        *(f'"{task.name}"::FLOAT AS y{number}' for number, task in enumerate(tasks)),
    ]
    joins = [_join(relation, name, number) for name, number in ids]
    for known in attributes:
        table = f"{known.table}_encoded"
        expressions += [f"coalesce({table}.c{n}, 0) AS c{n}" for n in map(categorical.index, known.categorical)]
        expressions += [f"coalesce({table}.n{n}, 'nan') AS n{n}" for n in map(numerical.index, known.numerical)]
        joins.append(f'LEFT JOIN {table} ON {relation}."{known.key}" = {table}."{known.key}"')
    return _COLUMNS.format(expressions=", ".join(expressions), relation=relation, joins=" ".join(joins))


def _chunks(con: duckdb.DuckDBPyConnection, query: str) -> Iterator[Any]:
    """Yield frames of some rows each, in any order: ``row`` says where each belongs."""
    result = con.execute(query)
    while len(chunk := result.fetch_df_chunk(_VECTORS)):
        yield chunk


def _fill(arrays: Mapping[str, NDArray[Any]], numbers: Sequence[NDArray[np.float64]], chunk: Any) -> None:
    at = chunk["row"].to_numpy()
    for name, letter in (("categorical", "c"), ("labels", "y")):
        columns = [chunk[f"{letter}{column}"].to_numpy() for column in range(arrays[name].shape[1])]
        # Whole rows at a time: column by column, each would be brought from the disk as often as there are columns.
        if columns:
            arrays[name][at] = np.stack(columns, axis=1)
    for column, values in enumerate(numbers):
        values[at] = chunk[f"n{column}"].to_numpy()
    for name, column in _SCALARS.items():
        arrays[name][at] = chunk[column].to_numpy()
