"""From run folders to the rows of the index."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np

from rmtl_bench.contracts.cell import canonical_json
from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import schema
from rmtl_bench.store.layout import RunFolder
from rmtl_bench.store.run_files import TABLES, RunRecord, read_environment, read_run
from rmtl_bench.store.tables import Columns, first_line, read_many, register

_COMPONENTS = ("dataset", "backbone", "weighting")


@dataclass(frozen=True)
class Problem:
    """A folder that cannot be read, and why."""

    path: Path
    reason: str


class Stamp(NamedTuple):
    """What tells a folder that was ingested from one that has changed: of its run.json, nanoseconds and bytes."""

    mtime: int
    size: int


def stamp(runs: Path, name: str) -> Stamp:
    """Return the stamp of a run's folder; a missing run.json has one too, and fails when it is read."""
    try:
        found = os.stat(f"{runs}/{name}/run.json")  # noqa: PTH116 -- ten thousand a refresh: a Path costs as much again
    except OSError:
        return Stamp(0, 0)
    return Stamp(found.st_mtime_ns, found.st_size)


@dataclass(frozen=True)
class Batch:
    """The rows of some runs, by table, ready to be inserted, and the folders that could not be read."""

    rows: dict[str, Columns]
    runs: int
    problems: list[Problem]


def read_batch(folders: Sequence[tuple[RunFolder, Stamp]]) -> Batch:
    """Read runs from their folders. A folder that is broken becomes a problem, and the others are read."""
    problems: list[Problem] = []
    readable: list[tuple[RunFolder, Stamp, dict[str, Any]]] = []
    for folder, seen in folders:
        try:
            readable.append((folder, seen, _run_row(folder, checked(folder))))
        except StoreError as error:
            problems.append(Problem(folder.path, str(error)))
    metrics, broken = _metrics([folder for folder, _, _ in readable])
    problems += broken
    unreadable = {problem.path for problem in broken}
    readable = [entry for entry in readable if entry[0].path not in unreadable]
    contents: dict[str, str] = {}
    for folder, _, row in readable:
        if content := _environment(folder.path):
            row["environment"] = hashlib.sha256(content.encode()).hexdigest()[:16]
            contents[row["environment"]] = content
    rows: dict[str, Columns] = {
        "runs": {column: [row[column] for _, _, row in readable] for column in schema.RUNS},
        "metrics": metrics,
        "environments": {"hash": list(contents), "content": list(contents.values())},
        "ingested_files": {
            "folder": [folder.path.name for folder, _, _ in readable],
            "mtime": [seen.mtime for _, seen, _ in readable],
            "size": [seen.size for _, seen, _ in readable],
        },
    }
    return Batch(rows, len(readable), problems)


def insert(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    """Insert a batch into the index; the caller holds the transaction."""
    for table, columns in batch.rows.items():
        select = register(connection, "batch", columns, schema.TABLES[table])
        known = " WHERE hash NOT IN (SELECT hash FROM environments)" if table == "environments" else ""
        connection.execute(f"INSERT INTO {table} {select}{known}")
        connection.unregister("batch")


def checked(folder: RunFolder) -> RunRecord:
    """Return what a run's folder says; raises :class:`StoreError` where it is another run's, or lacks its scores."""
    record = read_run(folder.path)
    if record.run_id != folder.run_id:
        raise StoreError(f"{folder.path} holds the run {record.run_id}; its name is another run's")
    if record.status == "ok" and not (folder.path / "metrics.parquet").is_file():
        raise StoreError(f"{folder.path} says it ended well, but has no metrics.parquet")
    return record


def _metrics(folders: Sequence[RunFolder]) -> tuple[Columns, list[Problem]]:
    paths = [folder.path / "metrics.parquet" for folder in folders]
    paths = [path for path in paths if path.is_file()]
    try:
        return _metric_rows(paths), []
    except duckdb.Error:
        problems = []
        for path in paths:
            try:
                _metric_rows([path])
            except duckdb.Error as error:
                problems.append(Problem(path.parent, f"{path} cannot be read: {first_line(error)}"))
        broken = {problem.path for problem in problems}
        return _metric_rows([path for path in paths if path.parent not in broken]), problems


def _metric_rows(paths: Sequence[Path]) -> Columns:
    if not paths:
        return {column: [] for column in schema.METRICS}
    found = read_many(paths, TABLES["metrics"])
    files, file = np.unique(found.pop("filename").astype(str), return_inverse=True)
    names = np.array([Path(name).parent.name for name in files], dtype=object)
    return {"folder": names[file], **found}


def _environment(folder: Path) -> str:
    try:
        environment = read_environment(folder)
    except StoreError:
        return ""
    # As it was written; what was mended in reading stays mended.
    return json.dumps(environment, indent=1, sort_keys=True) + "\n" if environment else ""


def _run_row(folder: RunFolder, record: RunRecord) -> dict[str, Any]:
    cell = record.cell
    row = {
        "folder": folder.path.name,
        "run_id": folder.run_id,
        "attempt": folder.attempt,
        "status": record.status,
        "dataset": cell.dataset.label,
        "backbone": cell.backbone.label,
        "weighting": cell.weighting.label,
        "seed": cell.seed,
        "started": record.started,
        "finished": record.finished,
        "seconds": sum(record.seconds.values()),
        "error": record.error,
        "facts": dict(record.facts),
        "seconds_by_phase": dict(record.seconds),
        "environment": "",
    }
    try:
        # As Cell.to_json has it, without a copy of everything: there are ten thousand.
        row["cell"] = {**vars(cell), **{kind: vars(getattr(cell, kind)) for kind in _COMPONENTS}}
        return {column: _as_sql(row[column], sql) for column, sql in schema.RUNS.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise StoreError(f"{folder.path / 'run.json'} is no record of a run: {error}") from error


def _as_sql(value: Any, sql: str) -> Any:
    """Return a value as the index takes it. One bad value in a batch would otherwise fail every run of it."""
    if isinstance(value, dict):
        return canonical_json(value)
    if sql == "VARCHAR":
        str.encode(value)
        return value
    return float(value) if sql == "DOUBLE" else int(np.int64(value))
