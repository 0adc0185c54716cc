"""From the table ``ordered`` to a :class:`SessionTable`: vocabularies and scales, fitted on the training split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.dataset import SPLITS, SessionTable
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.schema import CategoricalField, Schema, Task
from rmtl_bench_datasets.workspace import run

_VOCABULARY = """
    CREATE OR REPLACE TABLE vocabulary AS
    SELECT value, row_number() OVER (ORDER BY value) AS id
    FROM (SELECT "{name}" AS value FROM ordered WHERE split = 0 AND "{name}" IS NOT NULL)
    GROUP BY value
    HAVING count(*) >= $min_count
"""

_IDS = """
    SELECT coalesce(id, 0)::INTEGER AS value
    FROM ordered LEFT JOIN vocabulary ON ordered."{name}" = vocabulary.value
    ORDER BY ordered.rowid
"""


def assemble(
    con: duckdb.DuckDBPyConnection,
    scratch: Path,
    categorical: Sequence[str],
    numerical: Sequence[str],
    tasks: Sequence[Task],
    min_count: int,
    notes: Mapping[str, Any],
) -> SessionTable:
    """Return the session table of ``ordered``, whose columns bear the names of the fields and the tasks.

    A categorical value that stands in fewer than ``min_count`` training rows, or is missing, gets id 0. A numerical
    column is standardised with mean and standard deviation of its training rows; a missing value becomes 0, the mean.
    """
    sizes = [int(run(con, "SELECT count(*) FROM ordered WHERE split = $split", {"split": s})[0][0]) for s in range(3)]
    for name, size in zip(SPLITS, sizes, strict=True):
        if size == 0:
            raise DataError(f"the {name} split has no rows: too few rows, or too many of one time, to split by time")
    fields, ids = [], np.empty((sum(sizes), len(categorical)), np.int32)
    for column, name in enumerate(categorical):
        run(con, _VOCABULARY.format(name=name), {"min_count": min_count})
        fields.append(CategoricalField(name, 1 + int(run(con, "SELECT count(*) FROM vocabulary")[0][0])))
        ids[:, column] = con.execute(_IDS.format(name=name)).fetchnumpy()["value"]
    numbers = np.empty((sum(sizes), len(numerical)), np.float32)
    for column, name in enumerate(numerical):
        numbers[:, column] = standardised(_read(con, f"coalesce(\"{name}\"::DOUBLE, 'nan'::DOUBLE)"), sizes[0])
    labels = np.empty((sum(sizes), len(tasks)), np.float32)
    for column, task in enumerate(tasks):
        labels[:, column] = _read(con, f'"{task.name}"::FLOAT')
    ends = _read(con, "session_end::UTINYINT")
    return SessionTable(
        schema=Schema(tuple(fields), tuple(numerical), tuple(tasks)),
        categorical=ids,
        numerical=numbers,
        labels=labels,
        session=_read(con, "session::INTEGER"),
        user=_read(con, "user_number::INTEGER"),
        timestamp=_read(con, "time_ms::BIGINT"),
        session_end=ends,
        split_sizes=(sizes[0], sizes[1], sizes[2]),
        notes={**notes, "sessions_cut_by_a_split": int(np.count_nonzero(ends == 2))},
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


def _read(con: duckdb.DuckDBPyConnection, expression: str) -> Any:
    query = f"SELECT {expression} AS value FROM ordered ORDER BY rowid"  # noqa: S608
    return con.execute(query).fetchnumpy()["value"]
