"""How often the label was there where it was said to be so likely: the test predictions of many runs, by score.

The bins hold nearly as many rows each, so that a label of one row in two hundred is seen as well as one of every second
row. They are cut on a fine grid of the log-odds of the score, 1/64 wide, which takes no sorting: rows with the same
score are never parted, and a bin has the mass it should have to within one step of the grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store.plans import PlannedCell
from rmtl_bench.store.tables import check_files, escaped, first_line, memory_connection, read_parquet, register

RELIABILITY_COLUMNS = ("dataset", "backbone", "weighting", "task", "bin", "n", "mean_score", "mean_label")
"""The columns of :func:`reliability`."""

BINS = 12
STEPS = 64
"""Steps of the grid a unit of log-odds."""

_CLIP = 1e-9
_LABELS = ("dataset", "backbone", "weighting")


def reliability(cells: Sequence[PlannedCell], folders: Mapping[str, Path], bins: int = BINS) -> dict[str, NDArray[Any]]:
    """Return the test predictions of planned cells in bins of nearly equal mass, all seeds of a method pooled.

    ``folders`` by run id. A run without a folder or without predictions is left out, and so are rows whose label is
    missing. Columns, a row a data set, method, task and bin that has rows, in this order: ``dataset``, ``backbone``,
    ``weighting`` as the plan calls them, ``task``, ``bin`` from 0, the rows ``n``, the ``mean_score`` and the
    ``mean_label``. Many equal scores make one bin of several.
    Raises :class:`StoreError` naming a file that is not whole.
    """
    files = {run_id: folder / "predictions.parquet" for run_id, folder in folders.items()}
    files = {run_id: path for run_id, path in files.items() if path.is_file()}
    found = [cell for cell in cells if cell.run_id in files]
    if not found:
        return {column: np.array([], dtype=object) for column in RELIABILITY_COLUMNS}
    planned = {
        "filename": [str(files[cell.run_id]) for cell in found],
        **{label: [getattr(cell, label) for cell in found] for label in _LABELS},
    }
    paths = list(dict.fromkeys(files[cell.run_id] for cell in found))
    with memory_connection() as connection:
        try:
            select = register(connection, "given", planned, dict.fromkeys(planned, "VARCHAR"))
            check_files(connection, paths)
            tasks = _tasks(connection, paths)
            given = {"paths": escaped(paths), "bins": bins, **{f"task{k}": task for k, task in enumerate(tasks)}}
            return dict(connection.execute(_sql(select, tasks), given).fetchnumpy())
        except duckdb.Error as error:
            for path in paths:
                read_parquet(path)
            raise StoreError(f"the predictions of these runs do not go together: {first_line(error)}") from error


def _tasks(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> list[str]:
    """Return the tasks that any of the files has, in the order of the first file that has them."""
    answer = connection.execute(
        "DESCRIBE SELECT * FROM read_parquet(?, union_by_name = true, hive_partitioning = false)", [escaped(paths)]
    )
    columns = [name for name, *_ in answer.fetchall()]
    return [name.removeprefix("label_") for name in columns if name.startswith("label_")]


def _sql(planned: str, tasks: Sequence[str]) -> str:
    long = " UNION ALL ".join(
        f"SELECT filename, $task{k} AS task, {_quoted('label_' + task)} AS label, "  # noqa: S608 -- names are quoted
        f"CAST({_quoted('score_' + task)} AS DOUBLE) AS score FROM found"
        for k, task in enumerate(tasks)
    )
    labels = ", ".join(_LABELS)
    # A bin of the grid goes where its middle row goes.
    return f"""
        WITH planned AS ({planned}),
        found AS (
            SELECT * FROM read_parquet($paths, filename = true, union_by_name = true, hive_partitioning = false)
        ),
        long AS ({long}),
        grid AS (
            SELECT {labels}, task, floor(ln(p / (1 - p)) * {STEPS}) AS step,
                count(*) AS rows, sum(score) AS scores, sum(label) AS labels
            FROM (SELECT *, least(greatest(score, {_CLIP}), 1 - {_CLIP}) AS p FROM long) JOIN planned USING (filename)
            WHERE isfinite(label) AND isfinite(score)
            GROUP BY ALL
        ),
        placed AS (
            SELECT *, (sum(rows) OVER (PARTITION BY {labels}, task ORDER BY step) - rows / 2)
                / sum(rows) OVER (PARTITION BY {labels}, task) AS place
            FROM grid
        )
        SELECT {labels}, task, CAST(floor(place * $bins) AS INTEGER) AS bin, CAST(sum(rows) AS BIGINT) AS n,
            sum(scores) / sum(rows) AS mean_score, sum(labels) / sum(rows) AS mean_label
        FROM placed GROUP BY ALL ORDER BY ALL
    """  # noqa: S608 -- own names, and names that are quoted


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
