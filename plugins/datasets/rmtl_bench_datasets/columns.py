"""From the table ``ordered`` to a :class:`SessionTable`: vocabularies and scales, fitted on the training split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    CREATE OR REPLACE TABLE vocabulary_{number} AS
    SELECT value, row_number() OVER (ORDER BY value)::INTEGER AS id
    FROM (SELECT "{name}" AS value FROM {relation} WHERE split = 0 AND "{name}" IS NOT NULL)
    GROUP BY value
    HAVING count(*) >= $min_count
"""

_COLUMNS = """
    SELECT row, session, user_number, time_ms, session_end, {expressions}
    FROM {relation} {joins}
"""

_VECTORS = 200
"""Of 2,048 rows each: what is fetched at once."""


def assemble(
    con: duckdb.DuckDBPyConnection,
    scratch: Path,
    categorical: Sequence[str],
    numerical: Sequence[str],
    tasks: Sequence[Task],
    min_count: int,
    notes: Mapping[str, Any],
    relation: str = "ordered",
    extra_tests: Sequence[str] = (),
) -> SessionTable:
    """Return the session table of ``ordered``, its arrays memory maps below ``scratch``.

    ``relation`` is that table, or a view on it with more columns; its columns bear the names of the fields and the
    tasks. A categorical value that stands in fewer than ``min_count`` training rows, or is missing, gets id 0. A
    numerical column is standardised with mean and standard deviation of its training rows; a missing value becomes 0,
    the mean. ``extra_tests`` names the further test splits, numbered from 3; one without rows is left out.
    """
    sizes = dict(run(con, "SELECT split, count(*) FROM ordered GROUP BY ALL"))
    for number, name in enumerate(SPLITS):
        if number not in sizes:
            raise DataError(f"the {name} split has no rows: too few rows, or too many of one time, to split by time")
    rows = sum(sizes.values())
    fields = [
        CategoricalField(name, _vocabulary(con, number, name, relation, min_count))
        for number, name in enumerate(categorical)
    ]
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
    for chunk in _chunks(con, relation, categorical, numerical, tasks):
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


def _vocabulary(con: duckdb.DuckDBPyConnection, number: int, name: str, relation: str, min_count: int) -> int:
    """Create the table of a field's ids; return the size of the field, id 0 included."""
    run(con, _VOCABULARY.format(number=number, name=name, relation=relation), {"min_count": min_count})
    return 1 + int(run(con, f"SELECT count(*) FROM vocabulary_{number}")[0][0])  # noqa: S608


def _chunks(
    con: duckdb.DuckDBPyConnection,
    relation: str,
    categorical: Sequence[str],
    numerical: Sequence[str],
    tasks: Sequence[Task],
) -> Iterator[Any]:
    """Yield frames of some rows each, in any order: ``row`` says where each belongs."""
    expressions = [
        *(f"coalesce(vocabulary_{number}.id, 0) AS c{number}" for number in range(len(categorical))),
        *(f"coalesce(\"{name}\"::DOUBLE, 'nan'::DOUBLE) AS n{number}" for number, name in enumerate(numerical)),
        *(f'"{task.name}"::FLOAT AS y{number}' for number, task in enumerate(tasks)),
    ]
    joins = " ".join(
        f'LEFT JOIN vocabulary_{number} ON {relation}."{name}" = vocabulary_{number}.value'
        for number, name in enumerate(categorical)
    )
    result = con.execute(_COLUMNS.format(expressions=", ".join(expressions), relation=relation, joins=joins))
    while len(chunk := result.fetch_df_chunk(_VECTORS)):
        yield chunk


def _fill(arrays: Mapping[str, NDArray[Any]], numbers: Sequence[NDArray[np.float64]], chunk: Any) -> None:
    at = chunk["row"].to_numpy()
    for column in range(arrays["categorical"].shape[1]):
        arrays["categorical"][at, column] = chunk[f"c{column}"].to_numpy()
    for column, values in enumerate(numbers):
        values[at] = chunk[f"n{column}"].to_numpy()
    for column in range(arrays["labels"].shape[1]):
        arrays["labels"][at, column] = chunk[f"y{column}"].to_numpy()
    for name, source in {
        "session": "session",
        "user": "user_number",
        "timestamp": "time_ms",
        "session_end": "session_end",
    }.items():
        arrays[name][at] = chunk[source].to_numpy()
