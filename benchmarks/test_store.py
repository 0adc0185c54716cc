"""Ingest of 1,000 runs into the index."""

from __future__ import annotations

import itertools

import pytest

from rmtl_bench.contracts.cell import Cell
from rmtl_bench.store import Index, Store
from rmtl_bench.store.run_files import RunRecord, iso_time, write_environment, write_run, write_table

RUNS = 1_000
METRICS = ("auc", "gauc", "logloss", "session-logloss", "normalised-entropy", "ece")


@pytest.fixture(scope="module")
def store(component, tmp_path_factory):
    store = Store.open(tmp_path_factory.mktemp("ingest") / "store")
    parts = [component("dataset", "simulated"), component("backbone", "mmoe"), component("weighting", "fixed")]
    for seed in range(RUNS):
        cell = Cell(parts[0], "0" * 16, parts[1], parts[2], {}, METRICS, seed)
        staging = store.staging_folder(cell.run_id)
        rows = list(itertools.product(("click", "purchase"), METRICS))
        columns = {
            "task": [task for task, _ in rows],
            "metric": [metric for _, metric in rows],
            "value": [0.5 + seed / RUNS] * len(rows),
            "higher_is_better": [metric in ("auc", "gauc") for _, metric in rows],
        }
        write_table(staging, "metrics", columns)
        write_environment(staging, {"machine": seed % 4})
        write_run(staging, RunRecord(cell.run_id, cell, "ok", iso_time(0), iso_time(1), {"train": 1.0}))
        store.publish(staging, cell.run_id)
    return store


def test_ingest_of_1000_runs(benchmark, store):
    benchmark.group = "index of 1,000 runs"
    done = benchmark.pedantic(lambda: Index(store).rebuild(), rounds=5, warmup_rounds=1)
    assert done.ingested == RUNS


def test_refresh_with_nothing_new(benchmark, store):
    benchmark.group = "index of 1,000 runs"
    Index(store).refresh()
    assert benchmark(lambda: Index(store).refresh()).ingested == 0


def test_scores_of_1000_runs(benchmark, store):
    benchmark.group = "index of 1,000 runs"
    Index(store).refresh()
    assert len(benchmark(lambda: Index(store).scores())["value"]) == RUNS * 2 * len(METRICS)
