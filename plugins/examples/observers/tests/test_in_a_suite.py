"""A suite through the command line, watched by both observers at once; what they were told against the store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

import rmtl_bench
from rmtl_bench.contracts.cell import Cell

TOY = Path(__file__).parents[4] / "tests" / "toy" / "toy_plugin.py"

# A run that ends well and one that fails in its first step, at the same time.
SUITE = """
name = "watched"
seeds = 1
metrics = ["auc", "logloss"]
[trainer]
batch_size = 128
max_epochs = 2
[datasets.toy-sessions]
parameters = { rows = 300 }
[backbones.toy-logistic]
[weightings.toy-equal]
[weightings.broken]
plugin = "toy-equal"
parameters = { behaviour = "raise" }
[[grid]]
backbones = ["toy-logistic"]
weightings = ["toy-equal", "broken"]
"""


def run(folder: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    (folder / "watched.toml").write_text(SUITE)
    command = [sys.executable, "-P", "-m", "rmtl_bench.cli.main", "run", "--suite", folder / "watched.toml"]
    options = ["--plugin", TOY, "--store", folder / "store", "--jobs", "2"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RMTL_BENCH_", "MLFLOW_"))}
    clean |= {"RMTL_BENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", **env}
    return subprocess.run([*map(str, command + options)], env=clean, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def watched(installed, tmp_path_factory) -> SimpleNamespace:
    """The suite, run once, and the truth about it: cells by label, epochs and test metrics from the store."""
    pytest.importorskip("tensorboard", reason="rmtl-bench-observers[tensorboard] is not installed")
    pytest.importorskip("mlflow", reason="rmtl-bench-observers[mlflow] is not installed")
    folder = tmp_path_factory.mktemp("watched")
    env = {"RMTL_BENCH_TENSORBOARD": str(folder / "logs"), "RMTL_BENCH_MLFLOW": (folder / "mlruns").as_uri()}
    # A folder needs no server; MLflow wants to be told that one knows that it is no place for much.
    done = run(folder, {**env, "MLFLOW_ALLOW_FILE_STORE": "true"})
    assert done.returncode == 1, done.stderr
    runs = [json.loads(file.read_text()) for file in sorted((folder / "store" / "runs").glob("*/run.json"))]
    cells = {(cell := Cell.from_json(found["cell"])).label: cell for found in runs}
    scores = rmtl_bench.open(folder / "store").scores()
    return SimpleNamespace(folder=folder, said=done.stderr, cells=cells, scores=scores)


def expected_of(watched: SimpleNamespace, cell: Cell) -> dict[str, float]:
    rows = watched.scores[watched.scores.run_id == cell.run_id]
    return {f"test/{row.metric}/{row.task}": row.value for row in rows.itertuples()}


def ended_well(watched: SimpleNamespace) -> list[Cell]:
    return [cell for label, cell in watched.cells.items() if "/broken/" not in label]


def test_observers_say_nothing_where_all_is_well(watched):
    assert len(watched.cells) == 2
    assert "warning" not in watched.said
    logs = [log.read_text() for log in (watched.folder / "store" / "runs").glob("*/log.txt")]
    assert not any("warning" in log for log in logs)


@pytest.fixture(scope="module")
def runs(watched):
    """MLflow's runs by our run ids."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        client = MlflowClient((watched.folder / "mlruns").as_uri())
        (experiment,) = [e for e in client.search_experiments() if e.name == "rmtl-bench"]
        assert experiment.tags["rmtl_bench.watched_1"] in ("1 ok, 1 failed", "1 failed, 1 ok")
        found = client.search_runs([experiment.experiment_id])
        histories = {
            run.info.run_id: [m.step for m in client.get_metric_history(run.info.run_id, "train/loss/click")]
            for run in found
        }
    assert len(found) == 2
    return SimpleNamespace(of={run.data.tags["rmtl_bench.run_id"]: run for run in found}, histories=histories)


def test_in_mlflow_a_run_has_the_stores_test_metrics_and_each_epoch(watched, runs):
    for cell in ended_well(watched):
        run = runs.of[cell.run_id]
        assert (run.info.status, run.info.run_name) == ("FINISHED", cell.label)
        sent = {name: value for name, value in run.data.metrics.items() if name.startswith("test/")}
        assert sent == pytest.approx(expected_of(watched, cell))
        # Two metrics of two tasks, and how far each is from the simulation's optimum.
        assert len(sent) == 8
        assert sorted(runs.histories[run.info.run_id]) == [1, 2]


def test_in_mlflow_a_run_has_what_decides_its_numbers(watched, runs):
    for cell in watched.cells.values():
        sent = runs.of[cell.run_id].data.params
        assert sent["seed"] == str(cell.seed)
        assert sent["weighting"] == cell.weighting.label
        assert sent["weighting.behaviour"] == cell.weighting.parameters["behaviour"]
        assert sent["trainer.batch_size"] == "128"


def test_in_mlflow_a_run_that_failed_has_failed(watched, runs):
    for label, cell in watched.cells.items():
        if "/broken/" in label:
            run = runs.of[cell.run_id]
            assert run.info.status == "FAILED"
            assert run.data.tags["rmtl_bench.error"] == "RuntimeError: the toy was told to raise"
            assert not [name for name in run.data.metrics if name.startswith("test/")]


@pytest.fixture(scope="module")
def logs(watched):
    """What TensorBoard reads, by our run ids."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for cell in watched.cells.values():
        parts = cell.label.split("/")[:3]
        folder = watched.folder / "logs" / Path(*parts) / f"seed-{cell.seed}-{cell.run_id}"
        found[cell.run_id] = EventAccumulator(str(folder)).Reload()
    return found


def test_in_tensorboard_a_run_has_the_stores_test_metrics_and_each_epoch(watched, logs):
    for cell in ended_well(watched):
        log = logs[cell.run_id]
        sent = {tag: log.Scalars(tag)[0].value for tag in log.Tags()["scalars"] if tag.startswith("test/")}
        assert sent == pytest.approx(expected_of(watched, cell), rel=1e-6)
        # Two metrics of two tasks, and how far each is from the simulation's optimum.
        assert len(sent) == 8
        assert [event.step for event in log.Scalars("train/loss/pay")] == [1, 2]


def test_in_tensorboard_a_run_says_how_it_ended(watched, logs):
    from tensorboard.plugins.hparams import api_pb2, metadata

    for label, cell in watched.cells.items():
        contents = logs[cell.run_id].summary_metadata
        start = metadata.parse_session_start_info_plugin_data(
            contents[metadata.SESSION_START_INFO_TAG].plugin_data.content
        )
        end = metadata.parse_session_end_info_plugin_data(contents[metadata.SESSION_END_INFO_TAG].plugin_data.content)
        assert start.hparams["weighting"].string_value == cell.weighting.label
        assert end.status == (api_pb2.STATUS_FAILURE if "/broken/" in label else api_pb2.STATUS_SUCCESS)
