"""Runs in MLflow: one MLflow run for every run of a suite, where ``RMTL_BENCH_MLFLOW`` names a tracking server.

``RMTL_BENCH_MLFLOW`` is a tracking URI, ``http://host:5000`` say; without it nothing here does anything.
``MLFLOW_TRACKING_URI`` alone is not taken for a wish: many have it set for other work. Credentials are MLflow's to
find, in its own variables. ``RMTL_BENCH_MLFLOW_EXPERIMENT`` names the experiment, ``rmtl-bench`` unless given.

The run's own process begins the MLflow run and sends each epoch. How it ended is known in the main process alone, which
finds the MLflow run by its tag ``rmtl_bench.run_id``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rmtl_bench import hookimpl
from rmtl_bench.contracts.cell import Cell, EpochRecord, Outcome
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.wording import reason
from rmtl_bench_observers.facts import counted, measured_of, parameters_of, plain, values_of
from rmtl_bench_observers.patience import Patience

if TYPE_CHECKING:
    from mlflow import MlflowClient

URI, EXPERIMENT = "RMTL_BENCH_MLFLOW", "RMTL_BENCH_MLFLOW_EXPERIMENT"
RUN_TAG = "rmtl_bench.run_id"

_UNLESS_SET = {
    # MLflow reports on its use to its makers unless told otherwise: that is nothing a user of this has asked for.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Standard output is the command's.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # By default a server that is gone would be waited for up to minutes, at every call, while a training stands still.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
_ENDS = {"ok": "FINISHED", "interrupted": "KILLED", "skipped": "KILLED"}
"""How MLflow calls the end of a run; every other is ``FAILED``."""
_PARAMETERS_A_CALL = 100
_LONGEST = 500

_patience = Patience()
_suite: dict[str, str] = {}
"""In the main process: the name of the suite that is run."""
_runs: dict[str, str] = {}
"""In a run's process: MLflow's ids of runs by ours. Several, where seeds are trained side by side."""


@hookimpl
def rmtl_suite_started(suite: str) -> None:
    """Make the experiment if there is none, before the processes of runs look for it."""
    if _is_wanted():
        _suite.update(name=suite)
        with _patience.trying():
            client = _client()
            if client.get_experiment_by_name(_experiment()) is None:
                client.create_experiment(_experiment())


@hookimpl
def rmtl_run_started(cell: Cell) -> None:
    """Begin the MLflow run and send what decides its numbers."""
    if _is_wanted():
        with _patience.trying():
            _runs[cell.run_id] = _begin(_client(), cell)


@hookimpl
def rmtl_epoch_finished(cell: Cell, record: EpochRecord) -> None:
    """Send the losses and the validation values of the epoch."""
    if _is_wanted() and cell.run_id in _runs:
        with _patience.trying():
            _send(_client(), _runs[cell.run_id], values_of(record), record.epoch)


@hookimpl
def rmtl_run_finished(cell: Cell, outcome: Outcome) -> None:
    """Send the test metrics and end the MLflow run as this one ended."""
    if _is_wanted():
        with _patience.trying():
            _end(_client(), cell, outcome)


@hookimpl
def rmtl_suite_finished(summary: dict[str, int]) -> None:
    """Note at the experiment how the suite ended."""
    if _is_wanted():
        with _patience.trying():
            client = _client()
            client.set_experiment_tag(_experiment_id(client), f"rmtl_bench.{plain(_suite['name'])}", counted(summary))


def _is_wanted() -> bool:
    return bool(os.environ.get(URI)) and not _patience.is_at_its_end


def _experiment() -> str:
    return os.environ.get(EXPERIMENT) or "rmtl-bench"


def _client() -> MlflowClient:
    for name, value in _UNLESS_SET.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        _patience.give_up()
        raise UsageError(f"{URI} is set, and mlflow is lacking: pip install 'rmtl-bench-observers[mlflow]'") from error
    return MlflowClient(os.environ[URI])


def _experiment_id(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name(_experiment())
    if experiment is None:
        raise UsageError(f"MLflow has no experiment {_experiment()!r} where {URI} points to")
    return str(experiment.experiment_id)


def _begin(client: MlflowClient, cell: Cell) -> str:
    from mlflow.entities import Param

    begun = client.create_run(_experiment_id(client), run_name=cell.label, tags={RUN_TAG: cell.run_id})
    run: str = begun.info.run_id
    parameters = [Param(name, str(value)[:_LONGEST]) for name, value in parameters_of(cell).items()]
    for first in range(0, len(parameters), _PARAMETERS_A_CALL):
        client.log_batch(run, params=parameters[first : first + _PARAMETERS_A_CALL])
    return run


def _send(client: MlflowClient, run: str, values: dict[str, float], step: int) -> None:
    from mlflow.entities import Metric

    now = round(time.time() * 1000)
    client.log_batch(run, metrics=[Metric(name, value, now, step) for name, value in values.items()])


def _end(client: MlflowClient, cell: Cell, outcome: Outcome) -> None:
    # One that never began has no MLflow run yet.
    run, *lost = _begun(client, cell) or [_begin(client, cell)]
    _send(client, run, {**measured_of(outcome.folder), "seconds": outcome.seconds}, 0)
    tags = {"suite": _suite["name"], "status": outcome.status, "error": reason(outcome.error)[:_LONGEST]}
    for name, text in tags.items():
        if text:
            client.set_tag(run, f"rmtl_bench.{name}", text)
    client.set_terminated(run, _ENDS.get(outcome.status, "FAILED"))
    # The process of a run that was lost is gone, and the run was made again: nobody else will end these.
    for earlier in lost:
        client.set_terminated(earlier, "KILLED")


def _begun(client: MlflowClient, cell: Cell) -> Sequence[str]:
    """Return MLflow's ids of the attempts at this run that have not ended, the latest first."""
    which = f"tags.`{RUN_TAG}` = '{cell.run_id}' and attributes.status = 'RUNNING'"
    found = client.search_runs([_experiment_id(client)], which, order_by=["attributes.start_time DESC"])
    return [run.info.run_id for run in found]
