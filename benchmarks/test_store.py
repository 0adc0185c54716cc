"""Ten thousand runs: into the index, out of it, examined, merged; and a run that is published."""

from __future__ import annotations

import itertools
import os
import shutil

import pytest

from rmtl_bench.contracts.cell import Cell
from rmtl_bench.store import Index, Store
from rmtl_bench.store.check import check_store
from rmtl_bench.store.checksums import write_checksums
from rmtl_bench.store.merge import merge
from rmtl_bench.store.run_files import RunRecord, iso_time, write_environment, write_predictions, write_run, write_table
from rmtl_bench.store.upkeep import upkeep

RUNS = 10_000
METRICS = ("auc", "gauc", "logloss", "session-logloss", "normalised-entropy", "ece")
TASKS = ("click", "purchase")
INGEST_SECONDS, REBUILD_SECONDS = 20, 30
"""What 10,000 runs may take to be ingested, and the index to be made anew from them."""


def _write_tables(folder):
    rows = list(itertools.product(TASKS, METRICS))
    value = [0.5] * len(rows)
    columns = {"task": [t for t, _ in rows], "metric": [m for _, m in rows], "value": value}
    write_table(folder, "metrics", {**columns, "higher_is_better": [m in ("auc", "gauc") for _, m in rows]})
    epochs = [("train", epoch, task) for epoch in range(10) for task in TASKS]
    keys = {name: [epoch[i] for epoch in epochs] for i, name in enumerate(("stage", "epoch", "task"))}
    write_table(folder, "history", {**keys, "quantity": ["auc"] * len(epochs), "value": [0.5] * len(epochs)})
    quantiles = dict.fromkeys(("mean", "q05", "q25", "q50", "q75", "q95"), [1.0] * len(epochs))
    write_table(folder, "weights", {**keys, **quantiles})
    scores = {f"{kind}_{task}": [0.5] * 200 for task in TASKS for kind in ("label", "score")}
    write_predictions(folder, {"row": list(range(200)), "session": list(range(200)), **scores})
    (folder / "log.txt").write_text("")


@pytest.fixture(scope="module")
def cells(component):
    parts = [component("dataset", "simulated"), component("backbone", "mmoe"), component("weighting", "fixed")]
    return [Cell(parts[0], "0" * 16, parts[1], parts[2], {}, METRICS, seed) for seed in range(RUNS)]


@pytest.fixture(scope="module")
def store(cells, tmp_path_factory):
    """Every run has a record and checksums of its own; the tables are the same in all."""
    store = Store.open(tmp_path_factory.mktemp("ingest") / "store")
    tables = tmp_path_factory.mktemp("tables")
    _write_tables(tables)
    for cell in cells:
        folder = store.runs_path / cell.run_id
        shutil.copytree(tables, folder)
        write_environment(folder, {"machine": cell.seed % 4})
        record = RunRecord(cell.run_id, cell, "ok", iso_time(0), iso_time(1), {"train": 1.0})
        write_run(folder, record)
        write_checksums(folder)
    return store


def test_ingest_of_10000_runs(benchmark, store):
    benchmark.group = "store of 10,000 runs"

    def delete():
        for path in store.path.glob("results.duckdb*"):
            path.unlink()

    done = benchmark.pedantic(lambda: Index(store).refresh(), setup=delete, rounds=2)
    assert done.ingested == RUNS
    assert benchmark.stats.stats.min < INGEST_SECONDS


def test_rebuild_of_10000_runs(benchmark, store):
    benchmark.group = "store of 10,000 runs"
    Index(store).refresh()
    done = benchmark.pedantic(lambda: Index(store).rebuild(), rounds=2)
    assert done.ingested == RUNS
    assert benchmark.stats.stats.min < REBUILD_SECONDS


def test_refresh_with_nothing_new(benchmark, store):
    benchmark.group = "store of 10,000 runs"
    Index(store).refresh()
    assert benchmark(lambda: Index(store).refresh()).ingested == 0


def test_scores_of_10000_runs(benchmark, store):
    benchmark.group = "store of 10,000 runs"
    Index(store).refresh()
    assert len(benchmark(lambda: Index(store).scores())["value"]) == RUNS * len(TASKS) * len(METRICS)


def test_check_of_10000_runs(benchmark, store):
    benchmark.group = "store of 10,000 runs"
    Index(store).refresh()
    checked = benchmark.pedantic(lambda: check_store(store), rounds=1)
    assert (checked.runs, checked.findings) == (RUNS, ())


def test_merge_of_10000_runs_that_are_there(benchmark, store, tmp_path):
    benchmark.group = "store of 10,000 runs"
    copy = Store.open(tmp_path / "copy")
    shutil.copytree(store.runs_path, copy.runs_path, dirs_exist_ok=True, copy_function=os.link)

    def again():
        with upkeep(copy):
            return merge(copy, store)

    assert benchmark.pedantic(again, rounds=1).present == RUNS


def test_publishing_a_run(benchmark, store, cells, tmp_path):
    """With its checksums, and everything flushed to the disk; the folder is copied before the clock starts."""
    benchmark.group = "one run"
    target = Store.open(tmp_path / "store")
    runs = iter(cells)

    def staged():
        cell = next(runs)
        staging = target.staging_folder(cell.run_id)
        shutil.copytree(store.runs_path / cell.run_id, staging, dirs_exist_ok=True)
        (staging / "checksums.json").unlink()
        return (staging, cell.run_id), {}

    benchmark.pedantic(target.publish, setup=staged, rounds=50)


def test_claiming_a_run(benchmark, store):
    benchmark.group = "one run"

    def claim():
        assert store.claim("0" * 16)
        assert store.attempts("0" * 16) == 0
        store.release("0" * 16)

    benchmark(claim)
