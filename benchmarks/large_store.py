"""A store of ten thousand runs, made without training: 4 data sets, 10 backbones, 25 weightings, 10 seeds.

``python -m benchmarks.large_store FOLDER`` writes it.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.store import PlannedCell, Store, StoredPlan, save_plan
from rmtl_bench.store.run_files import TABLES, RunRecord, iso_time, write_run
from rmtl_bench.store.tables import memory_connection, register

DATASETS, BACKBONES, WEIGHTINGS, SEEDS = 4, 10, 25, 10
RUNS = DATASETS * BACKBONES * WEIGHTINGS * SEEDS
METRICS = {
    "auc": True,
    "gauc": True,
    "logloss": False,
    "session-logloss": False,
    "normalised-entropy": False,
    "ece": False,
}
TASKS = ("click", "purchase")
STATISTICS = {
    "reference": "*/weighting-0",
    "scope": "same-backbone",
    "delta_m": "backbone-0/weighting-0",
    "headline": ["auc", "logloss"],
    "equivalence": {"auc": 0.001, "logloss": "0.1%"},
    "comparisons": [
        {
            "name": "weighting-1 against its control",
            "candidates": ["*/weighting-1"],
            "references": ["*/weighting-2"],
            "scope": "same-backbone",
            "control": True,
        }
    ],
}


def write_store(folder: Path) -> Store:
    """Write the store, in about a minute; scores have a data set's, a backbone's, a weighting's and a seed's share."""
    store = Store.open(folder)
    rng = np.random.default_rng(0)
    names = (("data", DATASETS), ("backbone", BACKBONES), ("weighting", WEIGHTINGS))
    shares = [rng.normal(0, scale, n) for scale, (_, n) in zip((0.05, 0.004, 0.002), names, strict=True)]
    cells = []
    rows = list(itertools.product(TASKS, METRICS))
    with memory_connection() as connection:
        for seed, *parts in itertools.product(range(SEEDS), *(range(n) for _, n in names)):
            components = [
                Component(f"{name}-{i}", f"{name}-{i}", 1, "toys", "1")
                for (name, _), i in zip(names, parts, strict=True)
            ]
            cell = Cell(components[0], "0" * 16, *components[1:], {}, tuple(METRICS), seed)
            value = 0.7 + sum(share[i] for share, i in zip(shares, parts, strict=True)) + 0.001 * seed
            columns = {
                "task": [task for task, _ in rows],
                "metric": [metric for _, metric in rows],
                "value": value + rng.normal(0, 0.001, len(rows)),
                "higher_is_better": [METRICS[metric] for _, metric in rows],
            }
            run = store.runs_path / cell.run_id
            run.mkdir()
            select = register(connection, "given", columns, TABLES["metrics"])
            connection.execute(f"COPY ({select}) TO ? (FORMAT parquet)", [str(run / "metrics.parquet")])
            facts = {"seconds_a_step": 0.001 * (1 + parts[2]), "parameters": 1000 * (1 + parts[1])}
            write_run(run, RunRecord(cell.run_id, cell, "ok", iso_time(0), iso_time(60), {"train": 60.0}, "", facts))
            cells.append(PlannedCell(cell.run_id, *(c.label for c in components), seed))
    plan = StoredPlan(
        "large", 1, "0", tuple(cells), title="ten thousand runs", metrics=tuple(METRICS), statistics=STATISTICS
    )
    save_plan(store, plan)
    return store


if __name__ == "__main__":
    print(write_store(Path(sys.argv[1])).path)
