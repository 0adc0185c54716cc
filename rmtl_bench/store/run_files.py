"""What is in a run folder, written and read.

=====================  ================================================================================
run.json               :class:`RunRecord`: what was run, how it ended
environment.json       where it was run, any mapping
metrics.parquet        one row a task and metric
history.parquet        one row a stage, epoch, task and quantity
weights.parquet        one row a stage, epoch and task: mean and quantiles of the weights used
diagnostics.parquet    one row a task, quantity and position: what the weighting says of itself; only where it does
predictions.parquet    one row a test row: its position, session, labels and scores by task
profile.json           :class:`~rmtl_bench.store.profiles.RunProfile`; only of a run that was profiled
trace.json.gz          the operations of its first steps, for a viewer of traces; only of a run that was profiled
kept.safetensors       what later runs may want of this one; only where a run builds on it
log.txt                what the run said
=====================  ================================================================================

A run that diverged has history and weights up to its last good epoch, and metrics and predictions of the best state
that its backbone had until then, if any epoch was good; they enter no score. Diagnostics and what later runs may want
are of runs that ended well alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rmtl_bench.contracts.cell import STATUSES, Cell
from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.contracts.reading import read_json
from rmtl_bench.store.record_checks import check_cell, check_facts, check_id, in_a_line
from rmtl_bench.store.tables import Columns, read_parquet, write_parquet

RUN_FORMAT = 1
"""The format of a run folder, written into ``run.json``."""

LARGEST = 4 << 20
"""The most bytes that ``run.json`` and ``environment.json`` may have."""

TABLES: Mapping[str, Mapping[str, str]] = {
    "metrics": {"task": "VARCHAR", "metric": "VARCHAR", "value": "DOUBLE", "higher_is_better": "BOOLEAN"},
    "history": {
        "stage": "VARCHAR",
        "epoch": "INTEGER",
        "task": "VARCHAR",
        "quantity": "VARCHAR",
        "value": "DOUBLE",
    },
    "weights": {
        "stage": "VARCHAR",
        "epoch": "INTEGER",
        "task": "VARCHAR",
        **dict.fromkeys(("mean", "q05", "q25", "q50", "q75", "q95"), "DOUBLE"),
    },
    "diagnostics": {"task": "VARCHAR", "quantity": "VARCHAR", "value": "DOUBLE", "position": "INTEGER"},
}
"""The columns of a run's tables, with their SQL types; ``diagnostics`` is there only where there is something to say.

A ``position`` of -1 is none.
"""

_OLD_STATUSES = {"killed": "interrupted"}
"""What runs of earlier versions say of their end, and what it is called now."""


@dataclass(frozen=True)
class RunRecord:
    """What was run and how it ended: the contents of ``run.json``.

    ``status`` is one of :data:`~rmtl_bench.contracts.cell.STATUSES`; ``seconds`` by phase; ``error`` a
    traceback, empty for a run that ended well; ``started`` and ``finished`` ISO 8601 times; ``facts``, whatever
    else a reader may want to know, JSON-ready. The attempt is told by the name of the folder.

    Among the facts of a run that was trained: ``stages``, how each went; ``seconds_a_step``, the mean seconds of a
    training step, evaluation left out; ``parameters``, the number of the backbone's; where it diverged and something
    was good before, ``kept_epoch``, the ``stage``, ``epoch`` and ``score`` of the state that was tested.
    """

    run_id: str
    cell: Cell
    status: str
    started: str
    finished: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status is {self.status!r}; it is one of {', '.join(STATUSES)}")


def iso_time(seconds: float) -> str:
    """Return a time in seconds since the epoch as ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def write_run(folder: Path, record: RunRecord) -> None:
    """Write ``run.json``."""
    data = {
        "format": RUN_FORMAT,
        "run_id": record.run_id,
        "cell": record.cell.to_json(),
        "status": record.status,
        "started": record.started,
        "finished": record.finished,
        "seconds": {phase: float(value) for phase, value in record.seconds.items()},
        "error": _encodable(record.error),
        "facts": dict(record.facts),
    }
    _write_json(folder / "run.json", data)


def read_run(folder: Path) -> RunRecord:
    """Return what ``run.json`` says.

    Raises :class:`StoreError` naming the file when it is missing, truncated, of another format or foreign, a link or no
    regular file, or larger than :data:`LARGEST`. Whether the cell is the one that the id was made of is not asked.
    """
    path = folder / "run.json"
    try:
        data = read_json(path, LARGEST, links=False)
        if data["format"] != RUN_FORMAT:
            raise StoreError(f"{path} has format {data['format']!r}; this rmtl-bench reads format {RUN_FORMAT}")
        check_cell(data["cell"])
        check_facts(data["facts"])
        return RunRecord(
            run_id=check_id(data["run_id"]),
            cell=Cell.from_json(data["cell"]),
            status=_OLD_STATUSES.get(data["status"], data["status"]),
            started=str(data["started"]),
            finished=str(data["finished"]),
            seconds={str(phase): float(value) for phase, value in data["seconds"].items()},
            error=_encodable(str(data["error"])),
            facts=dict(data["facts"]),
        )
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise StoreError(f"{path} is no record of a run: {in_a_line(error)}") from error


def write_environment(folder: Path, environment: Mapping[str, Any]) -> None:
    """Write ``environment.json``, any JSON-ready mapping."""
    _write_json(folder / "environment.json", environment)


def read_environment(folder: Path) -> dict[str, Any]:
    """Return what ``environment.json`` says; empty when the run has none. Raises :class:`StoreError`."""
    path = folder / "environment.json"
    try:
        environment = read_json(path, LARGEST, links=False)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    if not isinstance(environment, dict):
        raise StoreError(f"{path} cannot be read: it holds no mapping")
    return environment


def write_table(folder: Path, name: str, columns: Columns) -> None:
    """Write one of :data:`TABLES`, which has its columns."""
    write_parquet(folder / f"{name}.parquet", columns, TABLES[name])


def write_predictions(folder: Path, columns: Columns) -> None:
    """Write ``predictions.parquet``.

    ``columns``: ``row`` and ``session`` int [N], and for each task ``label_<task>``, NaN where it is missing, and
    ``score_<task>``, both written as float32 [N]. Raises :class:`StoreError` for any other column.
    """
    types = {"row": "BIGINT", "session": "BIGINT"}
    tasks = [name.removeprefix("score_") for name in columns if name.startswith("score_")]
    for task in tasks:
        types |= {f"label_{task}": "FLOAT", f"score_{task}": "FLOAT"}
    write_parquet(folder / "predictions.parquet", columns, types)


def read_table(folder: Path, name: str) -> dict[str, NDArray[Any]]:
    """Return the columns of one of :data:`TABLES`, or of ``predictions``. Raises :class:`StoreError`."""
    path = folder / f"{name}.parquet"
    columns = read_parquet(path, TABLES.get(name))
    for column, values in columns.items() if name not in TABLES else ():
        known = column in ("row", "session") or column.startswith(("label_", "score_"))
        if not known or not column.isprintable():
            raise StoreError(f"{path} has a column {column!r}, which no predictions have")
        if values.dtype.kind not in ("f" if "_" in column else "i"):
            raise StoreError(f"{path}: column {column!r} is {values.dtype}; it takes numbers")
    return columns


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def _encodable(text: str) -> str:
    # A traceback quotes file names, which need not be Unicode; DuckDB takes nothing else.
    return text.encode("utf-8", "replace").decode("utf-8")
