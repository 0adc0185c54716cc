"""A store of 300 runs with everything a report shows, made without training: 3 backbones, 20 weightings, 5 seeds.

``python -m benchmarks.reported_store FOLDER`` writes it. Each run has ten epochs, weights that vary, and predictions of
9,000 test rows in 1,800 sessions, two tasks; one run in sixty failed.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np

from benchmarks.large_store import STATISTICS
from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.store import PlannedCell, Store, StoredPlan, save_plan
from rmtl_bench.store.run_files import (
    RunRecord,
    iso_time,
    write_environment,
    write_predictions,
    write_run,
    write_table,
)

BACKBONES, WEIGHTINGS, SEEDS = 3, 20, 5
RUNS = BACKBONES * WEIGHTINGS * SEEDS
EPOCHS, ROWS, ROWS_A_SESSION = 10, 9_000, 5
TASKS, METRICS = ("click", "purchase"), {"auc": True, "logloss": False}
FAILED_EACH = 60


def write_store(folder: Path) -> Store:
    """Write the store; methods differ by a backbone's and a weighting's share, seeds by noise."""
    store = Store.open(folder)
    labels = np.random.default_rng(0).random((len(TASKS), ROWS)) < np.array([[0.3], [0.05]])
    cells = []
    for number, (seed, backbone, weighting) in enumerate(
        itertools.product(range(SEEDS), range(BACKBONES), range(WEIGHTINGS))
    ):
        names = ("sessions", f"backbone-{backbone}", f"weighting-{weighting}")
        parts = [Component(name, name, 1, "toys", "1") for name in names]
        cell = Cell(parts[0], "0" * 16, parts[1], parts[2], {}, tuple(METRICS), seed)
        gain = 0.004 * backbone + 0.0005 * weighting
        _write_run(store, cell, gain, labels, "failed" if number % FAILED_EACH == FAILED_EACH - 1 else "ok")
        cells.append(PlannedCell(cell.run_id, *names, seed))
    of_suite = {"title": "three hundred runs", "metrics": tuple(METRICS), "statistics": STATISTICS}
    save_plan(store, StoredPlan("reported", 1, "0", tuple(cells), **of_suite))
    return store


def _write_run(store: Store, cell: Cell, gain: float, labels: np.ndarray, status: str) -> None:
    folder = store.runs_path / cell.run_id
    folder.mkdir()
    rng = np.random.default_rng(int(cell.run_id, 16) % 2**32)
    if status == "ok":
        _write_tables(folder, rng, gain, labels)
    error = "" if status == "ok" else "Traceback (most recent call last):\n  File 'a.py', line 1\nValueError: no"
    facts = {"seconds_a_step": 0.01 * (1 + rng.random()), "parameters": 170_000}
    write_environment(folder, {"python": "3.11", "distributions": {"numpy": "2"}})
    write_run(folder, RunRecord(cell.run_id, cell, status, iso_time(0), iso_time(60), {"train": 60.0}, error, facts))


def _write_tables(folder: Path, rng: np.random.Generator, gain: float, labels: np.ndarray) -> None:
    auc = 0.7 + gain + rng.normal(0, 0.002)
    scored = list(itertools.product(TASKS, METRICS))
    columns = zip(*((t, m, auc if m == "auc" else 1 - auc, METRICS[m]) for t, m in scored), strict=True)
    write_table(folder, "metrics", dict(zip(("task", "metric", "value", "higher_is_better"), columns, strict=True)))
    epochs = list(itertools.product(range(1, EPOCHS + 1), TASKS, (*METRICS, "train-loss")))
    columns = zip(*(("train", e, t, q, auc - 0.2 / e + rng.normal(0, 0.002)) for e, t, q in epochs), strict=True)
    write_table(folder, "history", dict(zip(("stage", "epoch", "task", "quantity", "value"), columns, strict=True)))
    weighed = list(itertools.product(range(1, EPOCHS + 1), TASKS))
    rows = [("train", e, t, 1 + gain * e, *(1 + gain * e + by for by in (-0.2, -0.1, 0, 0.1, 0.2))) for e, t in weighed]
    names = ("stage", "epoch", "task", "mean", "q05", "q25", "q50", "q75", "q95")
    write_table(folder, "weights", dict(zip(names, zip(*rows, strict=True), strict=True)))
    predictions = {"row": np.arange(ROWS), "session": np.arange(ROWS) // ROWS_A_SESSION}
    for task, label in zip(TASKS, labels, strict=True):
        logit = rng.normal(0, 1, ROWS) + label * (1 + gain) - 2
        predictions |= {f"label_{task}": label.astype(np.float32), f"score_{task}": 1 / (1 + np.exp(-logit))}
    write_predictions(folder, predictions)


if __name__ == "__main__":
    print(write_store(Path(sys.argv[1])).path)
