"""What there is to say of a run, as plain names and numbers: the same for every observer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.cell import Cell, EpochRecord


def plain(name: str) -> str:
    """Return a name in letters, digits and ``_ . -`` alone: names of tasks are whatever their data set calls them."""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII).lstrip(".") or "_"


def parameters_of(cell: Cell) -> dict[str, Any]:
    """Return what decides a run's numbers, flat: ``backbone``, ``backbone.dropout``, ``trainer.batch_size``, ..."""
    found: dict[str, Any] = {"seed": cell.seed, "run_id": cell.run_id, "fingerprint": cell.fingerprint}
    for kind in ("dataset", "backbone", "weighting"):
        component = getattr(cell, kind)
        found[kind] = component.label
        found[f"{kind}.plugin"] = f"{component.name} of {component.distribution} {component.distribution_version}"
        found |= {f"{kind}.{name}": value for name, value in component.parameters.items()}
    return found | {f"trainer.{name}": value for name, value in cell.trainer.items()}


def values_of(record: EpochRecord) -> dict[str, float]:
    """Return an epoch's numbers by name: ``train/loss/click``, ``train/auc/click``, ``train/score``, ``train/seconds``.

    The first part is the stage. What is not finite is left out: there is no place for it in a chart.
    """
    stage = plain(record.stage)
    values = {f"{stage}/score": record.score, f"{stage}/seconds": record.seconds}
    values |= {f"{stage}/loss/{plain(task)}": loss for task, loss in record.losses.items()}
    values |= {f"{stage}/{plain(metric)}/{plain(task)}": value for (task, metric), value in record.values.items()}
    return _finite(values.items())


def measured_of(folder: Path | None) -> dict[str, float]:
    """Return the test metrics of a run by name, ``test/auc/click``, from its folder; none if the run has no metrics.

    ``docs/store.md`` describes the files.
    """
    if folder is None or not (folder / "metrics.parquet").is_file():
        return {}
    # Imported here: every command imports this module, and few need DuckDB.
    import duckdb

    with duckdb.connect() as con:
        query = "SELECT metric, task, value FROM read_parquet($file)"
        rows = con.execute(query, {"file": str(folder / "metrics.parquet")}).fetchall()
    return _finite((f"test/{plain(metric)}/{plain(task)}", value) for metric, task, value in rows)


def _finite(values: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    return {name: value for name, value in values if value is not None and math.isfinite(value)}


def counted(summary: Mapping[str, int]) -> str:
    """Return the number of runs by status in words."""
    return ", ".join(f"{count} {status}" for status, count in summary.items() if count)
