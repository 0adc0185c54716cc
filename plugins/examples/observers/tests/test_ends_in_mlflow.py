"""How runs end in MLflow that were lost or never began: no suite, and a folder that MLflow takes for a server."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rmtl_bench.contracts.cell import Cell, Component, Outcome
from rmtl_bench_observers import mlflow_runs
from rmtl_bench_observers.patience import Patience


def cell_of(seed: int) -> Cell:
    dataset, backbone, weighting = (
        Component(name, name, 1, "d", "1", {"width": 4}) for name in ("data", "ple", "equal")
    )
    return Cell(dataset, "0" * 16, backbone, weighting, {"max_epochs": 2}, ("auc",), seed)


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """Begin a suite, and return what asks MLflow for the runs of a cell."""
    mlflow = pytest.importorskip("mlflow", reason="rmtl-bench-observers[mlflow] is not installed")
    for name, value in mlflow_runs._UNLESS_SET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv(mlflow_runs.URI, (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv(mlflow_runs.EXPERIMENT, "mine")
    monkeypatch.setattr(mlflow_runs, "_patience", Patience())
    mlflow_runs.rmtl_suite_started("tiny@1")
    client = mlflow.MlflowClient((tmp_path / "mlruns").as_uri())

    def found(cell: Cell):
        number = client.get_experiment_by_name("mine").experiment_id
        return [
            SimpleNamespace(status=run.info.status, tags=run.data.tags)
            for run in client.search_runs([number], order_by=["attributes.start_time DESC"])
            if run.data.tags["rmtl_bench.run_id"] == cell.run_id
        ]

    return found


def test_a_run_that_was_lost_is_killed_and_the_one_made_again_ends_as_it_ended(runs):
    cell, other = cell_of(0), cell_of(1)
    for begun in (cell, cell, other):
        mlflow_runs.rmtl_run_started(begun)
    mlflow_runs.rmtl_run_finished(cell, Outcome(cell.run_id, "ok", 2.0))
    assert sorted(run.status for run in runs(cell)) == ["FINISHED", "KILLED"]
    assert [run.status for run in runs(other)] == ["RUNNING"]


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ("skipped", "KILLED"),
        ("interrupted", "KILLED"),
        ("oom", "FAILED"),
        ("diverged", "FAILED"),
        ("timeout", "FAILED"),
    ],
)
def test_a_run_that_never_began_has_its_end_there_too(runs, status, end):
    cell = cell_of(0)
    mlflow_runs.rmtl_run_finished(cell, Outcome(cell.run_id, status, 0.0, "the reason\nand more of it"))
    (run,) = runs(cell)
    assert run.status == end
    assert (run.tags["rmtl_bench.status"], run.tags["rmtl_bench.error"]) == (status, "the reason")
    assert run.tags["rmtl_bench.suite"] == "tiny@1"
