"""The scores of a suite, one row a run, task and metric, for whatever a reader wants to do with them."""

from __future__ import annotations

import contextlib
import csv
import io
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report.stored_suite import find_plan
from rmtl_bench.store import Index, Refreshed, Store, StoredPlan
from rmtl_bench.store.tables import first_line, write_parquet

EXPORT_COLUMNS = {
    "suite": "VARCHAR",
    "run_id": "VARCHAR",
    "attempt": "INTEGER",
    "dataset": "VARCHAR",
    "backbone": "VARCHAR",
    "weighting": "VARCHAR",
    "method": "VARCHAR",
    "seed": "BIGINT",
    "task": "VARCHAR",
    "metric": "VARCHAR",
    "value": "DOUBLE",
    "higher_is_better": "BOOLEAN",
    "fingerprint": "VARCHAR",
}
"""The columns, with their SQL types. A value that a metric does not define is NaN; ``fingerprint`` is of the data."""

SUFFIXES = (".csv", ".parquet")
"""What a file's name may end with: its format."""

_CELL = ("dataset", "backbone", "weighting", "seed")
_DTYPES: dict[str, Any] = {"DOUBLE": np.float64, "INTEGER": np.int32, "BIGINT": np.int64, "BOOLEAN": np.bool_}
_SCORES = """
WITH well AS (
    SELECT folder, run_id, attempt, json_extract_string(cell, '$.fingerprint') AS fingerprint FROM runs
    WHERE status = 'ok' AND run_id IN (SELECT unnest(CAST($run_ids AS VARCHAR[])))
    QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY attempt DESC) = 1
)
SELECT run_id, attempt, task, metric, value, higher_is_better, fingerprint FROM well JOIN metrics USING (folder)
"""


@dataclass(frozen=True)
class ScoreExport:
    """The scores of the planned runs that ended well, as columns; ``left_out``: the other runs by their status."""

    plan: StoredPlan
    columns: dict[str, NDArray[Any]]
    left_out: dict[str, int]
    refreshed: Refreshed


def format_of(path: Path) -> str:
    """Return the suffix of a file's name; raise :class:`UsageError` for one that names no format."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"--output {path} ends with neither .csv nor .parquet")
    return suffix


def read_export(store: Store, name: str, *, sample: bool = False) -> ScoreExport:
    """Read the scores of a suite, named as :func:`find_plan` takes it.

    A run counts by its latest attempt that ended well. Rows come in the plan's order, then by task and by the plan's
    metrics. Raises :class:`UsageError` when the suite was not run in this store.
    """
    plan = find_plan(store, name, sample=sample)
    index = Index(store)
    refreshed = index.refresh()
    cells = pd.DataFrame([vars(cell) for cell in plan.cells], columns=["run_id", *_CELL])
    run_ids = list(dict.fromkeys(cells["run_id"]))
    names, rows = index.query(_SCORES, {"run_ids": run_ids})
    found = pd.DataFrame(rows, columns=names)
    table = cells.assign(_cell=range(len(cells))).merge(found, on="run_id")
    metrics = [*plan.metrics, *sorted(set(found["metric"]).difference(plan.metrics))]
    order = table["metric"].map({metric: place for place, metric in enumerate(metrics)})
    table = table.assign(suite=plan.name, method=table["backbone"] + "/" + table["weighting"], _metric=order)
    table = table.sort_values(["_cell", "task", "_metric"], kind="stable")
    columns = {column: table[column].to_numpy(dtype=_DTYPES.get(sql, object)) for column, sql in EXPORT_COLUMNS.items()}
    scored = set(found["run_id"])
    statuses = {run_id: attempt.status for run_id, attempt in index.latest(run_ids).items()}
    left_out = Counter(statuses.get(run_id, "to come") for run_id in run_ids if run_id not in scored)
    return ScoreExport(plan, columns, dict(left_out), refreshed)


def as_csv(export: ScoreExport) -> str:
    """Return the scores as CSV: a value has as many digits as bring it back exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(EXPORT_COLUMNS)
    # Python's own numbers: csv writes their shortest exact form.
    writer.writerows(zip(*(export.columns[column].tolist() for column in EXPORT_COLUMNS), strict=True))
    return text.getvalue()


def write_export(export: ScoreExport, path: Path) -> None:
    """Write the scores to a file in the format of its suffix: it is there whole or as it was before.

    Raises :class:`UsageError` when it cannot be written, or has another suffix.
    """
    suffix = format_of(path)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        # An error of the file system is told in its words, and not in DuckDB's.
        aside.touch()
        if suffix == ".csv":
            aside.write_text(as_csv(export), encoding="utf-8", newline="")
        else:
            write_parquet(aside, export.columns, EXPORT_COLUMNS)
        aside.replace(path)
    except (OSError, duckdb.Error) as error:
        why = getattr(error, "strerror", None) or first_line(error)
        raise UsageError(f"--output {path} cannot be written: {why}") from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
