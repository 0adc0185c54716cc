"""The tables of many runs, averaged over their seeds, in one query over all their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store.plans import PlannedCell
from rmtl_bench.store.run_files import TABLES
from rmtl_bench.store.tables import check_files, escaped, first_line, memory_connection, read_parquet, register

_LABELS = {"dataset": "VARCHAR", "backbone": "VARCHAR", "weighting": "VARCHAR"}
_KEYS = {
    "history": ("stage", "epoch", "task", "quantity"),
    "weights": ("stage", "epoch", "task"),
    "diagnostics": ("task", "quantity", "position"),
}


def average_over_seeds(
    table: str, cells: Sequence[PlannedCell], folders: Mapping[str, Path]
) -> dict[str, NDArray[Any]]:
    """Return ``history``, ``weights`` or ``diagnostics`` of planned cells as means over the seeds of each method.

    ``folders`` by run id. A run without a folder or without this table is left out, and so are values that are not
    finite. Columns: ``dataset``, ``backbone``, ``weighting`` as the plan calls them, the table's own keys, ``mean``
    and standard deviation ``sd`` of its first value, the means of its further values under their own names, and
    ``n``, the seeds behind ``mean``. Methods come in the plan's order, the rest in the order it was written in.
    Raises :class:`StoreError` naming a file that is not whole.
    """
    keys = [*_LABELS, *_KEYS[table]]
    first, *further = (column for column in TABLES[table] if column not in _KEYS[table])
    files = {run_id: folder / f"{table}.parquet" for run_id, folder in folders.items()}
    files = {run_id: path for run_id, path in files.items() if path.is_file()}
    found = [cell for cell in cells if cell.run_id in files]
    if not found:
        return {column: np.array([], dtype=object) for column in (*keys, "mean", "sd", *further, "n")}
    place: dict[tuple[str, str, str], int] = {}
    for cell in cells:
        place.setdefault(_labels(cell), len(place))
    planned = {
        "filename": [str(files[cell.run_id]) for cell in found],
        **{label: [getattr(cell, label) for cell in found] for label in _LABELS},
        "place": [place[_labels(cell)] for cell in found],
    }
    values = [
        f"{_over_finite('avg', first)} AS mean",
        f"{_over_finite('stddev_samp', first)} AS sd",
        *(f"{_over_finite('avg', column)} AS {column}" for column in further),
        f"count(*) FILTER (WHERE isfinite({first})) AS n",
    ]
    with memory_connection() as connection:
        select = register(connection, "given", planned, {"filename": "VARCHAR", **_LABELS, "place": "INTEGER"})
        # The names are the constants above.
        sql = (
            f"WITH planned AS ({select}) SELECT {', '.join(keys)}, {', '.join(values)} "  # noqa: S608
            "FROM read_parquet(?, filename = true, file_row_number = true, hive_partitioning = false) "
            "JOIN planned USING (filename) "
            f"GROUP BY place, {', '.join(keys)} ORDER BY place, min(file_row_number)"
        )
        paths = list(dict.fromkeys(files[cell.run_id] for cell in found))
        try:
            check_files(connection, paths)
            return dict(connection.execute(sql, [escaped(paths)]).fetchnumpy())
        except duckdb.Error as error:
            for path in paths:
                read_parquet(path)
            raise StoreError(f"the tables {table!r} of these runs do not go together: {first_line(error)}") from error


def _labels(cell: PlannedCell) -> tuple[str, str, str]:
    return cell.dataset, cell.backbone, cell.weighting


def _over_finite(function: str, column: str) -> str:
    # The standard deviation of one value is NULL; a NaN is what the tables of a run mean by undefined.
    return f"coalesce({function}({column}) FILTER (WHERE isfinite({column})), 'nan'::DOUBLE)"
